# SPDX-License-Identifier: Apache-2.0
"""``armillary device certificate``: the certificate store of a running device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from armillary.cli.device.attached.asking import (
    HELP,
    AskedDevice,
    attached_command,
    file_text,
    plain_segment,
    secret_of,
)
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.errors import InvalidArgumentError

IdOption = Annotated[
    str, typer.Option("--cert-id", metavar="ID", help="Id in the store: 1 to 16 letters, digits and .-_")
]
PASSWORD_VARIABLE = "ARMILLARY_KEY_PASSWORD"  # noqa: S105 - its name

app = noun(HELP)
certificate = noun("Certificates of a running device.", within=app, name="certificate")


@attached_command(certificate, "add")
def _add(
    device: AskedDevice,
    cert_id: IdOption,
    kind: Annotated[Literal["client", "rootca"], typer.Option("--cert-type", help="What it is for.")],
    public: Annotated[Path, typer.Option("--public-key-filepath", metavar="FILE", help="The certificate, PEM.")],
    private: Annotated[
        Path | None,
        typer.Option("--private-key-filepath", metavar="FILE", help="Private key of a client certificate, PEM."),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option("--private-key-password", metavar="TEXT", help=f"Of an encrypted key. [env: {PASSWORD_VARIABLE}]"),
    ] = None,
) -> None:
    """Add a certificate, or replace the one that has its id.

    No command gives a private key back.
    """
    if kind == "client" and private is None:
        raise InvalidArgumentError(
            "--private-key-filepath: expected the private key of the client certificate, got nothing",
            remedy="Name its key, or add a root with --cert-type rootca.",
        )
    body: dict[str, str] = {"certType": kind, "publicCert": file_text(public)}
    if private is not None:
        body["privateKey"] = file_text(private)
        secret = secret_of(password, PASSWORD_VARIABLE)
        body |= {} if secret is None else {"password": secret}
    device.call("POST", f"certstore/certs/{plain_segment(cert_id)}", body)
    note(f"the certificate is in the store as {cert_id}")


@attached_command(certificate, "list")
def _list(device: AskedDevice) -> Shown:
    """List the ids of the certificates."""
    rows = [{"id": each} for each in device.get("certstore/certs")["identifiers"]]
    return table(rows, ("id",), empty="No certificate. Add one: armillary device certificate add")


@attached_command(certificate, "show")
def _show(device: AskedDevice, cert_id: IdOption) -> Shown:
    """Show what a certificate says."""
    return record(device.get(f"certstore/certs/{plain_segment(cert_id)}"))


@attached_command(certificate, "show-quota")
def _quota(device: AskedDevice) -> Shown:
    """Show how many bytes are left in the store."""
    return record(device.get("certstore/space"))


@attached_command(certificate, "delete")
def _delete(device: AskedDevice, cert_id: IdOption) -> None:
    """Delete a certificate."""
    device.call("DELETE", f"certstore/certs/{plain_segment(cert_id)}")
    note(f"{cert_id} is deleted")
