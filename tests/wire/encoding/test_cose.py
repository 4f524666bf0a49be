# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from armillary.errors import SignatureError, WireError
from armillary.identity.dice import alias_key
from armillary.wire.encoding import cbor, cose

KEY = alias_key(b"k" * 32)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def message(
    protected: bytes = cose.ES256_PROTECTED,
    unprotected: Any = None,
    payload: bytes = b"payload",
    signature: bytes = bytes(64),
):
    return b"\xd2" + cbor.encode([protected, unprotected or {}, payload, signature])


@pytest.mark.parametrize("size", [0, 1, 23, 24, 25, 255, 256, 257, 1000, 16_000])
def test_round_trip(size: int):
    payload = bytes(size)
    data = cose.encode_sign1(payload, KEY, external_aad=b"aad")
    parsed = cose.parse_sign1(data)
    assert cose.verify_sign1(parsed, KEY.public_key(), external_aad=b"aad") == payload
    assert cbor.encode(cbor.decode(data[1:], what="t", limit=20_000)) == data[1:]
    with pytest.raises(SignatureError):
        cose.verify_sign1(parsed, KEY.public_key())
    with pytest.raises(SignatureError):
        cose.verify_sign1(parsed, alias_key(b"x" * 32).public_key(), external_aad=b"aad")


def test_fast_and_general_parser_agree():
    data = cose.encode_sign1(b"x" * 100, KEY)
    assert cose._parse_profile(data) == cose.parse_sign1(data)
    longer = b"\xd2\x84\x43" + cose.ES256_PROTECTED + b"\xa0\x59\x00\x64" + data[10:]  # payload length in 2 bytes
    assert cose._parse_profile(longer) is None
    with pytest.raises(WireError, match="deterministic"):
        cose.parse_sign1(longer)


@pytest.mark.parametrize("protected", [b"", b"\xa0"])
def test_protected_header_without_parameters_is_signed_as_empty(protected: bytes):
    """RFC 9052 §4.4 step 2."""
    structure = cbor.encode(["Signature1", b"", b"", b"payload"])
    r, s = decode_dss_signature(KEY.sign(structure, cose._ECDSA))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    parsed = cose.parse_sign1(message(protected, {1: -7}, signature=signature))
    assert cose.verify_sign1(parsed, KEY.public_key()) == b"payload"


REFUSED = {
    "nothing": b"",
    "no tag": message()[1:],
    "another tag": b"\xd1" + message()[1:],
    "tag 18 in two bytes": b"\xd8\x12" + message()[1:],
    "trailing byte": message() + b"\0",
    "truncated": message()[:-1],
    "three items": b"\xd2" + cbor.encode([b"", {}, b""]),
    "a map": b"\xd2" + cbor.encode({1: 2}),
    "detached payload": b"\xd2" + cbor.encode([cose.ES256_PROTECTED, {}, None, bytes(64)]),
    "text payload": b"\xd2" + cbor.encode([cose.ES256_PROTECTED, {}, "x", bytes(64)]),
    "unprotected no map": b"\xd2" + cbor.encode([cose.ES256_PROTECTED, [], b"x", bytes(64)]),
    "signature of 63": message(signature=bytes(63)),
    "signature of 65": message(signature=bytes(65)),
    "DER signature": message(signature=KEY.sign(b"x", cose._ECDSA)),
    "no algorithm": message(b""),
    "algorithm twice": message(unprotected={1: -7}),
    "ES384": message(cbor.encode({1: -35})),
    "algorithm true": message(cbor.encode({1: True})),
    "algorithm by name": message(cbor.encode({1: "ES256"})),
    "critical": message(cbor.encode({1: -7, 2: [1]})),
    "critical unprotected": message(unprotected={2: [1]}),
    "protected no map": message(cbor.encode([1])),
    "protected not deterministic": message(b"\xa1\x18\x01\x26"),
    "protected with duplicate": message(b"\xa2\x01\x26\x01\x26"),
    "protected with trailing": message(cose.ES256_PROTECTED + b"\0"),
    "too large": message(payload=bytes(cose.MAX_SIGN1_BYTES)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_forms_are_refused(name: str):
    with pytest.raises(WireError):
        cose.parse_sign1(REFUSED[name])


def test_forms_positive_control():
    assert cose.parse_sign1(message()).payload == b"payload"
    assert cose.parse_sign1(message(cbor.encode({1: -7, 3: "x"}), {4: b"kid"})).unprotected == {4: b"kid"}


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 1), (1, 2**256 - 1), (0, 0)])
def test_r_and_s_out_of_range(r: int, s: int):
    parsed = cose.parse_sign1(message(signature=r.to_bytes(32, "big") + s.to_bytes(32, "big")))
    with pytest.raises(SignatureError, match="out of range"):
        cose.verify_sign1(parsed, KEY.public_key())


@pytest.mark.parametrize(("r", "s"), [(1, 1), (ORDER - 1, ORDER - 1), (0x80, 0x7F), (2**255, 2**248)])
def test_r_and_s_in_range_reach_the_verifier(r: int, s: int):
    parsed = cose.parse_sign1(message(signature=r.to_bytes(32, "big") + s.to_bytes(32, "big")))
    with pytest.raises(SignatureError, match="does not verify"):
        cose.verify_sign1(parsed, KEY.public_key())


def test_other_curve_is_refused():
    parsed = cose.parse_sign1(cose.encode_sign1(b"x", KEY))
    with pytest.raises(SignatureError, match="P-256"):
        cose.verify_sign1(parsed, ec.generate_private_key(ec.SECP384R1()).public_key())


def test_points_and_keys():
    point = cose.point_of(KEY.public_key())
    assert cose.point_of(cose.public_key(point)) == point
    assert cose.point_from_spki(cose.spki_from_point(point)) == point
    cose.check_point(point)
    with pytest.raises(WireError):
        cose.point_of(ec.generate_private_key(ec.SECP384R1()).public_key())
    for wrong in (point[:-1], bytes(64), point[:63] + bytes([point[63] ^ 1]), b"\xff" * 64):
        with pytest.raises(WireError):
            cose.public_key(wrong)
        with pytest.raises(WireError):
            cose.check_point(wrong)
    for wrong in (b"", cose.spki_from_point(point)[:-1], b"\x31" + cose.spki_from_point(point)[1:]):
        with pytest.raises(WireError):
            cose.point_from_spki(wrong)
    with pytest.raises(WireError):
        cose.spki_from_point(point[:-1])


def test_x_beyond_the_field_is_no_second_spelling_of_a_point():
    # p + x fits 32 bytes for small x; x = 5 is on the curve (y found here), p + 5 must not pass for it
    prime = cose._PRIME
    x = 5
    y = pow((x**3 - 3 * x + cose._B) % prime, (prime + 1) // 4, prime)
    assert y * y % prime == (x**3 - 3 * x + cose._B) % prime
    cose.check_point(x.to_bytes(32, "big") + y.to_bytes(32, "big"))
    with pytest.raises(WireError):
        cose.check_point((x + prime).to_bytes(32, "big") + y.to_bytes(32, "big"))
