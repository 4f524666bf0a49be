# SPDX-License-Identifier: Apache-2.0
"""Keys in encrypted files: PKCS #8 PEM (PBES2, AES-256), mode 0600 in a folder of 0700.

After a crash a file is complete or absent. The encryption protects copies of the folder without the passphrase
(backups, disks, snapshots). It does not protect against a reader of both folder and passphrase, nor of this process's
memory.

A folder without encryption is encrypted in place: first the protection file, then each key file is replaced. After an
interruption every key is there, plain or encrypted, and the next start goes on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from armillary.engines.durable import sync_folder, write_file
from armillary.engines.signer import passphrase as passphrases
from armillary.engines.signer.access import access_fault
from armillary.errors import DataFolderError

KEY_MODE: Final = 0o600

_NAME: Final = re.compile(r"[a-z0-9-]{1,100}")
_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PLAIN: Final = b"-----BEGIN PRIVATE KEY-----"
_REMEDY: Final = "Restore the keys folder from a backup; without it certificates cannot be issued."


class FileSigners:
    """The keys of one folder. Not thread-safe: two threads may load a key twice, which does no harm.

    ``password`` is the PKCS #8 password of its files (:mod:`armillary.engines.signer.passphrase`).
    """

    def __init__(self, folder: Path, password: bytes) -> None:
        self._folder = folder
        self._password = password
        self._loaded: dict[str, ec.EllipticCurvePrivateKey] = {}

    def __repr__(self) -> str:
        return f"FileSigners({self._folder})"

    def path(self, name: str) -> Path:
        """The file of a key."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"key name: lower-case letters, digits and - expected, got {name!r}")
        return self._folder / f"{name}.pem"

    def create(self, name: str, curve: ec.EllipticCurve, *, plain: bool = False) -> ec.EllipticCurvePrivateKey:
        """Make a key on P-256 or P-384 and write it.

        ``plain`` leaves it unencrypted, for a key that another library reads from its file.

        Raises:
            DataFolderError: the disk refuses.
        """
        key = ec.generate_private_key(curve)
        write_file(self.path(name), self._pem(key, plain=plain), mode=KEY_MODE)
        self._loaded[name] = key
        return key

    def load(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A key that was made before, decrypted once and then kept in memory.

        Raises:
            DataFolderError: missing, damaged, or readable or owned by others.
        """
        if name not in self._loaded:
            self._loaded[name] = self._read(self.path(name))
        return self._loaded[name]

    def create_ed25519(self, name: str) -> Ed25519PrivateKey:
        """Make an Ed25519 key and write it, encrypted; raises as :meth:`create`."""
        key = Ed25519PrivateKey.generate()
        write_file(self.path(name), self._pem(key, plain=False), mode=KEY_MODE)
        return key

    def load_ed25519(self, name: str) -> Ed25519PrivateKey:
        """An Ed25519 key that was made before; raises as :meth:`load`."""
        key = self._read_any(self.path(name))
        if not isinstance(key, Ed25519PrivateKey):
            raise DataFolderError(f"{self.path(name)} holds no Ed25519 key", remedy=_REMEDY)
        return key

    def names(self, start: str) -> list[str]:
        """The names of keys that begin with ``start``, sorted."""
        return sorted(path.stem for path in self._folder.glob(f"{start}*.pem"))

    def remove(self, name: str) -> None:
        """Delete a key for good; does nothing where there is none."""
        self._loaded.pop(name, None)
        self.path(name).unlink(missing_ok=True)
        sync_folder(self._folder)

    def encrypt_plain(self, chosen: Callable[[str], bool]) -> int:
        """Encrypt the plain key files whose name is ``chosen``; returns how many there were.

        Raises:
            DataFolderError: one cannot be read or replaced; those before it are encrypted.
        """
        count = 0
        for path in sorted(self._folder.glob("*.pem")):
            if not chosen(path.stem):
                continue
            with path.open("rb") as file:
                is_plain = file.read(len(_PLAIN)) == _PLAIN
            if is_plain:
                write_file(path, self._pem(self._read(path), plain=False), mode=KEY_MODE)
                count += 1
        return count

    def _pem(self, key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, *, plain: bool) -> bytes:
        encryption = serialization.NoEncryption() if plain else serialization.BestAvailableEncryption(self._password)
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def _read(self, path: Path) -> ec.EllipticCurvePrivateKey:
        key = self._read_any(path)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise DataFolderError(f"{path} holds no elliptic curve key", remedy=_REMEDY)
        return key

    def _read_any(self, path: Path) -> PrivateKeyTypes:
        try:
            with path.open("rb") as file:
                if fault := access_fault(os.fstat(file.fileno())):
                    raise DataFolderError(
                        f"{path} {fault}", remedy=f"Own it and chmod 600 {path}; then consider whether it leaked."
                    )
                pem = file.read()
            password = self._password if pem.startswith(_ENCRYPTED) else None
            return serialization.load_pem_private_key(pem, password=password)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DataFolderError(f"{path} cannot be read ({error})", remedy=_REMEDY) from error


def open_folder(folder: Path, source: passphrases.PassphraseSource, *, encrypted: Callable[[str], bool]) -> FileSigners:
    """The keys of a folder, which is protected first where it is not; keys whose name is ``encrypted`` are encrypted.

    Raises:
        KeyPassphraseError: no passphrase, or a wrong one.
        DataFolderError: the folder cannot be read or written.
    """
    protect = passphrases.unlock if passphrases.is_protected(folder) else passphrases.protect
    signers = FileSigners(folder, protect(folder, source))
    signers.encrypt_plain(encrypted)
    return signers
