# SPDX-License-Identifier: Apache-2.0
"""Our keys as TUF's keys and signers, and times and files as TUF has them. Imports ``tuf``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import Key, Signature, Signer, SSlibKey
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from armillary.errors import SignerError


class KeySigner(Signer):
    """A P-256 private key, in memory or in a token, as a signer of metadata (ecdsa-sha2-nistp256)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, public: Key) -> None:
        self._key = key
        self._public = public

    @property
    def public_key(self) -> Key:
        """Its public half."""
        return self._public

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Key, secrets_handler: Any = None) -> KeySigner:
        """SignerError always: keys come from the key store, never from an address, which may hold a secret."""
        del priv_key_uri, secrets_handler
        raise SignerError(
            f"the key {public_key.keyid[:16]}... cannot be opened by an address",
            remedy="Keys are opened by the service's key store.",
        )

    def sign(self, payload: bytes) -> Signature:
        """An ECDSA signature with SHA-256 over the canonical bytes, DER in hex.

        Raises:
            SignerError: a token that does not answer.
        """
        return Signature(self._public.keyid, self._key.sign(payload, ec.ECDSA(hashes.SHA256())).hex())


def key_of(public: ec.EllipticCurvePublicKey) -> SSlibKey:
    """A P-256 public key as TUF's; its key id is the SHA-256 of its canonical form (TUF 1.0.33 §4.2)."""
    return SSlibKey.from_crypto(public)


def moment(seconds: int) -> datetime:
    """Unix seconds UTC as TUF's metadata has them."""
    return datetime.fromtimestamp(seconds, UTC)


def to_bytes(metadata: Metadata[Any]) -> bytes:
    """The file of metadata."""
    return metadata.to_bytes(JSONSerializer(compact=True))
