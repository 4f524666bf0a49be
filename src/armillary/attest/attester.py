# SPDX-License-Identifier: Apache-2.0
"""The Attester: answers a challenge with evidence (RFC 9334 §3.1). Runs on the device at every check-in."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.wire.attestation.evidence import Evidence, encode_evidence
from armillary.wire.device.checkin import signed_digest


def prove(
    *,
    alias_key: ec.EllipticCurvePrivateKey,
    challenge: bytes,
    device_id: str,
    boot_count: int,
    log_head: bytes,
    certificate_key: bytes,
    service_name: str,
    chip: str,
    root_of_trust: str,
    enforcement: tuple[tuple[str, str], ...],
    sandbox: str,
    os_version: str,
    report: bytes,
    lineage: bytes | None = None,
) -> bytes:
    """Signed evidence for one check-in.

    Args:
        alias_key: Private alias key of this boot (``identity/dice.py``).
        challenge: As received.
        device_id: 128 lower-case hex digits.
        boot_count: Of this boot, as in its endorsement.
        log_head: Head of this boot's event log, as in its endorsement, 32 bytes.
        certificate_key: DER SubjectPublicKeyInfo of the new P-256 key that is to be certified. Make a new one
            for each check-in; it must be neither the alias key nor the identity key.
        service_name: Name of the service this device belongs to.
        chip: Chip profile.
        root_of_trust: ``software``, ``tpm2`` or ``simulated``.
        enforcement: (mechanism, ``enforced`` or ``missing: why``) from the sandbox's self-test.
        sandbox: Name of the sandbox.
        os_version: OS release that runs.
        report: :func:`armillary.wire.device.checkin.encode_report` of what the request will carry; its digest is
            signed.
        lineage: What the request will show of an earlier reply, if it does.

    Raises:
        WireError: a value is out of its limits.
    """
    evidence = Evidence(
        challenge=challenge,
        device_id=device_id,
        boot_count=boot_count,
        log_head=log_head,
        certificate_key=certificate_key,
        service_name=service_name,
        chip=chip,
        root_of_trust=root_of_trust,
        enforcement=enforcement,
        sandbox=sandbox,
        os_version=os_version,
        report_digest=signed_digest(sha256(report).digest(), lineage),
    )
    return encode_evidence(evidence, alias_key)
