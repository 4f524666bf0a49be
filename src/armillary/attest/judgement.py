# SPDX-License-Identifier: Apache-2.0
"""Judges an event log and an endorsement once each, and caches the outcome.

A log is judged only where it replays to the head the boot ROM signed: until then its events are the device's
word, and reading them is how verifiers have been fooled. A judgement depends on nothing but the log's bytes,
the chip and the reference values, an endorsement's on nothing but its bytes and the identity key: both are
remembered by those bytes, so that a check-in in a boot that was seen before costs one ECDSA verify.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from armillary.attest.reference import FOREVER, ReferenceValues
from armillary.wire.attestation.event_log import BootEvent, log_head, parse_log
from armillary.wire.attestation.evidence import Endorsement, parse_endorsement
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.encoding import cose

# Endorsements remembered: one per device and boot, about 1.2 KiB each, 1.2 MiB at most. A larger fleet per
# process verifies the oldest again.
MAX_ENDORSEMENTS: Final = 1_024
# Logs remembered: devices on the same release share one. At 16 KiB each, 16 MiB at most.
MAX_LOGS: Final = 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a log says.

    Attributes:
        events: Its events; empty where it does not replay to the signed head.
        faults: Step number (11, 13, 14, 15, 18) to what was found; empty for a known good boot.
        releases: OS releases on this chip that consist of exactly these components.
        security_versions: Image type to lowest security version.
        expires_at: Unix seconds UTC from which one of these releases is no longer good (step 18).
    """

    events: tuple[BootEvent, ...]
    faults: Mapping[int, str]
    releases: tuple[str, ...]
    security_versions: Mapping[int, int]
    expires_at: int = FOREVER


class AppraisalMemory:
    """Verified endorsements and judged logs of one process; bounded, the oldest goes first.

    Belongs to one event loop or thread: it takes no lock.
    """

    __slots__ = ("endorsements", "firmware", "logs", "reference")

    def __init__(self) -> None:
        self.endorsements: dict[tuple[bytes, bytes], tuple[Endorsement, bytes]] = {}
        self.logs: dict[tuple[str, bytes, bytes], Judgement] = {}
        self.reference: ReferenceValues | None = None
        self.firmware: dict[FirmwareLog, None] = {}

    def __repr__(self) -> str:
        return f"AppraisalMemory({len(self.endorsements)} endorsements, {len(self.logs)} logs)"


def verified_endorsement(
    data: bytes, identity_key: bytes, memory: AppraisalMemory | None = None
) -> tuple[Endorsement, bytes]:
    """The claims of an endorsement that ``identity_key`` signed, and the SHA-256 of its bytes.

    Args:
        data: The encoded endorsement.
        identity_key: X || Y of the device identity key, 64 bytes, from the registry.
        memory: Looked up by both, and added to.

    Raises:
        WireError: malformed.
        SignatureError: the identity key did not sign it.
    """
    if memory is not None:
        known = memory.endorsements.get((identity_key, data))
        if known is not None:
            return known
    unverified = parse_endorsement(data)
    cose.verify_sign1(unverified.message, cose.public_key(identity_key), what="endorsement")
    found = unverified.claims, sha256(data).digest()
    if memory is not None:
        if len(memory.endorsements) >= MAX_ENDORSEMENTS:
            memory.endorsements.pop(next(iter(memory.endorsements)))
        memory.endorsements[identity_key, data] = found
    return found


def judge_log(
    data: bytes, signed_head: bytes, chip: str, reference: ReferenceValues, memory: AppraisalMemory | None = None
) -> Judgement:
    """Judge an event log against the head that the boot ROM signed.

    Args:
        data: The encoded log.
        signed_head: From a verified endorsement, 32 bytes.
        chip: The enrolled chip.
        reference: Known good components.
        memory: Looked up and added to; emptied of logs when ``reference`` is another set than before.

    Raises:
        WireError: the log is malformed.
    """
    if memory is None:
        return _judge(data, signed_head, chip, reference)
    if memory.reference is not reference:
        memory.logs.clear()
        memory.reference = reference
    key = (chip, signed_head, data)
    known = memory.logs.get(key)
    if known is None:
        known = _judge(data, signed_head, chip, reference)
        if known.events:  # a log that does not replay is not worth remembering
            if len(memory.logs) >= MAX_LOGS:
                memory.logs.pop(next(iter(memory.logs)))
            memory.logs[key] = known
    return known


def _judge(data: bytes, signed_head: bytes, chip: str, reference: ReferenceValues) -> Judgement:
    events = parse_log(data).events
    # Step 11, before any field of any event is looked at.
    head = log_head(events)
    if head != signed_head:
        fault = f"The log replays to {head.hex()[:16]}..., the boot ROM signed {signed_head.hex()[:16]}..."
        return Judgement((), {11: fault}, (), {})
    faults: dict[int, str] = {}
    unknown = [found for event in events if (found := _unknown(event, chip, reference))]
    releases: tuple[str, ...] = ()
    if unknown:
        faults[13] = " ".join(unknown).encode()[:1000].decode(errors="ignore")  # fits a step's detail
    else:
        releases = _complete_releases(events, chip, reference)
        if not releases:
            faults[14] = "The components are each known, but no release consists of exactly these in this order."
    # Step 18. Releases that are equal to the byte are one software: the strictest word on any of them counts.
    standings = [one for version in releases if (one := reference.standing(chip, version)) is not None]
    withdrawn = next((one for one in standings if one.withdrawn), None)
    if withdrawn is not None:
        faults[18] = f"Release {withdrawn.os_version} was withdrawn: {withdrawn.withdrawn}"
    expires_at = min((one.expires_at for one in standings if one.expires_at is not None), default=FOREVER)
    versions: dict[int, int] = {}
    for event in events:
        versions[event.image_type] = min(event.security_version, versions.get(event.image_type, event.security_version))
    for image_type, version in versions.items():
        minimum = reference.minimum_security_version(chip, image_type)
        if version < minimum:
            faults[15] = f"Image type {image_type} has security version {version}, the lowest allowed is {minimum}."
            break
    return Judgement(events, faults, releases, versions, expires_at)


def _unknown(event: BootEvent, chip: str, reference: ReferenceValues) -> str:
    """What is wrong with one event (step 13), empty for a known good component."""
    known = reference.lookup(chip, event.component_id, event.digest)
    if not known:
        return f"{event.component} ({event.digest.hex()[:16]}...) is not released for {chip}."
    if all((v.image_type, v.security_version) != (event.image_type, event.security_version) for v in known):
        return f"{event.component} is released with another image type or security version."
    return ""


def _complete_releases(events: tuple[BootEvent, ...], chip: str, reference: ReferenceValues) -> tuple[str, ...]:
    """Releases (step 14) that consist of these components and no other, each once, booted in this order.

    The order counts: a component that ran before the one that verifies it was started by something else, and a log
    that a device reorders and signs again still names only good components.
    """
    components = tuple(event.component_id for event in events)
    releases: set[str] | None = None
    for event in events:
        here = {value.os_version for value in reference.lookup(chip, event.component_id, event.digest)}
        releases = here if releases is None else releases & here
    return tuple(sorted(r for r in releases or () if reference.components(chip, r) == components))
