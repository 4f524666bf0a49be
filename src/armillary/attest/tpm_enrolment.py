# SPDX-License-Identifier: Apache-2.0
"""Enrolment of a device by its TPM: from a maker's certificate to "this identity key lives in that TPM".

Each link holds the next one:

1. the EK certificate leads to a TPM maker the operator trusts (:mod:`~armillary.attest.tpm_endorsement`);
2. the attestation key (AK) is in the TPM of that EK: only it can open the credential made for the AK's name
   (:mod:`~armillary.attest.tpm_credential`), and the name covers the attributes *restricted* and *fixedTPM*;
3. the identity key is in the TPM of that AK: the AK certified its name, which covers *fixedTPM* and
   *sensitiveDataOrigin*, so no copy of it exists anywhere;
4. the sender holds the identity key: it signed the certificate request, and the request's key is the certified one.

The service stores nothing between question and answer: the secret is a MAC over the whole claim and an expiry, so an
answer is good for the very claim it was asked for, on every worker, until it expires.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.attest.tpm_credential import Credential, make_credential
from armillary.attest.tpm_endorsement import EndorsementCertificate, verify_endorsement_certificate
from armillary.errors import AppraisalError, ChallengeError
from armillary.wire.attestation.tpm_attestation import parse_attestation, verify_certification
from armillary.wire.attestation.tpm_public import ATTESTATION, IDENTITY, TpmPublic, parse_public
from armillary.wire.encoding import cose

# What the AK's certification of the identity key answers: one made for another purpose is not taken for it.
CERTIFICATION_NONCE: Final = sha256(b"armillary identity key").digest()
LIFETIME_S: Final = 300  # an RSA endorsement key takes an old TPM up to a minute to make
_LABEL: Final = b"armillary tpm credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedTpmClaim:
    """What a device says of its TPM.

    Attributes:
        endorsement_certificate: DER.
        intermediates: DER certificates between it and a root.
        attestation_key: TPM2B_PUBLIC of the AK.
        identity_key: TPM2B_PUBLIC of the device identity key.
        certification: The AK's certification of the identity key, answering :data:`CERTIFICATION_NONCE`.
    """

    endorsement_certificate: bytes
    intermediates: tuple[bytes, ...]
    attestation_key: bytes
    identity_key: bytes
    certification: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmClaim:
    """A claim of which links 1 and 3 hold; link 2 needs the TPM's answer.

    The SHA-256 of the EK certificate names the TPM; the point of ``identity_key`` is the device id.
    """

    endorsement: EndorsementCertificate
    certificate_digest: bytes
    attestation_key: TpmPublic
    identity_key: TpmPublic


@dataclass(frozen=True, slots=True)
class CredentialChallenge:
    """The question of link 2; ``expires_at`` in Unix seconds UTC goes back with the answer."""

    credential: Credential = field(repr=False)
    expires_at: int


def examine(claim: UnverifiedTpmClaim, roots: Sequence[x509.Certificate], *, now: int) -> TpmClaim:
    """Check links 1 and 3, and that each key is of its kind.

    Raises:
        WireError: a structure is malformed, or a key has other attributes than its purpose asks for.
        SignatureError: the EK certificate leads to no trusted root, or the AK did not certify the identity key.
    """
    attestation_key = parse_public(claim.attestation_key, ATTESTATION)
    identity_key = parse_public(claim.identity_key, IDENTITY)
    endorsement = verify_endorsement_certificate(claim.endorsement_certificate, claim.intermediates, roots, now=now)
    verify_certification(
        parse_attestation(claim.certification, what="TPM certification"),
        cose.public_key(attestation_key.point),
        nonce=CERTIFICATION_NONCE,
        name=identity_key.name,
    )
    return TpmClaim(
        endorsement=endorsement,
        certificate_digest=sha256(claim.endorsement_certificate).digest(),
        attestation_key=attestation_key,
        identity_key=identity_key,
    )


def ask(
    claim: TpmClaim, key: bytes, *, chip: str, now: int, seed: bytes, ephemeral: ec.EllipticCurvePrivateKey
) -> CredentialChallenge:
    """The credential that only the TPM of the claim opens.

    Args:
        claim: As examined.
        key: The service's challenge key, 32 bytes.
        chip: Chip profile the device is to be enrolled with.
        now: Unix seconds UTC.
        seed: 32 fresh random bytes.
        ephemeral: A fresh P-256 key.
    """
    expires_at = now + LIFETIME_S
    secret = _secret(key, claim, chip, expires_at)
    credential = make_credential(
        claim.endorsement.key, claim.attestation_key.name, secret, seed=seed, ephemeral=ephemeral
    )
    return CredentialChallenge(credential, expires_at)


def check_answer(claim: TpmClaim, key: bytes, *, chip: str, expires_at: int, answer: bytes, now: int) -> None:
    """Check link 2: the TPM opened the credential.

    Args:
        claim: As examined, again.
        key: As given to :func:`ask`.
        chip: As given to :func:`ask`.
        expires_at: As in the question.
        answer: What TPM2_ActivateCredential gave, 32 bytes.
        now: Unix seconds UTC.

    Raises:
        ChallengeError: too late.
        AppraisalError: another secret: the AK is not in the TPM of this EK, or the question was for another claim.
    """
    if not now < expires_at <= now + LIFETIME_S:
        raise ChallengeError(
            f"TPM credential: expected an answer before {expires_at}, got it at {now} (Unix seconds)",
            remedy="Start the enrolment again.",
        )
    if not hmac.compare_digest(answer, _secret(key, claim, chip, expires_at)):
        raise AppraisalError(
            "TPM credential: expected the secret that was encrypted for this TPM and attestation key, got another",
            remedy="Enrol with the attestation key of the TPM whose endorsement certificate is sent.",
        )


def _secret(key: bytes, claim: TpmClaim, chip: str, expires_at: int) -> bytes:
    """32 bytes that nobody without the key can make; every part but the last has a fixed size."""
    parts = (
        _LABEL,
        expires_at.to_bytes(8, "big"),
        claim.certificate_digest,
        claim.attestation_key.name,
        claim.identity_key.name,
        chip.encode(),
    )
    return hmac.digest(key, b"".join(parts), sha256)
