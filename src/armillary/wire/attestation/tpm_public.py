# SPDX-License-Identifier: Apache-2.0
"""Public areas of TPM 2.0 keys (TPM2B_PUBLIC), in the few forms that identities use, and their names.

A key's *name* is its hash algorithm and the SHA-256 of its public area, so it covers the attributes: who trusts a
name knows that the key was made inside a TPM and cannot leave it. Accepted are P-256 keys and RSA-2048
endorsement keys with SHA-256 names; everything else is refused.

Specification: TCG TPM 2.0 Library, Part 2, §12.2 (public area), §8.3 (attributes), Part 1, §16 (names); TCG EK
Credential Profile, annex B (templates L-1 and L-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from armillary.errors import WireError
from armillary.wire.attestation.tpm_structure import Reader, sized
from armillary.wire.encoding import cose

MAX_PUBLIC_BYTES: Final = 512  # an RSA-2048 endorsement key has 316, a P-256 key at most 122
NAME_BYTES: Final = 34  # algorithm and SHA-256

ALG_RSA: Final = 0x0001
ALG_AES: Final = 0x0006
ALG_SHA256: Final = 0x000B
ALG_NULL: Final = 0x0010
ALG_ECDSA: Final = 0x0018
ALG_ECC: Final = 0x0023
ALG_CFB: Final = 0x0043
CURVE_P256: Final = 0x0003

# TPMA_OBJECT, Part 2 §8.3.
FIXED_TPM: Final = 1 << 1
FIXED_PARENT: Final = 1 << 4
SENSITIVE_DATA_ORIGIN: Final = 1 << 5
USER_WITH_AUTH: Final = 1 << 6
ADMIN_WITH_POLICY: Final = 1 << 7
NO_DA: Final = 1 << 10
RESTRICTED: Final = 1 << 16
DECRYPT: Final = 1 << 17
SIGN: Final = 1 << 18

_KEPT_IN: Final = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN  # made in this TPM, never to leave it
_USES: Final = RESTRICTED | DECRYPT | SIGN

# What a key may do, and so what its signatures mean.
ATTESTATION: Final = "attestation key"  # signs only what the TPM itself has made
IDENTITY: Final = "identity key"  # signs anything: TLS handshakes, endorsements
ENDORSEMENT: Final = "endorsement key"  # opens credentials
_PURPOSES: Final = {ATTESTATION: RESTRICTED | SIGN, IDENTITY: SIGN, ENDORSEMENT: RESTRICTED | DECRYPT}

_MAX_POLICY_BYTES: Final = 32
_COORDINATE_BYTES: Final = 32
_RSA_BYTES: Final = 256
_DEFAULT_EXPONENT: Final = 65537  # a zero in the structure means this one

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class TpmPublic:
    """A parsed public area. Its key may be used, its attributes mean nothing until a TPM vouches for the name."""

    area: bytes = field(repr=False)  # TPMT_PUBLIC as received
    name: bytes  # algorithm and SHA-256 of ``area``, 34 bytes
    attributes: int  # TPMA_OBJECT
    key: PublicKey = field(compare=False, repr=False)

    @property
    def point(self) -> bytes:
        """X || Y of a P-256 key, 64 bytes; raises WireError for an RSA key."""
        if not isinstance(self.key, ec.EllipticCurvePublicKey):
            raise WireError("TPM public area", expected="a P-256 key", got="an RSA key")
        return cose.point_of(self.key)


def parse_public(data: bytes, purpose: str) -> TpmPublic:
    """Parse a TPM2B_PUBLIC and check its attributes for :data:`ATTESTATION`, :data:`IDENTITY` or :data:`ENDORSEMENT`.

    Raises:
        WireError: malformed, another kind of key, a key that may leave its TPM, or one that may do other things.
    """
    outer = Reader(data, f"TPM {purpose}", limit=MAX_PUBLIC_BYTES)
    area = outer.sized(MAX_PUBLIC_BYTES)
    outer.end()
    reader = Reader(area, f"TPM {purpose}", limit=MAX_PUBLIC_BYTES)
    kind = reader.uint(2)
    if kind != ALG_ECC and not (kind == ALG_RSA and purpose == ENDORSEMENT):
        raise reader.fault("a P-256 key, or an RSA-2048 endorsement key", f"algorithm {kind:#x}")
    reader.expect(2, ALG_SHA256, "a SHA-256 name")
    attributes = reader.uint(4)
    _check_attributes(attributes, purpose)
    reader.sized(_MAX_POLICY_BYTES)
    _take_symmetric(reader, purpose)
    key = _take_ecc(reader, purpose) if kind == ALG_ECC else _take_rsa(reader)
    reader.end()
    return TpmPublic(area, name_of(area), attributes, key)


def name_of(area: bytes) -> bytes:
    """The name of a public area (TPMT_PUBLIC) with SHA-256 names, 34 bytes."""
    return ALG_SHA256.to_bytes(2, "big") + sha256(area).digest()


def encode_signing_key(point: bytes, *, restricted: bool) -> bytes:
    """The TPM2B_PUBLIC of a P-256 key, for attestation if ``restricted``, else for identity.

    ``point`` is X || Y, 64 bytes; zeros make the template by which a TPM creates such a key.
    """
    attributes = _KEPT_IN | USER_WITH_AUTH | NO_DA | SIGN | (RESTRICTED if restricted else 0)
    area = b"".join(
        (
            _u16(ALG_ECC, ALG_SHA256),
            attributes.to_bytes(4, "big"),
            sized(b""),
            _u16(ALG_NULL, ALG_ECDSA, ALG_SHA256, CURVE_P256, ALG_NULL),
            sized(point[:_COORDINATE_BYTES]),
            sized(point[_COORDINATE_BYTES:]),
        )
    )
    return sized(area)


def _check_attributes(attributes: int, purpose: str) -> None:
    if attributes & _KEPT_IN != _KEPT_IN:
        raise WireError(
            f"TPM {purpose}",
            expected="a key made inside the TPM that cannot leave it (fixedTPM, fixedParent, sensitiveDataOrigin)",
            got=f"attributes {attributes:#010x}",
        )
    if attributes & _USES != _PURPOSES[purpose]:
        raise WireError(
            f"TPM {purpose}",
            expected=f"exactly the uses of an {purpose} among restricted, decrypt and sign",
            got=f"attributes {attributes:#010x}",
        )


def _take_symmetric(reader: Reader, purpose: str) -> None:
    """What wraps children and credentials: AES-128-CFB for an endorsement key, nothing for a signing key."""
    if purpose == ENDORSEMENT:
        reader.expect(2, ALG_AES, "AES")
        reader.expect(2, 128, "AES-128")
        reader.expect(2, ALG_CFB, "CFB")
    else:
        reader.expect(2, ALG_NULL, "no symmetric algorithm")


def _take_ecc(reader: Reader, purpose: str) -> ec.EllipticCurvePublicKey:
    if purpose == ENDORSEMENT:
        reader.expect(2, ALG_NULL, "no signing scheme")
    else:
        reader.expect(2, ALG_ECDSA, "ECDSA")
        reader.expect(2, ALG_SHA256, "SHA-256")
    reader.expect(2, CURVE_P256, "P-256")
    reader.expect(2, ALG_NULL, "no key derivation")
    # Some TPMs leave leading zeros out; the name covers the bytes as they stand, the key is the number.
    x, y = (reader.sized(_COORDINATE_BYTES).rjust(_COORDINATE_BYTES, b"\0") for _ in range(2))
    return cose.public_key(x + y)


def _take_rsa(reader: Reader) -> rsa.RSAPublicKey:
    reader.expect(2, ALG_NULL, "no scheme")
    reader.expect(2, 8 * _RSA_BYTES, "RSA-2048")
    exponent = reader.uint(4) or _DEFAULT_EXPONENT
    modulus = int.from_bytes(reader.sized(_RSA_BYTES), "big")
    if exponent != _DEFAULT_EXPONENT or modulus.bit_length() != 8 * _RSA_BYTES or not modulus & 1:
        raise reader.fault("an RSA-2048 key with exponent 65537", "another key")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)
