# SPDX-License-Identifier: Apache-2.0
"""A simulated device that only proves itself: measures given boot components and answers challenges.

For tests, fuzzing and load: the keys, events and messages are the real ones (``identity/dice``, ``wire/attestation``),
only flash, network and sandbox are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.attest.appraise import Enrolment
from armillary.attest.reference import ReferenceValue
from armillary.identity import device_id, dice
from armillary.wire.attestation.event_log import BootEvent, encode_log, log_head
from armillary.wire.attestation.evidence import Endorsement, Evidence, encode_endorsement, encode_evidence
from armillary.wire.device.checkin import CheckinRequest, InstalledImage, UpdateOutcome, encode_report, signed_digest
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.encoding import cose


@dataclass(frozen=True, slots=True)
class Component:
    """A boot component: an event without a log."""

    name: str
    image_type: int
    component_id: UUID
    image_id: UUID
    content: bytes
    security_version: int = 1

    @property
    def event(self) -> BootEvent:
        """The measurement of the component."""
        return BootEvent(
            component=self.name,
            image_type=self.image_type,
            component_id=self.component_id,
            image_id=self.image_id,
            digest=sha256(self.content).digest(),
            security_version=self.security_version,
        )

    def reference(self, chip: str, os_version: str) -> ReferenceValue:
        """The reference value by which a verifier accepts the component."""
        event = self.event
        return ReferenceValue(
            component_id=event.component_id,
            image_type=event.image_type,
            digest=event.digest,
            security_version=event.security_version,
            chip=chip,
            os_version=os_version,
        )


def release(version: int, *, components: int = 4, security_version: int = 1) -> tuple[Component, ...]:
    """The boot components of a made-up OS release; the same numbers give the same bytes."""
    return tuple(
        Component(
            name=f"Stage{number}",
            image_type=number,
            component_id=UUID(int=number),
            image_id=UUID(int=(version << 8) + number),
            content=b"stage %d of release %d" % (number, version),
            security_version=security_version,
        )
        for number in range(1, components + 1)
    )


@dataclass(slots=True, kw_only=True)
class Prover:
    """A device that has booted.

    Attributes:
        uds: Unique device secret, 32 bytes: the same secret is the same device.
        boot_count: Boots since manufacture; :meth:`boot` counts on.
    """

    uds: bytes = field(repr=False)
    components: Sequence[Component]
    boot_count: int = 0
    chip: str = "mt3620"
    root_of_trust: str = "software"
    service_name: str = "localhost"
    os_version: str = "26.11"
    enforcement: tuple[tuple[str, str], ...] = (("seccomp", "enforced"), ("landlock", "missing: kernel 5.10"))
    sandbox: str = "linux"
    identity: ec.EllipticCurvePrivateKey = field(init=False, repr=False)
    alias: ec.EllipticCurvePrivateKey = field(init=False, repr=False)
    device_id: str = field(init=False)
    endorsement: bytes = field(init=False)
    event_log: bytes = field(init=False)
    log_head: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.identity = dice.identity_key(self.uds)
        self.device_id = device_id.device_id_of_key(self.identity.public_key())
        self.boot()

    @property
    def peer_key(self) -> bytes:
        """DER SubjectPublicKeyInfo of the device identity key."""
        return device_id.spki_of_device_id(self.device_id)

    def boot(self) -> None:
        """Measure every component, derive the DICE layers, endorse the last one's key."""
        self.boot_count += 1
        cdi = self.uds
        events = [component.event for component in self.components]
        for event in events:
            cdi = dice.derive_cdi(cdi, measurement=event.digest, security_version=event.security_version)
        self.alias = dice.alias_key(cdi)
        self.log_head = log_head(events)
        self.event_log = encode_log(events)
        self.endorsement = encode_endorsement(
            Endorsement(
                device_id=self.device_id,
                alias_key=cose.point_of(self.alias.public_key()),
                log_head=self.log_head,
                boot_count=self.boot_count,
            ),
            self.identity,
        )

    def request(
        self,
        challenge: bytes,
        certificate_key: bytes,
        *,
        installed: tuple[InstalledImage, ...] = (),
        outcomes: tuple[UpdateOutcome, ...] = (),
        error_reports: tuple[ErrorReport, ...] = (),
        lineage: bytes | None = None,
        update_status: UpdateStatus | None = None,
    ) -> CheckinRequest:
        """A check-in request that answers ``challenge`` and asks for a certificate over ``certificate_key``."""
        report = encode_report(installed, outcomes, error_reports, update_status)
        evidence = Evidence(
            challenge=challenge,
            device_id=self.device_id,
            boot_count=self.boot_count,
            log_head=self.log_head,
            certificate_key=certificate_key,
            service_name=self.service_name,
            chip=self.chip,
            root_of_trust=self.root_of_trust,
            enforcement=self.enforcement,
            sandbox=self.sandbox,
            os_version=self.os_version,
            report_digest=signed_digest(sha256(report).digest(), lineage),
        )
        return CheckinRequest(
            evidence=encode_evidence(evidence, self.alias),
            endorsement=self.endorsement,
            event_log=self.event_log,
            installed=installed,
            outcomes=outcomes,
            error_reports=error_reports,
            lineage=lineage,
            update_status=update_status,
        )

    def enrolment(self, *, trust_tier: str = "software") -> Enrolment:
        """The registry's record of this device before its first check-in."""
        return Enrolment(
            device_id=self.device_id,
            identity_key=bytes.fromhex(self.device_id),
            chip=self.chip,
            trust_tier=trust_tier,
        )
