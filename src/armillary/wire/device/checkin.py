# SPDX-License-Identifier: Apache-2.0
"""The request of a check-in and its reply, between a device and the device endpoint (``application/cbor``).

``GET /v1/challenge`` gives a challenge (``challenge.py``), ``POST /v1/check-in`` takes a request and gives a reply
that holds the next challenge: in steady state one round trip. An error is a ``problem.py``.
``docs/reference/device-protocol.md`` has the CDDL of each.

Everything in a request is covered by the alias key's signature: the evidence holds the challenge and the digest
of the report (installed images, outcomes, error reports); the endorsement covers the log head. A proxy that
terminates TLS can change nothing.

History of :data:`PROTOCOL_VERSION` (one integer, raised by every change a peer can notice):

- 1 (2026-11): challenge, check-in with evidence, endorsement, event log and report; offers of whole images.
- 2 (2026-11): a request may carry a TPM's quote as a sixth item. It alone has this version, as do those below.
- 3 (2026-11): a request may show a value of an earlier reply (``attest/lineage.py``), in seven items.
- 4 (2026-11): a request may carry the event log of the machine's firmware and the PCR values, in eight items.
- 5 (2026-11): a request may say where the update of the device stands (``update_status.py``), as a fourth item of its
  report; quote, lineage and firmware follow where it has them. The reply to it is a reply of version 2: its offer says
  more (OS version, ABI, timing), and a signed directive may take its place.
- 6 (2026-11): as 5, with error reports that say where a crash was (``crash_record.py``), at least one of them.
- 7 (2026-11): as 5 or 6, of a device that captures crash dumps where it may. The reply says in one item more whether it
  may (``crash_dump.py``), and has version 3.
- 8 (2026-11): as 7, of a device that sends its log where somebody asks for it; its update status has the ability. The
  reply says in one item more which request waits (``device_log.py``), and has version 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.attestation.event_log import MAX_IMAGE_TYPE
from armillary.wire.attestation.firmware_log import FirmwareLog, firmware_fields, firmware_from_fields
from armillary.wire.attestation.tpm_attestation import MAX_ATTESTATION_BYTES
from armillary.wire.device.error_report import ErrorReport, report_fields, report_from_fields
from armillary.wire.device.offer_timing import OfferTiming, timing_fields, timing_from_fields
from armillary.wire.device.update_status import LOG, UpdateStatus, status_fields, status_from_fields
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import (
    take_array,
    take_bytes,
    take_choice,
    take_optional_uuid,
    take_text,
    take_time,
    take_uint,
    take_uuid,
)

PROTOCOL_VERSION: Final = 1
QUOTED_VERSION: Final = 2
SHOWING_VERSION: Final = 3
FIRMWARE_VERSION: Final = 4
STATUS_VERSION: Final = 5
CRASH_VERSION: Final = 6
CONSENT_VERSION: Final = 7
LOG_VERSION: Final = 8
# Of replies to requests of STATUS_VERSION or CRASH_VERSION, CONSENT_VERSION, and LOG_VERSION; others have version 1.
DIRECTIVE_REPLY_VERSION: Final = 2
CONSENT_REPLY_VERSION: Final = 3
LOG_REPLY_VERSION: Final = 4
# Items of a request: at least and at most.
_REQUEST_ITEMS: Final = {
    PROTOCOL_VERSION: (5, 5),
    QUOTED_VERSION: (6, 6),
    SHOWING_VERSION: (7, 7),
    FIRMWARE_VERSION: (8, 8),
    STATUS_VERSION: (5, 8),
    CRASH_VERSION: (5, 8),
    CONSENT_VERSION: (5, 8),
    LOG_VERSION: (5, 8),
}
# Arrays of 5.
_USUAL_VERSIONS: Final = (PROTOCOL_VERSION, STATUS_VERSION, CONSENT_VERSION, LOG_VERSION)
_USUAL_REQUEST_HEADS: Final = {bytes([0x85, version]): version for version in _USUAL_VERSIONS}

# Largest request. Evidence, endorsement and log need 20 KiB at their own limits, a full report about 40 KiB;
# the endpoint reads no more than this before it answers 413.
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_REQUEST_ITEMS, MAX_REPORT_ITEMS = 64, 8192  # of CBOR; with everything at its limits they have 11 and 7,633
# Largest reply: a certificate chain of 4 KiB, 20 steps, an offer of 64 images.
MAX_REPLY_BYTES: Final = 64 * 1024
MAX_LINEAGE_BYTES: Final = 64  # a challenge
MAX_INSTALLED: Final = 64
MAX_OUTCOMES: Final = 32
MAX_ERROR_REPORTS: Final = 32  # the device sends the oldest first, the rest with the next check-in
MAX_OFFERED: Final = 64
MAX_STEPS: Final = 32
MAX_CERTIFICATES: Final = 4
MAX_CERTIFICATE_BYTES: Final = 8 * 1024
MAX_NAME_BYTES: Final = 64  # longer than any component name (31 characters in an image package)
MAX_REASON_BYTES: Final = 512
MAX_TEXT_BYTES: Final = 1024
MAX_HOST_BYTES: Final = 253
MAX_IMAGE_BYTES: Final = 2**32
MAX_OS_VERSION_BYTES: Final = 64  # as in evidence
MAX_OS_ABI: Final = 2**31 - 1
MAX_DIRECTIVE_BYTES: Final = 16 * 1024  # wire/encoding/cose.py's limit; 64 images are 11 KiB at most
MAX_WAIT_S: Final = 31 * 24 * 3600

# Most check-ins have the same report as the one before, or as other devices of the group: parsed short reports are
# cached by their bytes.
CACHED_REPORT_BYTES: Final = 1024
REPORT_CACHE_ENTRIES: Final = 4096

# What a device may keep and send of a native crash: no dump, one with a scrubbed stack, one with the stack as it was.
NO_DUMPS, SCRUBBED_DUMPS, FULL_DUMPS = 0, 1, 2
IMAGE_STATES: Final = frozenset({"running", "trial", "stopped", "failed"})
OUTCOMES: Final = frozenset({"confirmed", "reverted", "failed"})
VERDICTS: Final = frozenset({"attested", "update-only"})
PURPOSES: Final = frozenset({"client", "update"})
STEP_RESULTS: Final = frozenset({"pass", "fail", "not-run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledImage:
    """An application image on the device; ``state`` is ``running``, ``trial``, ``stopped`` or ``failed``."""

    component_id: UUID
    image_id: UUID
    image_type: int
    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOutcome:
    """How one image of an offer ended: ``confirmed``, ``reverted`` or ``failed``; ``at`` in Unix seconds UTC."""

    offer_id: UUID
    image_id: UUID
    component_id: UUID
    outcome: str
    reason: str
    at: int


@dataclass(slots=True)  # frozen would cost 1.3 us a check-in
class CheckinRequest:
    """What a device sends; never changed once it is made."""

    evidence: bytes  # COSE_Sign1 by the alias key
    endorsement: bytes  # COSE_Sign1 by the device identity key
    event_log: bytes  # encoded boot event log
    installed: tuple[InstalledImage, ...] = ()
    outcomes: tuple[UpdateOutcome, ...] = ()  # of offers, since the last check-in that succeeded
    error_reports: tuple[ErrorReport, ...] = ()  # oldest first, at most MAX_ERROR_REPORTS
    update_status: UpdateStatus | None = None  # None from a device of before
    # LOG_VERSION or CONSENT_VERSION where it says so; of those before, the lowest that has what is in it.
    protocol_version: int = PROTOCOL_VERSION
    tpm_quote: bytes | None = None  # over the boot PCR, made for ``evidence``
    # The challenge of the last reply that the device kept, empty if it keeps replies and has none; None in a request
    # that answers that challenge, and from devices that keep none. Signed: :func:`signed_digest`.
    lineage: bytes | None = None
    firmware: FirmwareLog | None = None  # only with a quote, which then covers its PCR values too
    # SHA-256 of the encoded report; set by :func:`parse_request`.
    report_digest: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AppraisalStep:
    """One step of an appraisal and how it ended: ``pass``, ``fail`` or ``not-run``.

    ``prevents`` tells a support engineer what goes wrong without the step; ``detail`` what was found, empty where
    the step passed. A reply does not repeat ``prevents`` for steps that passed: there it is
    empty after parsing, ``attest.steps.STEPS`` has it.
    """

    number: int
    name: str
    prevents: str
    result: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedImage:
    """An image the device should have. ``size`` in bytes and ``sha256`` are those of the image package."""

    component_id: UUID
    image_id: UUID
    image_type: int
    name: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The complete set of images wanted on the device; it installs, keeps and removes to match.

    An image whose type is a boot component's is a component of the OS: devices of before get none, nor anything else
    that follows the images here.
    """

    offer_id: UUID
    deployment_id: UUID | None
    images: tuple[OfferedImage, ...]
    os_version: str = ""  # of the OS components; empty: the OS stays as it is
    os_abi: int = 0  # what the OS gives applications; 0: not said
    when: OfferTiming | None = None  # None: at once

    @property
    def is_trust_alone(self) -> bool:
        """Whether it brings trust stores and nothing else."""
        return self.deployment_id is None and not self.os_version


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckinReply:
    """What the service answers."""

    verdict: str  # ``attested`` or ``update-only``
    steps: tuple[AppraisalStep, ...]
    certificate_chain: tuple[bytes, ...]  # DER, leaf first
    purpose: str  # of the leaf: ``client`` or ``update``
    catalog_id: UUID
    offer: Offer | None  # None to leave everything as it is
    next_check_in_s: int  # jitter included
    challenge: bytes  # for the next check-in
    server_time: int  # Unix seconds UTC; the device's clock follows it
    hub_host: str  # of the hub, which takes the client certificate
    hub_port: int
    protocol_version: int = PROTOCOL_VERSION  # as of :func:`reply_version`
    directive: bytes | None = None  # signed (``wire/update/directive.py``), instead of an offer
    dumps: int = NO_DUMPS  # what crash dumps may hold; said from CONSENT_REPLY_VERSION on
    log_request: UUID | None = None  # the request for the device's log that waits; said in LOG_REPLY_VERSION alone


def encode_report(
    installed: tuple[InstalledImage, ...],
    outcomes: tuple[UpdateOutcome, ...],
    error_reports: tuple[ErrorReport, ...],
    update_status: UpdateStatus | None = None,
) -> bytes:
    """Encode the report of a request; its SHA-256 goes into the evidence (``report_digest``)."""
    report = [
        [[i.component_id.bytes, i.image_id.bytes, i.image_type, i.name, i.state] for i in installed],
        [[o.offer_id.bytes, o.image_id.bytes, o.component_id.bytes, o.outcome, o.reason, o.at] for o in outcomes],
        [report_fields(report) for report in error_reports],
    ]
    return cbor.encode_ordered(report if update_status is None else [*report, status_fields(update_status)])


def signed_digest(report_digest: bytes, lineage: bytes | None) -> bytes:
    """What the evidence of a request holds as report digest: the report's, or with ``lineage`` one over both.

    No report begins with the bytes ``lineage``, so that a lineage can be neither removed nor added on the way.
    """
    return report_digest if lineage is None else sha256(b"lineage" + report_digest + lineage).digest()


def encode_request(request: CheckinRequest) -> bytes:
    """Encode a request; raises WireError above :data:`MAX_REQUEST_BYTES` or for a field out of its limits."""
    firmware = None if request.firmware is None else firmware_fields(request.firmware)
    rest = [request.tpm_quote, request.lineage, firmware]
    while rest and rest[-1] is None:
        rest.pop()
    version = PROTOCOL_VERSION + len(rest) if request.update_status is None else STATUS_VERSION
    if request.protocol_version >= CONSENT_VERSION:
        version = request.protocol_version
    elif any(one.crash is not None for one in request.error_reports):
        version = CRASH_VERSION
    report = encode_report(request.installed, request.outcomes, request.error_reports, request.update_status)
    data = cbor.encode_ordered([version, request.evidence, request.endorsement, request.event_log, report, *rest])
    parse_request(data)  # on a device, once per check-in: better refused here than by the service
    return data


def parse_request(data: bytes) -> CheckinRequest:
    """Parse a request of protocol version 1 to 8, else raise WireError.

    Its evidence, endorsement and log stay bytes for the appraisal.
    """
    usual = _USUAL_REQUEST_HEADS.get(data[:2], 0) if len(data) <= MAX_REQUEST_BYTES else 0
    if usual and (strings := cbor.cut_strings(data, 2, 4)) is not None:
        return _request(usual, *strings)
    what = "check-in request"
    fields = take_array(cbor.decode(data, what=what, limit=MAX_REQUEST_BYTES, items=MAX_REQUEST_ITEMS), what, limit=8)
    version = fields[0] if fields and type(fields[0]) is int else 0
    if version not in _REQUEST_ITEMS:
        raise WireError(
            what,
            expected=f"protocol version {PROTOCOL_VERSION} to {LOG_VERSION}",
            got=f"{fields[:1]!r:.40}",
            remedy="Update the device or the service: they speak different protocol versions.",
            code="wire.protocol-version",
        )
    least, most = _REQUEST_ITEMS[version]
    if not least <= len(fields) <= most or fields[-1] is None:  # one spelling: what is not there at the end is left out
        raise WireError(what, expected=f"{least} to {most} items, the last not null", got=f"{len(fields)}")
    evidence, endorsement, event_log, report = (take_bytes(field, "check-in request item") for field in fields[1:5])
    request = _request(version, evidence, endorsement, event_log, report)
    quote, lineage, firmware = (*fields[5:], None, None, None)[:3]
    if quote is not None or firmware is not None:  # a quote has to vouch for what firmware measured
        request.tpm_quote = take_bytes(quote, "check-in TPM quote", limit=MAX_ATTESTATION_BYTES)
    request.lineage = None if lineage is None else take_bytes(lineage, "check-in lineage", limit=MAX_LINEAGE_BYTES)
    request.firmware = None if firmware is None else firmware_from_fields(firmware)
    return request


def _request(version: int, evidence: bytes, endorsement: bytes, event_log: bytes, report: bytes) -> CheckinRequest:
    """A request without quote, lineage and firmware."""
    what, contents = "check-in report", (_cached_report if len(report) <= CACHED_REPORT_BYTES else _report)(report)
    if (contents[3] is None) == (version >= STATUS_VERSION):
        raise WireError(what, expected=f"an update status from version {STATUS_VERSION} on", got=f"version {version}")
    if version < CONSENT_VERSION and (contents[2] or version == CRASH_VERSION):
        _check_crashes(contents[2], version)
    if (contents[3] is not None and LOG in contents[3].abilities) != (version == LOG_VERSION):
        raise WireError(what, expected=f"the ability {LOG} in version {LOG_VERSION} alone", got=f"version {version}")
    return CheckinRequest(evidence, endorsement, event_log, *contents, version, report_digest=sha256(report).digest())


def _check_crashes(error_reports: tuple[ErrorReport, ...], version: int) -> None:
    """One spelling: before CONSENT_VERSION, crashes are said in requests of CRASH_VERSION, and in each of them."""
    if any(one.crash is not None for one in error_reports) != (version == CRASH_VERSION):
        raise WireError(
            "check-in report", expected=f"crashes in version {CRASH_VERSION} alone", got=f"version {version}"
        )


def encode_reply(reply: CheckinReply) -> bytes:
    """Encode a reply of values that the service has checked; raises WireError above :data:`MAX_REPLY_BYTES`."""
    offer, directed = reply.offer, reply.protocol_version >= DIRECTIVE_REPLY_VERSION
    fields = [
        reply.protocol_version,
        reply.verdict,
        [step_fields(step) for step in reply.steps],
        reply.certificate_chain,
        reply.purpose,
        reply.catalog_id.bytes,
        None if offer is None else whole_offer_fields(offer) if directed else offer_fields(offer),
        reply.next_check_in_s,
        reply.challenge,
        reply.server_time,
        reply.hub_host,
        reply.hub_port,
    ]
    log_request = None if reply.log_request is None else reply.log_request.bytes
    rest = [reply.directive, reply.dumps, log_request][: reply.protocol_version - PROTOCOL_VERSION]
    data = cbor.encode_ordered([*fields, *rest])
    if len(data) > MAX_REPLY_BYTES:
        raise WireError("check-in reply", expected=f"at most {MAX_REPLY_BYTES} bytes", got=f"{len(data)} bytes")
    return data


def parse_reply(data: bytes) -> CheckinReply:
    """Parse a reply of version 1 to 4, else raise WireError. A directive in it stays bytes, and is not verified."""
    what = "check-in reply"
    fields = take_array(cbor.decode(data, what=what, limit=MAX_REPLY_BYTES), what, limit=15)
    version = fields[0] if fields and type(fields[0]) is int else 0
    if not PROTOCOL_VERSION <= version <= LOG_REPLY_VERSION:
        raise WireError(what, expected=f"version 1 to {LOG_REPLY_VERSION}", got=f"{fields[:1]!r:.40}")
    directed = version >= DIRECTIVE_REPLY_VERSION
    take_array(fields, what, limit=15, size=11 + version)
    directive = fields[12] if directed else None
    if directive is not None and fields[6] is not None:
        raise WireError(what, expected="a directive or an offer", got="both")
    chain = take_array(fields[3], "reply certificate chain", limit=MAX_CERTIFICATES)
    return CheckinReply(
        verdict=take_choice(fields[1], VERDICTS, "reply verdict"),
        steps=tuple(_step(item) for item in take_array(fields[2], "reply steps", limit=MAX_STEPS)),
        certificate_chain=tuple(take_bytes(c, "reply certificate", limit=MAX_CERTIFICATE_BYTES) for c in chain),
        purpose=take_choice(fields[4], PURPOSES, "reply purpose"),
        catalog_id=take_uuid(fields[5], "reply catalog id"),
        offer=None if fields[6] is None else whole_offer(fields[6]) if directed else _offer(fields[6]),
        next_check_in_s=take_uint(fields[7], "reply next check-in", limit=MAX_WAIT_S),
        challenge=take_bytes(fields[8], "reply challenge", limit=64),
        server_time=take_time(fields[9], "reply server time"),
        hub_host=take_text(fields[10], "reply hub host", limit=MAX_HOST_BYTES),
        hub_port=take_uint(fields[11], "reply hub port", limit=65535),
        protocol_version=version,
        directive=None if directive is None else take_bytes(directive, "reply directive", limit=MAX_DIRECTIVE_BYTES),
        dumps=take_uint(fields[13], "reply crash dumps", limit=FULL_DUMPS) if len(fields) > 13 else NO_DUMPS,
        log_request=take_optional_uuid(fields[14], "reply log request") if len(fields) > 14 else None,
    )


def reply_version(request_version: int) -> int:
    """The version of the reply to a request of a version."""
    if request_version >= CONSENT_VERSION:
        return LOG_REPLY_VERSION if request_version == LOG_VERSION else CONSENT_REPLY_VERSION
    return DIRECTIVE_REPLY_VERSION if request_version >= STATUS_VERSION else PROTOCOL_VERSION


_Report = tuple[tuple[InstalledImage, ...], tuple[UpdateOutcome, ...], tuple[ErrorReport, ...], UpdateStatus | None]


def _report(data: bytes) -> _Report:
    value = cbor.decode(data, what="check-in report", limit=MAX_REQUEST_BYTES, items=MAX_REPORT_ITEMS)
    fields = take_array(value, "check-in report", limit=4)
    if len(fields) < 3:
        raise WireError("check-in report", expected="3 or 4 items", got=f"{len(fields)}")
    installed, outcomes, error_reports, *status = fields
    return (
        tuple(_installed(item) for item in take_array(installed, "installed images", limit=MAX_INSTALLED)),
        tuple(_outcome(item) for item in take_array(outcomes, "update outcomes", limit=MAX_OUTCOMES)),
        tuple(report_from_fields(i) for i in take_array(error_reports, "error reports", limit=MAX_ERROR_REPORTS)),
        status_from_fields(status[0]) if status else None,
    )


_cached_report = lru_cache(maxsize=REPORT_CACHE_ENTRIES)(_report)


def _installed(value: Any) -> InstalledImage:
    fields = take_array(value, "installed image", limit=5, size=5)
    return InstalledImage(
        component_id=take_uuid(fields[0], "installed component id"),
        image_id=take_uuid(fields[1], "installed image id"),
        image_type=take_uint(fields[2], "installed image type", limit=MAX_IMAGE_TYPE),
        name=take_text(fields[3], "installed image name", limit=MAX_NAME_BYTES),
        state=take_choice(fields[4], IMAGE_STATES, "installed image state"),
    )


def _outcome(value: Any) -> UpdateOutcome:
    fields = take_array(value, "update outcome", limit=6, size=6)
    return UpdateOutcome(
        offer_id=take_uuid(fields[0], "outcome offer id"),
        image_id=take_uuid(fields[1], "outcome image id"),
        component_id=take_uuid(fields[2], "outcome component id"),
        outcome=take_choice(fields[3], OUTCOMES, "update outcome"),
        reason=take_text(fields[4], "outcome reason", limit=MAX_REASON_BYTES),
        at=take_time(fields[5], "outcome time"),
    )


def step_fields(step: AppraisalStep) -> list[Any]:
    """The CBOR array of a step: number and name of one that passed, all fields of any other."""
    if step.result == "pass" and not step.detail:
        return [step.number, step.name]
    return [step.number, step.name, step.prevents, step.result, step.detail]


def _step(value: Any) -> AppraisalStep:
    fields = take_array(value, "appraisal step", limit=5)
    if len(fields) == 2:  # a step that passed
        fields = [*fields, "", "pass", ""]
    elif len(fields) != 5 or fields[3:] == ["pass", ""]:
        raise WireError("appraisal step", expected="2 items for a pass, else 5", got=f"{len(fields)}")
    return AppraisalStep(
        number=take_uint(fields[0], "step number", limit=MAX_STEPS),
        name=take_text(fields[1], "step name", limit=MAX_NAME_BYTES),
        prevents=take_text(fields[2], "step prevents", limit=MAX_TEXT_BYTES),
        result=take_choice(fields[3], STEP_RESULTS, "step result"),
        detail=take_text(fields[4], "step detail", limit=MAX_TEXT_BYTES),
    )


def offer_fields(offer: Offer) -> list[Any]:
    """The CBOR array of an offer as devices of before take it: without what follows its images."""
    return [
        offer.offer_id.bytes,
        None if offer.deployment_id is None else offer.deployment_id.bytes,
        [[i.component_id.bytes, i.image_id.bytes, i.image_type, i.name, i.size, i.sha256] for i in offer.images],
    ]


def whole_offer_fields(offer: Offer) -> list[Any]:
    """The CBOR array of an offer in a directive and in a reply of DIRECTIVE_REPLY_VERSION."""
    timing = None if offer.when is None else timing_fields(offer.when)
    return [*offer_fields(offer), offer.os_version, offer.os_abi, timing]


def _offer(value: Any) -> Offer:
    fields = take_array(value, "offer", limit=3, size=3)
    return Offer(
        offer_id=take_uuid(fields[0], "offer id"),
        deployment_id=take_optional_uuid(fields[1], "offer deployment id"),
        images=tuple(_offered(item) for item in take_array(fields[2], "offered images", limit=MAX_OFFERED)),
    )


def whole_offer(value: Any) -> Offer:
    """The offer of :func:`whole_offer_fields`; WireError for anything else."""
    fields = take_array(value, "offer", limit=6, size=6)
    return replace(
        _offer(fields[:3]),
        os_version=take_text(fields[3], "offer OS version", limit=MAX_OS_VERSION_BYTES),
        os_abi=take_uint(fields[4], "offer OS ABI", limit=MAX_OS_ABI),
        when=None if fields[5] is None else timing_from_fields(fields[5]),
    )


def _offered(value: Any) -> OfferedImage:
    fields = take_array(value, "offered image", limit=6, size=6)
    return OfferedImage(
        component_id=take_uuid(fields[0], "offered component id"),
        image_id=take_uuid(fields[1], "offered image id"),
        image_type=take_uint(fields[2], "offered image type", limit=MAX_IMAGE_TYPE),
        name=take_text(fields[3], "offered image name", limit=MAX_NAME_BYTES),
        size=take_uint(fields[4], "offered image size", limit=MAX_IMAGE_BYTES),
        sha256=take_bytes(fields[5], "offered image sha256", size=32),
    )
