# SPDX-License-Identifier: Apache-2.0
"""Keys of releases that are kept away from the service: encrypted files in a folder, or a PKCS #11 token.

::

    DIR/NAME.pem         the private key, encrypted (PKCS #8)      or  DIR/NAME.p11.json, its place in the token
    DIR/NAME.pub.pem     the public key, to be given to ``release keys rotate --key``
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from armillary.cli.terminal.files import explained, write_file
from armillary.cli.terminal.together import Together
from armillary.engines.signer.file import FileSigners, open_folder
from armillary.engines.signer.passphrase import PassphraseSource, is_protected
from armillary.engines.signer.pkcs11 import TokenAddress, TokenSigners
from armillary.engines.signer.port import SignerKey
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from armillary.service.repository.tuf_format import KeySigner

PASSPHRASE_VARIABLE: Final = "ARMILLARY_RELEASE_PASSPHRASE"  # noqa: S105 - a variable's name
PUBLIC_SUFFIX: Final = ".pub.pem"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the keys are, as the options say it."""

    folder: Path
    passphrase_file: Path | None = None
    pkcs11_module: Path | None = None
    pkcs11_token: str | None = None
    pkcs11_pin_file: Path | None = None

    def open(self, *, make: bool = False) -> KeyFolder:
        """Open it; ``make`` makes the folder where it is not there.

        Raises:
            NotFoundError: there is no such folder.
            InvalidArgumentError: only some of a token's options are given, or the folder cannot be made.
            KeyPassphraseError: no passphrase, or a wrong one.
        """
        self._check_folder(make=make)
        of_token = (self.pkcs11_module, self.pkcs11_token, self.pkcs11_pin_file)
        if any(of_token):
            if self.pkcs11_module is None or self.pkcs11_token is None or self.pkcs11_pin_file is None:
                raise InvalidArgumentError(
                    "--pkcs11-module, --pkcs11-token, --pkcs11-pin-file: expected all of them or none",
                    remedy="Give all three.",
                )
            address = TokenAddress(self.pkcs11_module, self.pkcs11_token, self.pkcs11_pin_file)
            return KeyFolder(self.folder, TokenSigners(self.folder, address))
        return KeyFolder(self.folder, self.open_files())

    def open_files(self, *, make: bool = False) -> FileSigners:
        """The keys of the folder, without a token's; raises as :meth:`open`."""
        self._check_folder(make=make)
        return open_folder(self.folder, self._passphrase(), encrypted=lambda _: True)

    def _check_folder(self, *, make: bool) -> None:
        if make:
            with explained(self.folder, "cannot be made"):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.folder.is_dir():
            raise NotFoundError(f"{self.folder} is no folder", remedy="Make keys in it first.")

    def _passphrase(self) -> PassphraseSource:
        given = os.environ.get(PASSPHRASE_VARIABLE, "")
        if self.passphrase_file is None and not given:
            given = _asked(getpass.getpass, twice=not is_protected(self.folder))
        return PassphraseSource(given, self.passphrase_file or self.folder, generated=False)


def _opens(_service: object, **given: Any) -> Callable[[Path], KeyPlace]:
    return lambda folder: KeyPlace(folder, **given)


# How keys in a folder are reached: gives the place of a folder's keys.
KeyAccess = Annotated[
    Callable[[Path], KeyPlace],
    Together(
        {
            "passphrase_file": (
                Annotated[
                    Path | None,
                    typer.Option(
                        "--passphrase-file",
                        metavar="FILE",
                        help="File with the passphrase of the keys; else it is asked for. "
                        f"[env: {PASSPHRASE_VARIABLE}]",
                    ),
                ],
                None,
            ),
            "pkcs11_module": (
                Annotated[
                    Path | None,
                    typer.Option("--pkcs11-module", metavar="FILE", help="PKCS #11 library of a token with the keys."),
                ],
                None,
            ),
            "pkcs11_token": (
                Annotated[str | None, typer.Option("--pkcs11-token", metavar="LABEL", help="Label of that token.")],
                None,
            ),
            "pkcs11_pin_file": (
                Annotated[Path | None, typer.Option("--pkcs11-pin-file", metavar="FILE", help="File with its PIN.")],
                None,
            ),
        },
        _opens,
    ),
]


class KeyFolder:
    """The keys of one folder or token."""

    def __init__(self, folder: Path, keys: FileSigners | TokenSigners) -> None:
        self._folder = folder
        self._keys = keys

    def create(self, name: str) -> KeySigner:
        """Make a P-256 key and write its public half beside it.

        Raises:
            ConflictError: there is a key of this name.
            DataFolderError, SignerError: the disk or the token refuses.
        """
        if name in self._keys.names(name):
            raise ConflictError(f"{self._folder} has a key {name}", remedy="Use another folder for other keys.")
        made = self._keys.create(name, ec.SECP256R1())
        public = made.public_key() if isinstance(made, ec.EllipticCurvePrivateKey) else made.public_key
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_file(self._folder / f"{name}{PUBLIC_SUFFIX}", pem)
        return self._signer(name)

    def get_or_create(self, name: str) -> KeySigner:
        """The key of a name, made where it is not there; raises as :meth:`create`."""
        return self._signer(name) if name in self._keys.names(name) else self.create(name)

    def signers(self) -> list[KeySigner]:
        """All keys; NotFoundError if there is none."""
        names = [name for name in self._keys.names("") if not name.endswith(PUBLIC_SUFFIX.removesuffix(".pem"))]
        if not names:
            raise NotFoundError(f"{self._folder} has no keys", remedy="Make some: armillary release keys init DIR.")
        return [self._signer(name) for name in names]

    def _signer(self, name: str) -> KeySigner:
        from armillary.service.repository.tuf_format import KeySigner, key_of  # noqa: PLC0415 - the package tuf: slow

        loaded = self._keys.load(name)
        private = loaded if isinstance(loaded, ec.EllipticCurvePrivateKey) else SignerKey(loaded)
        return KeySigner(private, key_of(private.public_key()))


def _asked(ask: Callable[[str], str], *, twice: bool) -> str:
    """A passphrase that a person types; InvalidArgumentError if two do not agree."""
    first = ask("Passphrase of the keys: ")
    if twice and ask("The same again: ") != first:
        raise InvalidArgumentError("the two passphrases differ", remedy="Type them again.")
    return first
