# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import struct
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.wire.tpm_samples import new_key, public_of

from armillary.errors import WireError
from armillary.wire.attestation import tpm_public as tpm
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose

KEY = new_key()
POINT = cose.point_of(KEY.public_key())
POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")  # PolicySecret(endorsement)
EK_ATTRIBUTES = (
    tpm.FIXED_TPM | tpm.FIXED_PARENT | tpm.SENSITIVE_DATA_ORIGIN | tpm.ADMIN_WITH_POLICY | tpm.RESTRICTED | tpm.DECRYPT
)
AES = struct.pack(">HHH", tpm.ALG_AES, 128, tpm.ALG_CFB)


def ecc_endorsement(attributes: int = EK_ATTRIBUTES) -> bytes:
    area = struct.pack(">HHI", tpm.ALG_ECC, tpm.ALG_SHA256, attributes) + sized(POLICY) + AES
    area += struct.pack(">HHH", tpm.ALG_NULL, tpm.CURVE_P256, tpm.ALG_NULL) + sized(POINT[:32]) + sized(POINT[32:])
    return sized(area)


def rsa_endorsement(modulus: bytes, *, bits: int = 2048, exponent: int = 0) -> bytes:
    area = struct.pack(">HHI", tpm.ALG_RSA, tpm.ALG_SHA256, EK_ATTRIBUTES) + sized(POLICY) + AES
    return sized(area + struct.pack(">HHI", tpm.ALG_NULL, bits, exponent) + sized(modulus))


def test_signing_keys_are_read_back():
    for restricted, purpose in ((True, tpm.ATTESTATION), (False, tpm.IDENTITY)):
        data = public_of(KEY, restricted=restricted)
        public = tpm.parse_public(data, purpose)
        assert public.point == POINT
        assert public.name == b"\0\x0b" + sha256(data[2:]).digest()
        assert len(public.name) == tpm.NAME_BYTES


def test_endorsement_keys_of_both_kinds_are_read():
    assert tpm.parse_public(ecc_endorsement(), tpm.ENDORSEMENT).point == POINT
    private = rsa.generate_private_key(65537, 2048)
    modulus = private.public_key().public_numbers().n.to_bytes(256, "big")
    public = tpm.parse_public(rsa_endorsement(modulus), tpm.ENDORSEMENT)
    assert public.key.public_numbers() == private.public_key().public_numbers()
    with pytest.raises(WireError, match="P-256 key"):
        _ = public.point
    for bad in (
        rsa_endorsement(modulus, bits=1024),
        rsa_endorsement(modulus, exponent=3),
        rsa_endorsement(b"\x01" + bytes(254) + b"\x01"),
        rsa_endorsement(modulus[:-1] + b"\x02"),
    ):
        with pytest.raises(WireError, match=r"RSA-2048"):
            tpm.parse_public(bad, tpm.ENDORSEMENT)


@pytest.mark.parametrize("missing", [tpm.FIXED_TPM, tpm.FIXED_PARENT, tpm.SENSITIVE_DATA_ORIGIN])
def test_a_key_that_may_leave_its_tpm_is_refused(missing: int):
    with pytest.raises(WireError, match="cannot leave it"):
        tpm.parse_public(ecc_endorsement(EK_ATTRIBUTES & ~missing), tpm.ENDORSEMENT)


@pytest.mark.parametrize(
    ("restricted", "purpose"), [(True, tpm.IDENTITY), (False, tpm.ATTESTATION), (True, tpm.ENDORSEMENT)]
)
def test_a_key_of_another_purpose_is_refused(restricted: bool, purpose: str):
    """An unrestricted key would sign a quote that software wrote: it must never pass as an attestation key."""
    with pytest.raises(WireError, match="exactly the uses"):
        tpm.parse_public(public_of(KEY, restricted=restricted), purpose)


def test_coordinates_without_leading_zeros_are_the_same_key_under_another_name():
    numbers = itertools.count(1)
    point = next(
        p for n in numbers if (p := cose.point_of(ec.derive_private_key(n, ec.SECP256R1()).public_key()))[0] == 0
    )
    padded = tpm.encode_signing_key(point, restricted=True)
    stripped = sized(padded[2:].replace(sized(point[:32]), sized(point[1:32])))
    one, other = (tpm.parse_public(data, tpm.ATTESTATION) for data in (padded, stripped))
    assert one.point == other.point == point
    assert one.name != other.name


def test_an_rsa_signing_key_is_refused():
    area = struct.pack(">HHI", tpm.ALG_RSA, tpm.ALG_SHA256, 0)
    with pytest.raises(WireError, match="algorithm 0x1"):
        tpm.parse_public(sized(area), tpm.ATTESTATION)


@pytest.mark.parametrize("size", range(0, len(public_of(KEY, restricted=True)), 5))
def test_every_truncation_is_refused(size: int):
    with pytest.raises(WireError):
        tpm.parse_public(public_of(KEY, restricted=True)[:size], tpm.ATTESTATION)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 10_485_760, public_of(KEY, restricted=True) + b"\0", b"\xff\xff", sized(b"")],
    ids=["nothing", "10 MiB of zeros", "a byte more", "a length beyond the end", "an empty area"],
)
def test_hostile_bytes_are_refused(data: bytes):
    with pytest.raises(WireError):
        tpm.parse_public(data, tpm.ATTESTATION)
