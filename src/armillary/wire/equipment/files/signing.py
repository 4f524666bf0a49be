# SPDX-License-Identifier: Apache-2.0
"""Signs files for guardians, and checks them where people work; no part of a guardian's image.

Source: as of ``signed_file.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from armillary.errors import SignatureError
from armillary.wire.equipment.signed_file import UnverifiedEnvelope, written

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that files may be signed with."""

    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

    @property
    def key_id(self) -> str:
        """SHA-256 of its SubjectPublicKeyInfo (DER), in hexadecimal."""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    @property
    def kind(self) -> str:
        """``ed25519`` or ``p256``."""
        return "ed25519" if isinstance(self.key, ed25519.Ed25519PublicKey) else "p256"

    @property
    def pem(self) -> bytes:
        """The key as people keep it."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def check(self, signature: bytes, message: bytes) -> None:
        """Raise SignatureError unless the key's owner signed this message."""
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise SignatureError("signature", expected=f"one by key {self.key_id[:16]}", got="another") from None


def public_key(key: PrivateKey) -> PublicKey:
    """The public half of a private key."""
    return PublicKey(key.public_key())


def sign(payload_type: str, payload: bytes, key: PrivateKey) -> bytes:
    """An envelope with one signature, as JSON."""
    return add_signature(UnverifiedEnvelope(payload_type, payload, ()), key)


def add_signature(envelope: UnverifiedEnvelope, key: PrivateKey) -> bytes:
    """The envelope with one more signature; an earlier one of the same key is replaced."""
    message = envelope.signed_bytes
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(message)
    else:
        signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    mine = public_key(key).key_id
    kept = [each for each in envelope.signatures if each[0] != mine]
    return written(UnverifiedEnvelope(envelope.payload_type, envelope.payload, (*kept, (mine, signature))))


def read_public_key(pem: str | bytes) -> PublicKey:
    """A key that files may be signed with. Raises SignatureError if it is none."""
    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("public key", expected="PEM, BEGIN PUBLIC KEY", got=f"{error!s:.80}") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PublicKey(key)
    raise SignatureError("public key", expected="P-256 or Ed25519", got=type(key).__name__)


def read_private_key(pem: bytes) -> PrivateKey:
    """A key to sign with. Raises SignatureError if it is none, or has a password."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError("private key", expected="PEM without password", got=type(error).__name__) from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SignatureError("private key", expected="P-256 or Ed25519", got=type(key).__name__)
