# SPDX-License-Identifier: Apache-2.0
"""Private keys in files: PKCS#8 PEM, mode 0600, in a folder of mode 0700, whole or not at all after a crash.

A key never leaves this process; an HSM would take this file's place.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records.folder import write_file
from armillary.errors import DataFolderError

KEY_MODE = 0o600

_NAME = re.compile(r"[a-z0-9-]{1,100}")
_REMEDY = "Restore the keys folder from a backup; without it certificates cannot be issued."


class KeyStore:
    """The keys folder of a service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, ec.EllipticCurvePrivateKey] = {}

    def __repr__(self) -> str:
        return f"KeyStore({self._folder})"

    def path(self, name: str) -> Path:
        """The file of a key."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"key name: lower-case letters, digits and - expected, got {name!r}")
        return self._folder / f"{name}.pem"

    def create(self, name: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        """Make a key and write it.

        Raises:
            DataFolderError: the disk refuses.
        """
        key = ec.generate_private_key(curve)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_file(self.path(name), pem, mode=KEY_MODE)
        self._loaded[name] = key
        return key

    def load(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A key that was made before.

        Raises:
            DataFolderError: missing, damaged, or readable by others.
        """
        if name not in self._loaded:
            path = self.path(name)
            try:
                if stat.S_IMODE(path.stat().st_mode) & 0o077:
                    raise DataFolderError(
                        f"{path} can be read by other users",
                        remedy=f"chmod 600 {path}; then consider whether it leaked.",
                    )
                key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise DataFolderError(f"{path} cannot be read ({error})", remedy=_REMEDY) from error
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise DataFolderError(f"{path} holds no elliptic curve key", remedy=_REMEDY)
            self._loaded[name] = key
        return self._loaded[name]

    def create_secret(self, name: str, secret: bytes) -> None:
        """Write a symmetric secret."""
        write_file(self._folder / f"{name}.bin", secret, mode=KEY_MODE)

    def secret(self, name: str, size: int) -> bytes:
        """A symmetric secret of ``size`` bytes.

        Raises:
            DataFolderError: missing or of another size.
        """
        path = self._folder / f"{name}.bin"
        try:
            found = path.read_bytes()
        except OSError as error:
            raise DataFolderError(f"{path} cannot be read ({error.strerror})", remedy=_REMEDY) from error
        if len(found) != size:
            raise DataFolderError(f"{path}: expected {size} bytes, got {len(found)}", remedy=_REMEDY)
        return found
