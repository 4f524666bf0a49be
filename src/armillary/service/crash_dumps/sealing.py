# SPDX-License-Identifier: Apache-2.0
"""Encrypts dumps to the key of their group: HPKE in base mode with P-256, HKDF-SHA256 and AES-256-GCM (RFC 9180).

Whoever takes a dump from a device needs the public key alone. The private key is an encrypted file in the keys folder
like those of authorities (``service/authority/key_store.py``). Deleting the file erases every dump of the group, also
in copies of the database: nothing else opens them.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from armillary.errors import DataFolderError, NotFoundError
from armillary.service.authority.key_store import DUMP_KEYS, KeyStore

_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def make_key(keys: KeyStore, key_id: UUID) -> bytes:
    """Make the key file of an id, and return its public key (DER). Raises DataFolderError if the disk refuses."""
    public = keys.create(f"{DUMP_KEYS}{key_id}", ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def delete_key(keys: KeyStore, key_id: UUID) -> None:
    """Delete the key file of an id for good; does nothing where there is none."""
    keys.remove(f"{DUMP_KEYS}{key_id}")


def seal(public_key: bytes, plain: bytes, context: bytes) -> bytes:
    """Encrypt; ``context`` says what and whose it is."""
    public = load_der_public_key(public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey)  # noqa: S101 - made by make_key
    return _SUITE.encrypt(plain, public, info=context)


def unseal(keys: KeyStore, key_id: UUID, sealed: bytes, context: bytes) -> bytes:
    """Decrypt what :func:`seal` returned for the same context.

    Raises:
        NotFoundError: the key was deleted: the dump is erased.
        DataFolderError: it is damaged, or another's.
    """
    name = f"{DUMP_KEYS}{key_id}"
    if not keys.has(name):
        raise NotFoundError("the crash dump was erased: its key is deleted", remedy="Nothing opens it any more.")
    try:
        return _SUITE.decrypt(sealed, keys.load(name), info=context)
    except (InvalidTag, ValueError) as error:
        raise DataFolderError(
            "a crash dump does not open with the key of its group",
            remedy="Restore database and keys folder from the same backup, or delete the dump.",
        ) from error
