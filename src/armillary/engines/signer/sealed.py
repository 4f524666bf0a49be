# SPDX-License-Identifier: Apache-2.0
"""Encrypts secrets that are kept in a database (AES-256-GCM under a secret of the keys folder).

A symmetric key cannot be stored as a hash: whoever checks an HMAC needs it. So the database alone, or a copy of it, is
worth nothing to a thief; database and keys folder together are, as they are for every other key. What a sealed value is
for is part of what is authenticated: one device's key cannot be put in another's row.
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
    """Seals and opens.

    Args:
        secret: 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt; ``purpose`` says whose and what it is."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what :meth:`seal` made for the same purpose.

        Raises:
            DataFolderError: it is damaged, of another purpose, or the keys folder is another one.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise DataFolderError(
                "a sealed key does not open with the secret in the keys folder",
                remedy="Restore database and keys folder from the same backup, or make new keys for the device.",
            ) from error
