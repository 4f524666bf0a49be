# SPDX-License-Identifier: Apache-2.0
"""``armillary hub-service-key``: keys by which services sign requests as IoT Hub's do."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from armillary.cli.terminal.output import JsonOption, note, noun, print_record, print_table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, catalog_name, confirm

app = noun("Service keys: for tools that speak IoT Hub's service API.")

COLUMNS = ("name", "role", "reveals_keys", "created_at", "created_by")

NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the key.")]


class Role(StrEnum):
    """What a key allows."""

    READER = "Reader"
    CONTRIBUTOR = "Contributor"
    ADMINISTRATOR = "Administrator"


@app.callback()
def keys() -> None:
    """Service keys: for tools that speak IoT Hub's service API."""


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption,
    role: Annotated[Role, typer.Option("--role", help="What it allows.")],
    reveals_keys: Annotated[
        bool, typer.Option("--reveals-keys", help="Its bearer sees the symmetric keys of devices; not with Reader.")
    ] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key; its connection string is shown this once."""
    wanted = {"name": name, "role": role.value, "reveals_keys": reveals_keys}
    made = remote.post(_path(remote, catalog), wanted)
    shown = {key: made[key] for key in ("name", "role", "connection_string")}
    print_record(made if as_json else shown, as_json=as_json)
    if not as_json:
        note("The connection string is shown this once.")


@remote_command(app, "list")
def list_(remote: RemoteService, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List a catalog's service keys."""
    rows = remote.get(_path(remote, catalog))["items"]
    print_table(rows if as_json else [readable(row) for row in rows], COLUMNS, as_json=as_json, empty="There is none.")


@remote_command(app, "delete")
def delete(remote: RemoteService, name: NameOption, catalog: CatalogOption = None, yes: YesOption = False) -> None:
    """Make a key useless at once."""
    confirm(f"Delete service key {name}?", yes=yes)
    remote.delete(f"{_path(remote, catalog)}/{segment(name)}")
    note(f"{name} is deleted")


def _path(remote: RemoteService, catalog: str | None) -> str:
    return f"/catalogs/{segment(catalog_name(remote, catalog))}/hub-service-keys"
