# SPDX-License-Identifier: Apache-2.0
"""``armillary login``: remember a service's address, token and root certificate."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.terminal.connection import (
    CA_VARIABLE,
    SERVICE_VARIABLE,
    TOKEN_VARIABLE,
    make_connection,
    read_ca,
    store,
    stored_path,
)
from armillary.cli.terminal.files import explained
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, record
from armillary.cli.terminal.remote import RemoteService
from armillary.errors import InvalidArgumentError

app = typer.Typer(help="Remember a service's address and token.", rich_markup_mode=None, add_completion=False)


@app.command()
def login(
    service: Annotated[
        str, typer.Option("--service", metavar="URL", envvar=SERVICE_VARIABLE, help="Address of the service.")
    ],
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TOKEN", envvar=TOKEN_VARIABLE, help="Operator token; asked for when absent."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", envvar=CA_VARIABLE, help="PEM file with the service's root certificate."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a token with a service and remember both, readable by you only."""
    secret = token or _asked()
    connection = make_connection(service, secret, read_ca(ca) if ca else "")
    with RemoteService(connection) as remote:
        who = remote.get("/me")
    path = stored_path()
    with explained(path, "cannot be written", remedy="Set XDG_CONFIG_HOME to a folder of yours."):
        store(connection, path)
    record({"service": connection.service, "name": who["name"], "role": who["role"]}).show(as_json=as_json)
    note(f"remembered in {path}")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise InvalidArgumentError("--token: nothing given", remedy=f"Give --token or set {TOKEN_VARIABLE}.")
    return getpass.getpass("Token: ").strip()
