# SPDX-License-Identifier: Apache-2.0
"""Signed files: what a trusted key signed as this type is taken, nothing else; DSSE's own example, and a foreign reader."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, strategies as some
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from armillary.engines.equipment.trusted_key import trusted_key
from armillary.errors import SignatureError
from armillary.wire.equipment.files.signing import (
    PrivateKey,
    add_signature,
    public_key,
    read_private_key,
    read_public_key,
    sign,
)
from armillary.wire.equipment.signed_file import (
    FIRMWARE,
    MAX_ENVELOPE_BYTES,
    PROFILE,
    RECIPE,
    TrustedKey,
    pre_authentication,
    read_envelope,
    verify,
)

ELLIPTIC, EDWARDS, OTHER = (
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
    ec.generate_private_key(ec.SECP256R1()),
)
PAYLOAD = b'{"profile":"guard/coffee"}'
KEYS = pytest.mark.parametrize("key", [ELLIPTIC, EDWARDS], ids=["p256", "ed25519"])


def key_id(key: PrivateKey) -> str:
    return public_key(key).key_id


def trusted(key: PrivateKey) -> TrustedKey:
    """As a guardian has it; what people verify with says the same (``tests/engines/equipment/test_trusted_key.py``)."""
    return trusted_key(public_key(key).pem.decode())


def changed(envelope: bytes, **members: Any) -> bytes:
    return json.dumps({**json.loads(envelope), **members}).encode()


@KEYS
def test_what_was_signed_is_verified(key: PrivateKey) -> None:
    envelope = sign(PROFILE, PAYLOAD, key)
    verified = verify(envelope, [trusted(OTHER), trusted(key)], PROFILE)
    assert (verified.payload_type, verified.payload, verified.key_id) == (PROFILE, PAYLOAD, key_id(key))


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@KEYS
def test_a_foreign_reader_verifies_ours_and_we_verify_its(key: PrivateKey) -> None:
    """securesystemslib's DSSE, an implementation of somebody else."""
    foreign = SSlibKey.from_crypto(key.public_key(), key_id(key))
    envelope = Envelope.from_dict(json.loads(sign(PROFILE, PAYLOAD, key)))
    assert envelope.payload == PAYLOAD
    assert envelope.verify([foreign], 1)
    with pytest.raises(VerificationError):
        envelope.verify([SSlibKey.from_crypto(OTHER.public_key(), "other")], 1)

    theirs = Envelope(PAYLOAD, RECIPE, {})
    theirs.sign(CryptoSigner(key, foreign))
    assert verify(json.dumps(theirs.to_dict()).encode(), [trusted(key)], RECIPE).payload == PAYLOAD


@KEYS
def test_a_signature_is_of_one_type_one_payload_and_one_key(key: PrivateKey) -> None:
    envelope, keys = sign(PROFILE, PAYLOAD, key), [trusted(key)]
    for wrong in (
        changed(envelope, payloadType=RECIPE),
        changed(envelope, payload=base64.b64encode(PAYLOAD + b" ").decode()),
        changed(envelope, signatures=[{"keyid": key_id(key), "sig": base64.b64encode(bytes(64)).decode()}]),
        changed(envelope, signatures=[]),
        changed(envelope, signatures=json.loads(envelope)["signatures"] * 17),
    ):
        for payload_type in (PROFILE, RECIPE):
            with pytest.raises(SignatureError):
                verify(wrong, keys, payload_type)
    with pytest.raises(SignatureError):
        verify(envelope, [trusted(OTHER)], PROFILE)
    with pytest.raises(SignatureError):
        verify(envelope, [], PROFILE)
    with pytest.raises(SignatureError):
        verify(envelope, keys, FIRMWARE)


def test_a_key_id_is_only_a_hint() -> None:
    document = json.loads(sign(PROFILE, PAYLOAD, ELLIPTIC))
    document["signatures"][0]["keyid"] = key_id(OTHER)
    assert verify(json.dumps(document).encode(), [trusted(ELLIPTIC)], PROFILE).payload == PAYLOAD
    with pytest.raises(SignatureError):
        verify(json.dumps(document).encode(), [trusted(OTHER)], PROFILE)


def test_what_was_changed_after_signing_is_told_from_what_another_key_signed() -> None:
    document = json.loads(sign(PROFILE, PAYLOAD, ELLIPTIC))
    with pytest.raises(SignatureError, match="signature of a trusted key"):
        verify(json.dumps(document).encode(), [trusted(OTHER)], PROFILE)
    document["signatures"][0]["keyid"] = "me"
    with pytest.raises(SignatureError, match=r"got one of me$"):
        verify(json.dumps(document).encode(), [trusted(OTHER)], PROFILE)
    document["signatures"][0]["keyid"] = key_id(ELLIPTIC)
    document["payload"] = base64.b64encode(PAYLOAD + b" ").decode()
    with pytest.raises(SignatureError, match="what was signed, got something else"):
        verify(json.dumps(document).encode(), [trusted(ELLIPTIC)], PROFILE)


def test_several_people_may_sign_and_either_base64_is_taken() -> None:
    once = read_envelope(sign(PROFILE, PAYLOAD, ELLIPTIC))
    twice = add_signature(once, EDWARDS)
    assert {verify(twice, [trusted(key)], PROFILE).key_id for key in (ELLIPTIC, EDWARDS)} == {
        key_id(ELLIPTIC),
        key_id(EDWARDS),
    }
    assert len(read_envelope(add_signature(read_envelope(twice), EDWARDS)).signatures) == 2
    document = json.loads(twice)
    for each in (document, *document["signatures"]):
        key = "sig" if "sig" in each else "payload"
        each[key] = each[key].replace("+", "-").replace("/", "_")
    urlsafe = json.dumps(document).encode()
    assert verify(urlsafe, [trusted(ELLIPTIC)], PROFILE).payload == PAYLOAD


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"payload":1,"payloadType":"x","signatures":[]}', b"[" * 100_000,
     b'{"payload":"","payload":"","payloadType":"x","signatures":[{"sig":""}]}',
     b'{"payload":"*","payloadType":"x","signatures":[{"sig":""}]}',
     b'{"payload":"","payloadType":5,"signatures":[{"sig":""}]}',
     b'{"payload":"","payloadType":"x","signatures":[{"sig":"","keyid":7}]}',
     b'{"payload":"","payloadType":"x","signatures":[{"keyid":"a"}]}',
     b" " * (MAX_ENVELOPE_BYTES + 1)],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(SignatureError):
        read_envelope(data)


def test_limits_of_envelopes_are_named() -> None:
    with pytest.raises(SignatureError, match=f"at most {MAX_ENVELOPE_BYTES} bytes"):
        read_envelope(b" " * (MAX_ENVELOPE_BYTES + 1))
    document = json.loads(sign(PROFILE, PAYLOAD, EDWARDS))
    document["signatures"][0]["keyid"] = "x" * 256
    assert read_envelope(json.dumps(document).encode()).signatures[0][0] == "x" * 256
    document["signatures"][0]["keyid"] += "x"
    with pytest.raises(SignatureError, match="keyid"):
        read_envelope(json.dumps(document).encode())


def test_keys_are_of_two_kinds() -> None:
    for key in (ELLIPTIC, EDWARDS):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert read_public_key(public.decode()).key_id == key_id(read_private_key(pem))
    for refused in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(SignatureError, match="P-256"):
            read_public_key(refused.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(SignatureError, match="P-256"):
            read_private_key(refused.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for none in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(SignatureError):
            read_public_key(none)
        with pytest.raises(SignatureError):
            read_private_key(none)


@given(at=some.integers(0, 2000), bit=some.integers(0, 7))
def test_no_flipped_bit_of_an_envelope_changes_what_is_verified(at: int, bit: int) -> None:
    data = bytearray(ENVELOPE)
    data[at % len(data)] ^= 1 << bit
    try:
        verified = verify(bytes(data), [trusted(EDWARDS)], PROFILE)
    except SignatureError:
        return
    assert verified.payload == PAYLOAD  # Of a hint, a space, or a base64 letter that carries no bit


ENVELOPE = sign(PROFILE, PAYLOAD, EDWARDS)
