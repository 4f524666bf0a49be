# SPDX-License-Identifier: Apache-2.0
"""TUF's metadata as the package ``tuf`` has it, and our keys as its keys and signers. Imported when first needed.

The package brings signers for clouds' key services and imports the clouds' libraries where they happen to be installed
(4 MB of memory for Azure's). None of them is used here: they count as absent while it is imported.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_absent = [name for name in ("azure",) if name not in sys.modules]
for _name in _absent:
    sys.modules[_name] = None  # type: ignore[assignment]  # Python lets an import fail where None stands
try:
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Key, Signature, Signer, SSlibKey
    from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
    from tuf.api.metadata import (
        DelegatedRole,
        Delegations,
        Metadata,
        MetaFile,
        Role,
        Root,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )
    from tuf.api.serialization import DeserializationError
    from tuf.api.serialization.json import JSONSerializer
finally:
    for _name in _absent:
        del sys.modules[_name]

__all__ = [
    "DelegatedRole",
    "Delegations",
    "DeserializationError",
    "Key",
    "KeySigner",
    "MetaFile",
    "Metadata",
    "RepositoryError",
    "Role",
    "Root",
    "SSlibKey",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
    "UnsignedMetadataError",
    "UnverifiedSignatureError",
    "key_of",
    "moment",
    "to_bytes",
]

SPEC_VERSION = "1.0.31"  # what the package writes


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
        """Refused: keys come from the key store."""
        raise NotImplementedError(f"{priv_key_uri}, {public_key}, {secrets_handler}")

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
