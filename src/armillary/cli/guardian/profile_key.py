# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian profile key``: keys that sign profiles, recipes and firmware of equipment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from armillary.cli.terminal.files import explained, read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record
from armillary.errors import ConflictError
from armillary.wire.equipment.files import signing

app = noun("Keys that sign profiles, recipes and firmware.")

MAX_KEY_BYTES: Final = 4096
PUBLIC_SUFFIX: Final = ".pub.pem"


@app.command("new")
def new(
    out: Annotated[
        Path, typer.Option("--output-file", "-o", metavar="FILE", help="The private key; FILE.pub.pem: the public one.")
    ],
    kind: Annotated[
        Literal["p256", "ed25519"], typer.Option("--kind", metavar="p256|ed25519", help="Of the key.")
    ] = "p256",
    as_json: JsonOption = False,
) -> None:
    """Make a key.

    The private key has no passphrase, and only its owner may read it. Keep it where no guardian is; a guardian's image
    gets the public one.
    """
    key: signing.PrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "p256" else ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with explained(out, "cannot be written"):
        try:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConflictError(
                f"{out} is there already", remedy="Choose another name; a key is not replaced."
            ) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    public = Path(f"{out}{PUBLIC_SUFFIX}")
    write_file(public, signing.public_key(key).pem)
    _tell(signing.public_key(key), public, as_json=as_json)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A public key, PEM.")], as_json: JsonOption = False
) -> None:
    """Show the id of a key, as signed files name it."""
    _tell(signing.read_public_key(read_file(file, limit=MAX_KEY_BYTES)), file, as_json=as_json)


def _tell(key: signing.PublicKey, file: Path, *, as_json: bool) -> None:
    record({"key_id": key.key_id, "kind": key.kind, "public_key": str(file)}).show(as_json=as_json)
