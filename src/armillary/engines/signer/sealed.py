# SPDX-License-Identifier: Apache-2.0
"""Encrypts secrets that are stored in a database: AES-256-GCM with a key in the keys folder.

A symmetric key cannot be stored as a hash, because checking an HMAC needs the key. Sealed, the database or a copy of it
reveals nothing without the keys folder. The purpose of a sealed value is authenticated with it: one device's key cannot
be moved to another device's row.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from armillary.errors import DataFolderError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D §8.2.2: random ones are good for 2^32 values of a key


class Sealer:
    """Encrypts and decrypts with a secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt; ``purpose`` names the value and its owner."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what :meth:`seal` returned for the same purpose.

        Raises:
            DataFolderError: it is damaged or of another purpose, or the keys folder is another one.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise DataFolderError(
                "a sealed key does not open with the secret in the keys folder",
                remedy="Restore database and keys folder from the same backup, or make new keys for the device.",
            ) from error
