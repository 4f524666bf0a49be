# SPDX-License-Identifier: Apache-2.0
"""Attestations of a TPM 2.0: quotes over PCRs and certifications of keys (TPMS_ATTEST), with ECDSA signatures.

A restricted key signs only structures that begin with TPM_GENERATED_VALUE and that the TPM itself has made: so its
signature proves "a TPM measured this", and not "a user of the key wrote this". That holds only for a key that is known
to be restricted and in a TPM (``attest/tpm_enrolment.py``).

::

    attestation = TPM2B_ATTEST || TPMT_SIGNATURE        as it travels in a check-in and at enrolment
    TPMS_ATTEST = ff544347 | type u16 | qualified signer TPM2B | extra data TPM2B | clock u64, reset count u32,
                  restart count u32, safe u8 | firmware version u64 | body, all big endian

Specification: TCG TPM 2.0 Library, Part 2, §10.12 (attestation structures), §11.3 (signatures), §10.6 (selections).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from armillary.errors import SignatureError, WireError
from armillary.wire.attestation.tpm_public import ALG_ECDSA, ALG_SHA256, NAME_BYTES
from armillary.wire.attestation.tpm_structure import Reader, sized

MAX_ATTEST_BYTES: Final = 512  # a quote over 24 PCRs of 4 banks has 237 with the longest name and nonce
MAX_SIGNATURE_BYTES: Final = 128  # ECDSA on P-256 has 72
MAX_ATTESTATION_BYTES: Final = 2 + MAX_ATTEST_BYTES + MAX_SIGNATURE_BYTES
PCRS: Final = 24  # PC Client profile: PCR 0 to 23
# Where a boot is measured: the PCR that the profile leaves to applications; docs/concepts/roots-of-trust.md says why.
BOOT_PCR: Final = 23
# Where the machine's firmware and boot loader measure themselves and what they start.
FIRMWARE_PCRS: Final = tuple(range(8))
PCR_VALUE_BYTES: Final = 32

GENERATED: Final = 0xFF544347  # TPM_GENERATED_VALUE: "\xffTCG"
ATTEST_CERTIFY: Final = 0x8017
ATTEST_QUOTE: Final = 0x8018

_MAX_NAME_BYTES: Final = 66  # of a SHA-512 name
_MAX_EXTRA_BYTES: Final = 66  # TPM2B_DATA: a TPMT_HA
_MAX_BANKS: Final = 4
_SELECT_BYTES: Final = 3  # one bit for each of 24 PCRs
_DIGEST_BYTES: Final = 32
_SIGNATURE_NUMBER_BYTES: Final = 32
# Clock in ms (not judged), reset count, restart count, safe; the TPM's firmware version (not judged).
_CLOCK: Final = struct.Struct(">8xIIB8x")
_QUOTE_LABEL: Final = b"armillary tpm quote"
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Quote:
    """The content of a verified quote."""

    extra_data: bytes  # the caller's nonce
    pcrs: tuple[int, ...]  # numbers of the quoted PCRs of the SHA-256 bank, ascending
    pcr_digest: bytes  # SHA-256 over their values in that order, 32 bytes
    # Resets of the TPM, and resumes since the last one. Unless the key is in the endorsement or platform hierarchy,
    # both are masked: equal numbers are then equal counts, and nothing else follows from them.
    reset_count: int
    restart_count: int


@dataclass(frozen=True, slots=True)
class Certification:
    """The content of a verified certification: an object of this name is loaded in the TPM that signed."""

    extra_data: bytes  # the caller's nonce
    name: bytes  # of the certified object, 34 bytes


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """A parsed attestation whose signature is not verified."""

    attest: bytes  # the signed TPMS_ATTEST
    r: int = field(repr=False)
    s: int = field(repr=False)
    body: Quote | Certification  # what it claims


def encode_attestation(attest: bytes, signature: bytes) -> bytes:
    """Join a TPMS_ATTEST and its TPMT_SIGNATURE in the form above."""
    return sized(attest) + signature


def parse_attestation(data: bytes, *, what: str = "TPM quote") -> UnverifiedAttestation:
    """Parse an attestation without verifying its signature.

    Raises:
        WireError: not a TPM2B_ATTEST of a quote or certification with an ECDSA-SHA256 signature after it.
    """
    reader = Reader(data, what, limit=MAX_ATTESTATION_BYTES)
    attest = reader.sized(MAX_ATTEST_BYTES)
    reader.expect(2, ALG_ECDSA, "an ECDSA signature")
    reader.expect(2, ALG_SHA256, "SHA-256")
    r, s = (int.from_bytes(reader.sized(_SIGNATURE_NUMBER_BYTES), "big") for _ in range(2))
    reader.end()
    return UnverifiedAttestation(attest, r, s, _parse_attest(attest, what))


def verify_quote(
    unverified: UnverifiedAttestation,
    key: ec.EllipticCurvePublicKey,
    *,
    nonce: bytes,
    pcrs: Sequence[int],
    pcr_digest: bytes,
) -> Quote:
    """Check a quote: signature, nonce, selected PCRs and their values, in this order.

    Args:
        unverified: As parsed.
        key: The attestation key, known to be a restricted key of the TPM in question.
        nonce: What the quote must answer.
        pcrs: The PCRs it must cover, ascending; no more and no fewer.
        pcr_digest: :func:`pcr_digest` of the values they must have.

    Raises:
        SignatureError: ``key`` did not sign it.
        WireError: not a quote, or another nonce, other PCRs or other values.
    """
    body = _verified(unverified, key, "TPM quote")
    if not isinstance(body, Quote):
        raise WireError("TPM quote", expected="a quote", got="a certification")
    if body.extra_data != nonce:
        raise WireError("TPM quote nonce", expected="the one that was asked for", got="another: this quote is not ours")
    if body.pcrs != tuple(pcrs):
        raise WireError("TPM quote selection", expected=f"PCRs {list(pcrs)}", got=f"{list(body.pcrs)}")
    if body.pcr_digest != pcr_digest:
        raise WireError(
            "TPM quote PCR digest", expected=f"{pcr_digest.hex()[:16]}...", got=f"{body.pcr_digest.hex()[:16]}..."
        )
    return body


def verify_certification(
    unverified: UnverifiedAttestation, key: ec.EllipticCurvePublicKey, *, nonce: bytes, name: bytes
) -> Certification:
    """Check that the TPM of ``key`` holds the object called ``name``.

    Raises:
        SignatureError: ``key`` did not sign it.
        WireError: not a certification, or of another object or another nonce.
    """
    body = _verified(unverified, key, "TPM certification")
    if not isinstance(body, Certification):
        raise WireError("TPM certification", expected="a certification", got="a quote")
    if body.extra_data != nonce:
        raise WireError("TPM certification nonce", expected="the one that was asked for", got="another")
    if body.name != name:
        raise WireError("TPM certification name", expected=f"{name.hex()[:16]}...", got=f"{body.name.hex()[:16]}...")
    return body


def quote_nonce(evidence: bytes) -> bytes:
    """The nonce of a check-in's quote: the digest of the signed evidence that it is sent with, 32 bytes.

    The evidence holds the service's challenge, so the quote is fresh; and it fits no other evidence.
    """
    return sha256(_QUOTE_LABEL + evidence).digest()


def pcr_digest(values: Iterable[bytes]) -> bytes:
    """SHA-256 over PCR values in ascending order of their numbers, as a quote with a SHA-256 key holds it."""
    return sha256(b"".join(values)).digest()


def _verified(unverified: UnverifiedAttestation, key: ec.EllipticCurvePublicKey, what: str) -> Quote | Certification:
    try:
        signature = utils.encode_dss_signature(unverified.r, unverified.s)
        key.verify(signature, unverified.attest, _ECDSA)
    except InvalidSignature as error:
        raise SignatureError(
            what, expected="a signature by the enrolled attestation key", got="one that does not verify"
        ) from error
    return unverified.body


def _parse_attest(attest: bytes, what: str) -> Quote | Certification:
    reader = Reader(attest, what, limit=MAX_ATTEST_BYTES)
    reader.expect(4, GENERATED, "TPM_GENERATED_VALUE")
    kind = reader.uint(2)
    reader.sized(_MAX_NAME_BYTES)  # the qualified signer: a name under hierarchies that the verifier cannot check
    extra_data = reader.sized(_MAX_EXTRA_BYTES)
    reset_count, restart_count, safe = _CLOCK.unpack(reader.take(_CLOCK.size))
    if safe > 1:
        raise reader.fault("TPMI_YES_NO before the firmware version", f"{safe}")
    if kind == ATTEST_CERTIFY:
        name = reader.sized(NAME_BYTES)
        reader.sized(_MAX_NAME_BYTES)  # qualified name
        reader.end()
        if len(name) != NAME_BYTES:
            raise WireError(what, expected=f"a name of {NAME_BYTES} bytes", got=f"{len(name)}")
        return Certification(extra_data, name)
    if kind != ATTEST_QUOTE:
        raise WireError(what, offset=4, expected="a quote or a certification", got=f"type {kind:#06x}")
    pcrs = _take_selection(reader)
    digest = reader.sized(_DIGEST_BYTES)
    reader.end()
    if len(digest) != _DIGEST_BYTES:
        raise WireError(what, expected=f"a PCR digest of {_DIGEST_BYTES} bytes", got=f"{len(digest)}")
    return Quote(extra_data, pcrs, digest, reset_count, restart_count)


def _take_selection(reader: Reader) -> tuple[int, ...]:
    """Quoted PCRs of the SHA-256 bank; another bank may be named only with nothing selected."""
    banks = reader.uint(4)
    if banks > _MAX_BANKS:
        raise reader.fault(f"at most {_MAX_BANKS} PCR banks", f"{banks}")
    found: tuple[int, ...] | None = None
    for _ in range(banks):
        bank = reader.uint(2)
        reader.expect(1, _SELECT_BYTES, "a selection of 24 PCRs")
        pcrs = _selected(reader.take(_SELECT_BYTES))
        if bank == ALG_SHA256 and found is None:
            found = pcrs
        elif pcrs:
            raise reader.fault("PCRs of the SHA-256 bank once and of no other", f"bank {bank:#06x}")
    return found or ()


@lru_cache(maxsize=64)  # devices ask for a handful of selections
def _selected(select: bytes) -> tuple[int, ...]:
    """Numbers of the PCRs in the bits of a selection, lowest bit of the first byte first."""
    bits = int.from_bytes(select, "little")
    return tuple(number for number in range(PCRS) if bits >> number & 1)
