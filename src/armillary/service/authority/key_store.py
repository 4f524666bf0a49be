# SPDX-License-Identifier: Apache-2.0
"""Private keys and symmetric secrets of the service: which is kept where.

==========================  ==================================================================================
keys of                     kept
==========================  ==================================================================================
root, policy, catalog       in the PKCS #11 token where the settings name one, else in an encrypted file
root, targets of releases   the same; or offline, then not here (``service/repository``)
other authorities, signing  in an encrypted file: the issuing authority signs at every check-in, in memory
logs, dossiers              the same: Ed25519, which tokens are not asked for here
crash dumps of a group      the same: deleting the file erases them
the TLS server              in a plain file: TLS libraries read it themselves; it is renewed from the root
==========================  ==================================================================================

A key stays where it was made: naming a token later moves none, it takes the keys that are made from then on.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from armillary.engines.durable import write_file
from armillary.engines.signer.file import KEY_MODE, open_folder
from armillary.engines.signer.passphrase import PassphraseSource, is_protected
from armillary.engines.signer.pkcs11 import TokenAddress, TokenSigners
from armillary.engines.signer.port import SignerKey
from armillary.errors import DataFolderError, InvalidArgumentError, KeyPassphraseError
from armillary.service.authority.issued import serial_text
from armillary.settings import Settings

PLAIN_KEYS: Final = frozenset({"server"})
TOKEN_KEYS: Final = ("root", "policy", "catalog", "tuf-root", "tuf-targets")  # beginnings of key names
FIRST_KEYS: Final = ("root", "os-signing", "image-signing")  # kinds whose first key bears their name
DUMP_KEYS: Final = "crash-dumps-"  # beginning of the names of keys that crash dumps are encrypted to; an id follows
CHALLENGE_SECRET: Final = ("challenge", 32)  # name and bytes: what challenges to devices are sealed with
HUB_SECRET: Final = ("hub-sealing", 32)  # and the symmetric keys of hub devices
PASSPHRASE_SUFFIX: Final = ".passphrase"  # noqa: S105 - of a file name

_REMEDY: Final = "Restore the keys folder from a backup; without it certificates cannot be issued."


class KeyStore:
    """The keys of a service; the settings say where the passphrase is, and which token there is.

    Raises:
        KeyPassphraseError: no passphrase for the key files, or a wrong one.
        InvalidArgumentError: only some of the settings of a token are given.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._making = threading.Lock()  # what is made at its first use is made once
        self._token = _token(folder, settings)
        self._in_token: dict[str, ec.EllipticCurvePrivateKey] = {}
        source = passphrase_source(settings)
        if source.generated and not source.passphrase and not is_protected(folder) and settings.data.is_mount():
            raise KeyPassphraseError(
                f"{settings.data} is a mount point: a passphrase made beside it would stay behind when it is mounted "
                "elsewhere",
                remedy="Make a file with a passphrase and name it with ARMILLARY_KEY_PASSPHRASE_FILE.",
            )
        self._files = open_folder(folder, source, encrypted=lambda name: name not in PLAIN_KEYS)

    def __repr__(self) -> str:
        return f"KeyStore({self._folder})"

    def path(self, name: str) -> Path:
        """The file of a key that is kept in one."""
        return self._files.path(name)

    def has(self, name: str) -> bool:
        """Whether a key of this name was made."""
        return self._files.path(name).exists() or (self._token is not None and self._token.has(name))

    def create(self, name: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        """Make a key.

        Raises:
            DataFolderError: the disk refuses.
            SignerError: the token refuses.
        """
        if self._token is not None and name.startswith(TOKEN_KEYS):
            key = self._in_token[name] = SignerKey(self._token.create(name, curve))
            return key
        return self._files.create(name, curve, plain=name in PLAIN_KEYS)

    def load(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A key that was made before.

        Raises:
            DataFolderError: missing, damaged, or readable by others.
            SignerError: it is in a token that does not answer.
        """
        if name in self._in_token:
            return self._in_token[name]
        if self._token is not None and self._token.has(name):
            key = self._in_token[name] = SignerKey(self._token.load(name))
            return key
        return self._files.load(name)

    def ed25519(self, name: str) -> Ed25519PrivateKey:
        """An Ed25519 key, made where there is none of this name; raises as :meth:`load`."""
        with self._making:
            is_made = self._files.path(name).exists()
            return self._files.load_ed25519(name) if is_made else self._files.create_ed25519(name)

    def names(self, start: str) -> list[str]:
        """The names of keys that begin with ``start``, wherever they are; sorted."""
        return sorted({*self._files.names(start), *(() if self._token is None else self._token.names(start))})

    def remove(self, name: str) -> None:
        """Delete a key for good.

        Raises:
            SignerError: it is in a token that does not answer.
        """
        self._in_token.pop(name, None)
        if self._token is not None and self._token.has(name):
            self._token.remove(name)
        self._files.remove(name)

    def load_authority(self, kind: str, der: bytes) -> ec.EllipticCurvePrivateKey:
        """The key of an authority or signing certificate (DER); raises what :meth:`load` does.

        The first of some kinds is named by its kind alone. It is never taken for a later one whose key is missing.
        """
        certificate = x509.load_der_x509_certificate(der)
        serial = serial_text(certificate.serial_number)
        named = f"{kind}-{serial.lower()}"
        key = self.load(kind if kind in FIRST_KEYS and not self.has(named) else named)
        if key.public_key() != certificate.public_key():
            raise DataFolderError(f"the key of {kind} certificate {serial} is missing", remedy=_REMEDY)
        return key

    def close(self) -> None:
        """Log out of the token."""
        if self._token is not None:
            self._token.close()

    def create_secret(self, name: str, size: int) -> None:
        """Make a random symmetric secret of ``size`` bytes."""
        write_file(self._folder / f"{name}.bin", os.urandom(size), mode=KEY_MODE)

    def made_secret(self, name: str, size: int) -> bytes:
        """A symmetric secret, made where there is none of this name; raises as :meth:`secret`.

        Whoever else asks meanwhile gets the same: what was sealed with another one could never be opened.
        """
        with self._making:
            if not (self._folder / f"{name}.bin").exists():
                self.create_secret(name, size)
            return self.secret(name, size)

    def secret(self, name: str, size: int) -> bytes:
        """A symmetric secret of ``size`` bytes; DataFolderError if it is missing or has another size."""
        path = self._folder / f"{name}.bin"
        try:
            found = path.read_bytes()
        except OSError as error:
            raise DataFolderError(f"{path} cannot be read ({error.strerror})", remedy=_REMEDY) from error
        if len(found) != size:
            raise DataFolderError(f"{path}: expected {size} bytes, got {len(found)}", remedy=_REMEDY)
        return found


def passphrase_source(settings: Settings) -> PassphraseSource:
    """Where the passphrase of the key files is: a setting, the file a setting names, or the one beside the data."""
    if settings.key_passphrase_file:
        return PassphraseSource(settings.key_passphrase, Path(settings.key_passphrase_file), generated=False)
    data = settings.data.absolute()
    return PassphraseSource(settings.key_passphrase, data.with_name(data.name + PASSPHRASE_SUFFIX), generated=True)


def _token(folder: Path, settings: Settings) -> TokenSigners | None:
    given = (settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_pin_file)
    if not any(given):
        return None
    if not all(given):
        raise InvalidArgumentError(
            "pkcs11_module, pkcs11_token and pkcs11_pin_file: expected all of them or none",
            remedy="Give the three settings, or remove them.",
        )
    return TokenSigners(folder, TokenAddress(Path(given[0]), given[1], Path(given[2])))
