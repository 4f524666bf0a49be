# SPDX-License-Identifier: Apache-2.0
"""``armillary organisation``: who sees which devices of a catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, IdOption
from armillary.cli.terminal.device_reference import DeviceOption, device_row
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import catalog_name

app = noun("Organisations: who sees which devices of a catalog.")

COLUMNS = ("id", "name", "catalog", "parent", "description")
DEVICE_COLUMNS = ("name", "device_id", "organisation", "health")

OrganisationOption = Annotated[str, typer.Option("--organisation", "-o", metavar="ID", help="Organisation id.")]
ORGANISATIONS = authored.Documents(app, "/organisations", OrganisationOption)


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: Annotated[str, typer.Option("--name", "-n", metavar="TEXT", help="Its name, for people.")],
    parent: Annotated[str | None, typer.Option("--parent", metavar="ID", help="The organisation above.")] = None,
    document_id: IdOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make an organisation of a catalog."""
    owner = catalog_name(remote, catalog)
    body = {"name": name, "catalog": owner, "parent": parent}
    return record(ORGANISATIONS.put(remote, document_id, body, owner, replace=replace), row=authored.row_of)


ORGANISATIONS.add_list("List organisations.", COLUMNS, empty="There is no organisation.")


ORGANISATIONS.add_show("Show an organisation.")


@remote_command(app, "devices")
def devices(remote: RemoteService, organisation: OrganisationOption, catalog: CatalogOption = None) -> Shown:
    """List the devices of an organisation and of those below it."""
    found = remote.pages(f"{ORGANISATIONS.place(organisation)}/devices", catalog=catalog)
    return table(found, DEVICE_COLUMNS, row=device_row, empty="No device is in it.")


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


ORGANISATIONS.add_delete("Delete an organisation with nothing in it.\n\nNothing below it, no devices and no tokens.")
