# SPDX-License-Identifier: Apache-2.0
"""``armillary organisation``: who sees which devices of a catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, IdOption
from armillary.cli.terminal.device_reference import DeviceOption, device_row
from armillary.cli.terminal.output import JsonOption, note, print_table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, catalog_name, confirm

app = typer.Typer(
    no_args_is_help=True,
    help="Organisations: who sees which devices of a catalog.",
    rich_markup_mode=None,
    add_completion=False,
)

PATH = "/organisations"
COLUMNS = ("id", "name", "catalog", "parent", "description")
DEVICE_COLUMNS = ("name", "device_id", "organisation", "health")

OrganisationOption = Annotated[str, typer.Option("--organisation", "-o", metavar="ID", help="Organisation id.")]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: Annotated[str, typer.Option("--name", "-n", metavar="TEXT", help="Its name, for people.")],
    parent: Annotated[str | None, typer.Option("--parent", metavar="ID", help="The organisation above.")] = None,
    document_id: IdOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an organisation of a catalog."""
    owner = catalog_name(remote, catalog)
    body = {"name": name, "catalog": owner, "parent": parent}
    made = authored.put(remote, PATH, document_id or authored.id_of(name), body, owner, replace=replace)
    authored.print_document(made, as_json=as_json)


@remote_command(app, "list")
def list_organisations(remote: RemoteService, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List organisations."""
    items = list(remote.pages(PATH, catalog=catalog))
    rows = items if as_json else [authored.row_of(each) for each in items]
    print_table(rows, COLUMNS, as_json=as_json, empty="There is no organisation.")


@remote_command(app, "show")
def show(
    remote: RemoteService, organisation: OrganisationOption, catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Show an organisation."""
    authored.print_document(remote.get(f"{PATH}/{segment(organisation)}", catalog=catalog), as_json=as_json)


@remote_command(app, "devices")
def devices(
    remote: RemoteService, organisation: OrganisationOption, catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """List the devices of an organisation and of those below it."""
    found = list(remote.pages(f"{PATH}/{segment(organisation)}/devices", catalog=catalog))
    rows = found if as_json else [device_row(each) for each in found]
    print_table(rows, DEVICE_COLUMNS, as_json=as_json, empty="No device is in it.")


@remote_command(app, "assign")
def assign(
    remote: RemoteService,
    device: DeviceOption,
    organisation: Annotated[
        str | None, typer.Option("--organisation", "-o", metavar="ID", help="Organisation id; none takes it out.")
    ] = None,
) -> None:
    """Put a device into an organisation of its catalog, or into none."""
    remote.put(f"/devices/{segment(device)}/organisation", {"organisation": organisation})
    note(f"device {device[:12]}... is in {organisation or 'no organisation'}")


@remote_command(app, "delete")
def delete(
    remote: RemoteService, organisation: OrganisationOption, catalog: CatalogOption = None, yes: YesOption = False
) -> None:
    """Delete an organisation with nothing in it.

    Nothing below it, no devices and no tokens.
    """
    confirm(f"Delete the organisation {organisation}?", yes=yes)
    remote.delete(f"{PATH}/{segment(organisation)}", catalog=catalog)
    note(f"organisation {organisation} deleted")
