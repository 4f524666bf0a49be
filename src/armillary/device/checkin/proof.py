# SPDX-License-Identifier: Apache-2.0
"""Builds the request of one check-in: a new client key, the report, and evidence that covers both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate

from armillary.device.state.configuration import DeviceConfiguration
from armillary.engines.root_of_trust.port import BootSession
from armillary.engines.sandbox.port import SandboxReport
from armillary.errors import WireError
from armillary.wire.attestation.evidence import ENFORCED, MAX_ENFORCEMENT_BYTES, MISSING_PREFIX, Evidence
from armillary.wire.device import checkin
from armillary.wire.device.checkin import CheckinReply, CheckinRequest, InstalledImage, UpdateOutcome
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.encoding.clip import clip_text

# Report, evidence (at most 11 KiB at its own limits), endorsement and event log (a chip's 13 events have 1.5 KiB)
# together stay under the 64 KiB of a check-in. What does not fit goes with the next one.
MAX_REPORT_BYTES = 48 * 1024  # an update status adds half a KiB at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A check-in that is ready to be sent.

    The private ``key`` is kept until the reply: its certificate has to be for this key.
    """

    request: CheckinRequest
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def build_proof(
    *,
    challenge: bytes,
    session: BootSession,
    event_log: bytes,
    configuration: DeviceConfiguration,
    root_of_trust: str,
    sandbox: SandboxReport,
    installed: Sequence[InstalledImage],
    outcomes: Sequence[UpdateOutcome],
    error_reports: Sequence[ErrorReport],
    lineage: bytes | None = None,
    update_status: UpdateStatus | None = None,
    takes_consent: bool = False,
    sends_log: bool = False,
) -> Proof:
    """A check-in for ``challenge`` with a fresh client key, showing ``lineage`` (``attest/lineage.py``).

    A service of before protocol version 5 takes no ``update_status``, and without one no crash is told. With
    ``takes_consent`` the reply says what crash dumps may hold; a service of before version 7 refuses that. With
    ``sends_log``, where the status has that ability, it says whether somebody asked for the log, from version 8 on.

    WireError if something is over a limit of the protocol.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    taken = 0 if session.firmware is None else len(session.firmware.log)
    if update_status is None:
        error_reports = without_crashes(error_reports)
    report = fit_report(installed, outcomes, error_reports, limit=MAX_REPORT_BYTES - taken)
    version = checkin.CONSENT_VERSION if takes_consent else checkin.PROTOCOL_VERSION
    digest = sha256(checkin.encode_report(*report, update_status)).digest()
    evidence = Evidence(
        challenge=challenge,
        device_id=configuration.device_id,
        boot_count=session.boot_count,
        log_head=session.log_head,
        certificate_key=_spki(key.public_key()),
        service_name=configuration.service_name,
        chip=configuration.chip,
        root_of_trust=root_of_trust,
        enforcement=enforcement(sandbox),
        sandbox=sandbox.sandbox,
        os_version=configuration.os_version,
        report_digest=checkin.signed_digest(digest, lineage),
    )
    proven = session.prove(evidence)
    request = CheckinRequest(
        evidence=proven,
        endorsement=session.endorsement,
        event_log=event_log,
        tpm_quote=None if session.quote is None else session.quote(proven),
        firmware=session.firmware,
        installed=report[0],
        outcomes=report[1],
        error_reports=report[2],
        lineage=lineage,
        update_status=update_status,
        protocol_version=checkin.LOG_VERSION if sends_log else version,
    )
    return Proof(request=request, key=key)


def without_crashes(error_reports: Iterable[ErrorReport]) -> tuple[ErrorReport, ...]:
    """The reports without what was captured of crashes, for a service that does not know it."""
    return tuple(replace(one, crash=None) for one in error_reports)


def fit_report(
    installed: Sequence[InstalledImage],
    outcomes: Sequence[UpdateOutcome],
    error_reports: Sequence[ErrorReport],
    *,
    limit: int = MAX_REPORT_BYTES,
) -> tuple[tuple[InstalledImage, ...], tuple[UpdateOutcome, ...], tuple[ErrorReport, ...]]:
    """The oldest reports that fit into one request: a full queue must never keep a device from checking in."""
    images = tuple(installed)[: checkin.MAX_INSTALLED]
    sent, reports = tuple(outcomes)[: checkin.MAX_OUTCOMES], tuple(error_reports)[: checkin.MAX_ERROR_REPORTS]
    while len(checkin.encode_report(images, sent, reports)) > limit:
        if reports:
            reports = reports[:-1]
        else:
            sent = sent[:-1]
    return images, sent, reports


def enforcement(report: SandboxReport) -> tuple[tuple[str, str], ...]:
    """The self-test's findings, and what this sandbox never had, as evidence says them."""
    return tuple(
        (
            mechanism.name,
            ENFORCED if mechanism.enforced else clip_text(MISSING_PREFIX + mechanism.detail, MAX_ENFORCEMENT_BYTES),
        )
        for mechanism in (*report.mechanisms, *report.absent)
    )


def check_certificate(reply: CheckinReply, proof: Proof) -> None:
    """Raise WireError unless the reply's certificate is for the key this device just made."""
    if not reply.certificate_chain:
        raise WireError("check-in reply", expected="a certificate", got="none")
    try:
        leaf = load_der_x509_certificate(reply.certificate_chain[0])
        spki = leaf.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WireError("check-in reply certificate", expected="an X.509 certificate", got=str(error)) from error
    if spki != _spki(proof.key.public_key()):
        raise WireError("check-in reply certificate", expected="the key that was proven", got="another key")


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
