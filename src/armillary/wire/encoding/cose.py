# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 with ES256 (RFC 9052 §4.2, RFC 9053 §2.1): one signer, one algorithm, P-256 keys.

::

    COSE_Sign1_Tagged = #6.18([                     ; d2 84
        protected   : bstr .cbor { 1: -7, ... },    ; or a zero-length string for no parameters
        unprotected : { ... },
        payload     : bstr,
        signature   : bstr .size 64                 ; r || s, 32 bytes each, big endian
    ])
    Sig_structure = [ "Signature1", protected, external_aad, payload ]     ; what is signed, §4.4

Deviations from RFC 9052, on purpose:

- Tag 18 is required (the RFC allows leaving it out): a message says what it is.
- The payload is present (the RFC allows ``nil`` for content sent separately).
- The whole message is deterministic CBOR (``wire/encoding/cbor.py``); RFC 9052 §9 asks that only of what is signed.
- Exactly one place names the algorithm and it names ES256. The RFC's own examples put it into the
  unprotected header; that is accepted here because a P-256 key admits no other choice. Evidence and
  endorsements are stricter: ``wire/attestation/evidence.py`` accepts ``{1: -7}`` protected and nothing unprotected.
- A ``crit`` parameter (2) is refused: no extension is understood (RFC 9052 §3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from armillary.errors import SignatureError, WireError
from armillary.wire.encoding import cbor

# Largest message: evidence is about 600 bytes; the check-in request that carries it is limited to 64 KiB.
MAX_SIGN1_BYTES: Final = 16 * 1024

# Header parameters (RFC 9052 §3.1) and the algorithm (RFC 9053 §2.1).
HEADER_ALGORITHM: Final = 1
HEADER_CRITICAL: Final = 2
ES256: Final = -7
ES256_PROTECTED: Final = b"\xa1\x01\x26"  # {1: -7}

POINT_BYTES: Final = 64  # X || Y of a P-256 point
SIGNATURE_BYTES: Final = 64  # r || s
# DER of SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1, BIT STRING, uncompressed (RFC 5480).
SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
SPKI_BYTES: Final = len(SPKI_PREFIX) + POINT_BYTES

# Parsed public keys kept per process: parsing costs 5 us of a check-in's budget; an entry is 1.8 KB.
KEY_CACHE_ENTRIES: Final = 256

_TAG: Final = 0xD2  # tag 18
_ORDER: Final = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")  # n of P-256
_PRIME: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF  # p of P-256
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B  # b of P-256
_ZERO: Final = bytes(32)
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_CURVE: Final = ec.SECP256R1()
_PROFILE_HEAD: Final = b"\xd2\x84\x43" + ES256_PROTECTED + b"\xa0"  # what our own messages start with
_SIGNATURE_HEAD: Final = b"\x58\x40"
_STRUCTURE_HEAD: Final = b"\x84\x6aSignature1"
# The start of a Sig_structure of our own messages: the protected header {1: -7}, no external data.
_PROFILE_STRUCTURE_HEAD: Final = _STRUCTURE_HEAD + b"\x43" + ES256_PROTECTED + b"\x40"
# DER of a number of 32 bytes, by its highest bit: a set one needs a zero before it.
_INTEGER_HEADS: Final = (b"\x02\x20", b"\x02\x21\x00")
_SEQUENCE_HEADS: Final = (b"\x30\x44", b"\x30\x45", b"\x30\x46")  # of two such numbers


class UnverifiedSign1(NamedTuple):
    """A parsed COSE_Sign1 whose signature is not verified."""

    protected: bytes  # as received: a serialised map or zero bytes
    unprotected: Mapping[Any, Any]  # never trust them
    payload: bytes  # the signed content
    signature: bytes  # r || s, 64 bytes


def encode_sign1(
    payload: bytes, key: ec.EllipticCurvePrivateKey, *, external_aad: bytes = b"", protected: bytes = ES256_PROTECTED
) -> bytes:
    """Sign ``payload`` with a P-256 key by ES256 and return the tagged message.

    ``external_aad`` is signed but not sent, because the receiver knows it (RFC 9052 §4.3). ``protected`` is the encoded
    protected header, which names ES256 and may say more.
    """
    r, s = utils.decode_dss_signature(key.sign(_sig_structure(protected, external_aad, payload), _ECDSA))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    message_head = _PROFILE_HEAD if protected == ES256_PROTECTED else b"\xd2\x84" + _bstr(protected) + b"\xa0"
    return message_head + _bstr(payload) + _SIGNATURE_HEAD + signature


def parse_sign1(data: bytes, *, what: str = "COSE_Sign1", items: int | None = None) -> UnverifiedSign1:
    """Parse a COSE_Sign1 of the profile above without verifying its signature; raises WireError for others.

    ``items`` bounds what is decoded of it, as in :func:`armillary.wire.encoding.cbor.decode`.
    """
    if len(data) > MAX_SIGN1_BYTES:
        raise WireError(what, expected=f"at most {MAX_SIGN1_BYTES} bytes", got=f"{len(data)} bytes")
    message = _parse_profile(data)
    if message is not None:
        return message
    if not data or data[0] != _TAG:
        raise WireError(what, offset=0, expected="tag 18 (COSE_Sign1)", got=data[:1].hex() or "no bytes")
    fields = cbor.decode(data[1:], what=what, limit=MAX_SIGN1_BYTES, items=items)
    if type(fields) is not list or len(fields) != 4:
        raise WireError(what, expected="an array of 4", got=f"{type(fields).__name__}")
    protected, unprotected, payload, signature = fields
    if type(protected) is not bytes or type(payload) is not bytes or type(signature) is not bytes:
        raise WireError(what, expected="byte strings for protected, payload and signature", got="another type")
    if type(unprotected) is not dict:
        raise WireError(what, expected="a map of unprotected parameters", got=type(unprotected).__name__)
    if len(signature) != SIGNATURE_BYTES:
        raise WireError(what, expected=f"a signature of {SIGNATURE_BYTES} bytes", got=f"{len(signature)} bytes")
    _check_headers(protected, unprotected, what, items)
    return UnverifiedSign1(protected, unprotected, payload, signature)


def verify_sign1(
    message: UnverifiedSign1, key: ec.EllipticCurvePublicKey, *, external_aad: bytes = b"", what: str = "COSE_Sign1"
) -> bytes:
    """Check the signature and return the payload.

    ``key`` is the signer's P-256 key from a source that is already trusted, ``what`` names the message in errors.

    Raises:
        SignatureError: ``key`` did not make this signature over this content.
    """
    if key.curve.name != _CURVE.name:
        raise SignatureError(what, expected="a P-256 key", got=key.curve.name)
    # RFC 9052 §4.4 step 2: a protected header without parameters is signed as a zero-length string, also
    # where it was sent as an encoded empty map (a0).
    protected = b"" if message.protected == b"\xa0" else message.protected
    try:
        key.verify(
            _der_signature(message.signature, what), _sig_structure(protected, external_aad, message.payload), _ECDSA
        )
    except InvalidSignature as error:
        raise SignatureError(
            what, expected="a signature by the expected key", got="one that does not verify"
        ) from error
    return message.payload


@lru_cache(maxsize=KEY_CACHE_ENTRIES)
def public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 public key of X || Y, parsed once and cached; raises WireError if that is no point of the curve."""
    if len(point) != POINT_BYTES:
        raise WireError("P-256 key", expected=f"{POINT_BYTES} bytes X || Y", got=f"{len(point)} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + point)
    except ValueError as error:
        raise WireError("P-256 key", expected="a point of the curve", got="a pair that is none") from error


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """X || Y of a P-256 public key, 64 bytes."""
    encoded = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if len(encoded) != 1 + POINT_BYTES or key.curve.name != _CURVE.name:
        raise WireError("P-256 key", expected="a P-256 key", got=key.curve.name)
    return encoded[1:]


def check_point(point: bytes) -> None:
    """Check that X || Y is a point of P-256, else raise WireError (SP 800-186 §3.2.1.3).

    The cofactor is 1, so this is full validation. It is for keys that are certified but not used here: parsing one
    costs five times as much.
    """
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    on_curve = x < _PRIME and y < _PRIME and (y * y - (x * x - 3) * x - _B) % _PRIME == 0
    if len(point) != POINT_BYTES or not on_curve:
        raise WireError("P-256 key", expected="a point of the curve", got="a pair that is none")


def spki_from_point(point: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of X || Y (RFC 5480), 91 bytes. Does not check that the point is on the curve."""
    if len(point) != POINT_BYTES:
        raise WireError("P-256 key", expected=f"{POINT_BYTES} bytes X || Y", got=f"{len(point)} bytes")
    return SPKI_PREFIX + point


def point_from_spki(spki: bytes) -> bytes:
    """X || Y of a DER SubjectPublicKeyInfo; raises WireError for another key type, curve or point form."""
    if len(spki) != SPKI_BYTES or not spki.startswith(SPKI_PREFIX):
        raise WireError("P-256 key", expected="SubjectPublicKeyInfo of an uncompressed P-256 point", got="other bytes")
    return spki[len(SPKI_PREFIX) :]


def _parse_profile(data: bytes) -> UnverifiedSign1 | None:
    """The one form our own messages have, cut without a decoder; None for every other form.

    ``d2 84 43 a10126 a0`` payload head, payload, ``58 40`` signature. The length comes from the total size, the
    payload's head must be the shortest one for it, so exactly one spelling passes: the same one as below.
    """
    body = len(data) - len(_PROFILE_HEAD) - len(_SIGNATURE_HEAD) - SIGNATURE_BYTES
    if body < 1 or not data.startswith(_PROFILE_HEAD):
        return None
    start = len(_PROFILE_HEAD)
    head = 1 if body <= 24 else 2 if body <= 257 else 3
    payload = data[start + head : start + body]
    if data[start : start + head] != _bstr_head(len(payload)) or data[-66:-64] != _SIGNATURE_HEAD:
        return None
    return UnverifiedSign1(ES256_PROTECTED, {}, payload, data[-64:])


def _check_headers(protected: bytes, unprotected: Mapping[Any, Any], what: str, items: int | None) -> None:
    parameters: Any = {}
    if protected:
        parameters = cbor.decode(protected, what=f"{what} protected header", limit=MAX_SIGN1_BYTES, items=items)
        if type(parameters) is not dict:
            raise WireError(what, expected="a map of protected parameters", got=type(parameters).__name__)
    if parameters.keys() & unprotected.keys():
        raise WireError(what, expected="each header parameter once", got="one in both headers")
    if HEADER_CRITICAL in parameters or HEADER_CRITICAL in unprotected:
        raise WireError(what, expected="no critical extension", got="a crit parameter")
    algorithm = parameters.get(HEADER_ALGORITHM, unprotected.get(HEADER_ALGORITHM))
    if algorithm != ES256 or type(algorithm) is not int:
        raise WireError(what, expected="algorithm ES256 (-7)", got=f"{algorithm!r:.40}")


def _sig_structure(protected: bytes, external_aad: bytes, payload: bytes) -> bytes:
    if protected == ES256_PROTECTED and not external_aad:
        head = _PROFILE_STRUCTURE_HEAD
    else:
        head = _STRUCTURE_HEAD + _bstr(protected) + _bstr(external_aad)
    return b"".join((head, _bstr_head(len(payload)), payload))


def _bstr(content: bytes) -> bytes:
    return _bstr_head(len(content)) + content


def _bstr_head(size: int) -> bytes:
    """Head of a byte string of ``size`` bytes (RFC 8949 §3.1, major type 2)."""
    if size < 24:
        return bytes((0x40 | size,))
    if size < 0x100:
        return bytes((0x58, size))
    if size < 0x10000:
        return b"\x59" + size.to_bytes(2, "big")
    return b"\x5a" + size.to_bytes(4, "big")


def _der_signature(signature: bytes, what: str) -> bytes:
    """DER of r || s: ``SEQUENCE { INTEGER r, INTEGER s }`` for the verifier, 0 < r, s < n checked first."""
    r, s = signature[:32], signature[32:]
    if len(s) != 32 or not (_ZERO < r < _ORDER and _ZERO < s < _ORDER):  # big-endian bytes compare as numbers
        raise SignatureError(what, expected="r and s from 1 to n - 1", got="a number out of range")
    if r[0] and s[0]:  # 254 of 256: no leading zeros to take off
        r_high, s_high = r[0] >> 7, s[0] >> 7
        return b"".join((_SEQUENCE_HEADS[r_high + s_high], _INTEGER_HEADS[r_high], r, _INTEGER_HEADS[s_high], s))
    body = _der_integer(r) + _der_integer(s)
    return bytes((0x30, len(body))) + body


def _der_integer(number: bytes) -> bytes:
    number = number.lstrip(b"\0")
    if number[0] & 0x80:
        number = b"\0" + number
    return bytes((0x02, len(number))) + number
