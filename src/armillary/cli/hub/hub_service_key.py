# SPDX-License-Identifier: Apache-2.0
"""``armillary hub-service-key``: keys by which services sign requests as IoT Hub's do."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm, in_catalog

app = noun("Service keys: for tools that speak IoT Hub's service API.")

PATH = "hub-service-keys"
COLUMNS = ("name", "role", "reveals_keys", "created_at", "created_by")

NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the key.")]

# What a key allows.
Role = Literal["Reader", "Contributor", "Administrator"]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption,
    role: Annotated[Role, typer.Option("--role", help="What it allows.")],
    reveals_keys: Annotated[
        bool, typer.Option("--reveals-keys", help="Its bearer sees the symmetric keys of devices; not with Reader.")
    ] = False,
    catalog: CatalogOption = None,
) -> Shown:
    """Make a key; its connection string is shown this once."""
    wanted = {"name": name, "role": role, "reveals_keys": reveals_keys}
    made = remote.post(in_catalog(remote, catalog, PATH), wanted)
    shown = record(made, row=only("name", "role", "connection_string"))
    return shown.then("The connection string is shown this once.")


@remote_command(app, "list")
def list_(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List a catalog's service keys."""
    return table(remote.get(in_catalog(remote, catalog, PATH))["items"], COLUMNS, row=readable, empty="There is none.")


@remote_command(app, "delete")
def delete(remote: RemoteService, name: NameOption, catalog: CatalogOption = None, yes: YesOption = False) -> None:
    """Make a key useless at once."""
    confirm(f"Delete service key {name}?", yes=yes)
    remote.delete(in_catalog(remote, catalog, PATH, name))
    note(f"{name} is deleted")
