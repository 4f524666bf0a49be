# SPDX-License-Identifier: Apache-2.0
"""Derives from a passphrase the key that encrypts the key files of one folder.

``protection.json`` beside the keys holds salt and cost of scrypt (RFC 7914) and a check value, so that a wrong
passphrase is reported as one. The derived 256 bits are the PKCS #8 password of every key file: scrypt runs once per
start, not once per key. A generated passphrase has 256 random bits, which no cost can make harder to guess: it gets the
lowest cost.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from hashlib import scrypt, sha256
from pathlib import Path
from typing import Final

from armillary.engines.durable import write_file
from armillary.engines.signer.access import read_secret
from armillary.errors import DataFolderError, KeyPassphraseError

PROTECTION_FILE: Final = "protection.json"
PROTECTION_VERSION: Final = 1  # 1 (2026-11): first
SECRET_MODE: Final = 0o600
SALT_BYTES: Final = 16
MIN_PASSPHRASE_CHARS: Final = 12  # what a person chose; fewer are guessed offline whatever scrypt costs
MAX_PASSPHRASE_BYTES: Final = 1024
GENERATED_BYTES: Final = 32

# (n, r, p): 16 MiB and a fifth of a second, as OWASP's password storage guide has it; and the cheapest.
PERSONS_COST: Final = (1 << 14, 8, 5)
GENERATED_COST: Final = (1 << 10, 8, 1)
# What a protection file may ask for: it lies in a folder that others might write to.
MAX_COST: Final = (1 << 20, 32, 16)
_MEMORY_BYTES: Final = 1 << 28

_CHECK: Final = b"armillary key protection"
_REMEDY: Final = "Restore the keys folder from a backup; without it certificates cannot be issued."


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where the passphrase of a folder comes from."""

    passphrase: str  # Itself, from a setting; empty: read from the file
    file: Path  # The file that holds it, named by a setting or the one made at the first start
    generated: bool  # The file is not named by a setting: it is made when the folder has no protection yet

    def __repr__(self) -> str:
        return f"PassphraseSource({self.place})"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return "the setting key_passphrase" if self.passphrase else str(self.file)

    def read(self) -> str:
        """The passphrase.

        Raises:
            KeyPassphraseError: no file, or one that others can read or own, or with nothing usable in it.
        """
        if self.passphrase:
            return self._checked(self.passphrase, self.place)
        remedy = f"Own it and chmod 600 {self.file}; consider whether it leaked."
        text = read_secret(self.file, MAX_PASSPHRASE_BYTES, KeyPassphraseError, remedy)
        return self._checked(text, self.place)

    @staticmethod
    def _checked(text: str, place: str) -> str:
        if len(text) < MIN_PASSPHRASE_CHARS or len(text.encode()) > MAX_PASSPHRASE_BYTES:
            raise KeyPassphraseError(
                f"{place}: expected {MIN_PASSPHRASE_CHARS} characters to {MAX_PASSPHRASE_BYTES} bytes"
            )
        return text

    def make(self) -> None:
        """Make the file with a random passphrase, unless it exists.

        Raises:
            KeyPassphraseError: it cannot be made.
        """
        if self.passphrase or not self.generated or self.file.exists():
            return
        try:
            write_file(self.file, os.urandom(GENERATED_BYTES).hex().encode() + b"\n", mode=SECRET_MODE)
        except DataFolderError as error:
            raise KeyPassphraseError(
                f"a passphrase for the private keys cannot be kept: {error.message}",
                remedy="Name a file that holds one with ARMILLARY_KEY_PASSPHRASE_FILE.",
            ) from error


def is_protected(folder: Path) -> bool:
    """Whether the folder has its protection file."""
    return (folder / PROTECTION_FILE).exists()


def protect(folder: Path, source: PassphraseSource) -> bytes:
    """Write the folder's protection file; returns the password of its key files.

    The passphrase is made first and the protection file written last: after an interruption between them, the next
    start goes on with the same passphrase. No key may be encrypted before.

    Raises:
        KeyPassphraseError: there is no passphrase.
        DataFolderError: the disk refuses.
    """
    source.make()
    n, r, p = GENERATED_COST if source.generated and not source.passphrase else PERSONS_COST
    salt = os.urandom(SALT_BYTES)
    password = _derive(source.read(), salt, n, r, p)
    document = {
        "version": PROTECTION_VERSION,
        "kdf": "scrypt",
        "n": n,
        "r": r,
        "p": p,
        "salt": salt.hex(),
        "check": _check_value(password),
    }
    write_file(folder / PROTECTION_FILE, json.dumps(document, indent=1).encode() + b"\n", mode=SECRET_MODE)
    return password


def unlock(folder: Path, source: PassphraseSource) -> bytes:
    """The password of the folder's key files.

    Raises:
        KeyPassphraseError: there is no passphrase, or it is another folder's.
        DataFolderError: the protection file is damaged.
    """
    path = folder / PROTECTION_FILE
    try:
        document = json.loads(path.read_bytes())
        version, kdf = document["version"], document["kdf"]
        cost = tuple(int(document[name]) for name in ("n", "r", "p"))
        salt, check = bytes.fromhex(document["salt"]), bytes.fromhex(document["check"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFolderError(f"{path} cannot be read ({error})", remedy=_REMEDY) from error
    if (version, kdf) != (PROTECTION_VERSION, "scrypt"):
        raise DataFolderError(
            f"{path}: expected version {PROTECTION_VERSION} with scrypt, got {version!r:.20} with {kdf!r:.20}",
            remedy="Start it with the version that made it.",
        )
    n, r, p = cost
    is_allowed = all(1 <= value <= most for value, most in zip(cost, MAX_COST, strict=True))
    if not is_allowed or n & (n - 1) or n < 2 or 128 * r * (n + p + 2) > _MEMORY_BYTES:  # RFC 7914 §2 and §6
        raise DataFolderError(f"{path}: its cost is out of limits", remedy=_REMEDY)
    password = _derive(source.read(), salt, n, r, p)
    if not hmac.compare_digest(bytes.fromhex(_check_value(password)), check):
        raise KeyPassphraseError(f"the passphrase in {source.place} is not that of {folder}")
    return password


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32).hex().encode()


def _check_value(password: bytes) -> str:
    return hmac.new(password, _CHECK, sha256).hexdigest()
