# SPDX-License-Identifier: Apache-2.0
"""Keys by the libcrypto of Python: the same as by another library, whatever the key, the signature and the message."""

from __future__ import annotations

import ctypes

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, strategies as some

from armillary.engines.equipment import trusted_key as module
from armillary.engines.equipment.trusted_key import MAX_PEM_BYTES, trusted_key
from armillary.errors import HostError, SignatureError
from armillary.wire.equipment.files.signing import PrivateKey, public_key, read_public_key
from armillary.wire.equipment.signed_file import TrustedKey

ELLIPTIC, EDWARDS = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
KEYS: tuple[PrivateKey, ...] = (ELLIPTIC, EDWARDS)
PEM = public_key(ELLIPTIC).pem.decode()


def signature_of(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def holds(key: TrustedKey, signature: bytes, message: bytes) -> bool:
    try:
        key.check(signature, message)
    except SignatureError:
        return False
    return True


@given(
    which=some.integers(0, 1), message=some.binary(max_size=300), at=some.integers(0, 80), change=some.integers(0, 255)
)
def test_both_libraries_say_the_same(which: int, message: bytes, at: int, change: int) -> None:
    key = KEYS[which]
    theirs = public_key(key)
    ours = trusted_key(theirs.pem.decode())
    assert ours.key_id == theirs.key_id
    good = signature_of(key, message)
    assert holds(ours, good, message)
    assert holds(theirs, good, message)
    other = bytearray(good)
    other[at % len(other)] ^= change
    for signature in (bytes(other), good[:at], good + bytes([change])):
        assert holds(ours, signature, message) is holds(theirs, signature, message)
    assert not holds(ours, good, message + b"x")
    assert not holds(trusted_key(public_key(KEYS[1 - which]).pem.decode()), good, message)


@pytest.mark.parametrize(
    "signature", [b"", b"\0", bytes(64), bytes(72), b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\x30\xff" * 5000]
)
@pytest.mark.parametrize("key", KEYS, ids=["p256", "ed25519"])
def test_what_cannot_be_a_signature_is_none(key: PrivateKey, signature: bytes) -> None:
    assert not holds(trusted_key(public_key(key).pem.decode()), signature, b"message")


def test_keys_of_other_kinds_are_refused() -> None:
    others = (
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
        ed448.Ed448PrivateKey.generate(),
    )
    for each in others:
        pem = each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(SignatureError, match="P-256 or Ed25519"):
            trusted_key(pem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----\n",
        PEM.replace("PUBLIC KEY", "CERTIFICATE"),
        PEM + PEM,
        PEM.replace("-----END", "AAAA\n-----END"),
        " " * (MAX_PEM_BYTES + 1),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureError, match="public key"):
        trusted_key(text)


def test_a_point_has_one_form() -> None:
    """A compressed point is the same key by another id."""
    point = ELLIPTIC.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    compressed = module.base64.b64encode(head + point).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{compressed}\n-----END PUBLIC KEY-----\n"
    found = trusted_key(pem)
    assert found.key_id == module.hashlib.sha256(head + point).hexdigest()
    assert read_public_key(pem).key_id == public_key(ELLIPTIC).key_id


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0", b"\x30\x00"])
def test_nothing_stands_behind_a_key(more: bytes) -> None:
    """It would be the same key by another id."""
    der = ELLIPTIC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = module.base64.b64encode(der + more).decode()
    with pytest.raises(SignatureError, match="one form"):
        trusted_key(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")


def test_a_python_without_openssl_3_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: not found")

    module._library.cache_clear()
    monkeypatch.setattr(module.ctypes, "CDLL", absent)
    with pytest.raises(HostError, match=r"expected libcrypto\.so\.3"):
        trusted_key(PEM)
    module._library.cache_clear()
