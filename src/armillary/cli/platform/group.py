# SPDX-License-Identifier: Apache-2.0
"""``armillary segment``: saved queries over devices, for rules, jobs, dashboards and exports.

Azure Sphere's device groups, which say what runs on a device, are ``armillary device-group``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, FileOption, IdOption, NameOption
from armillary.cli.terminal.device_reference import device_row
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.errors import InvalidArgumentError
from armillary.twin.author import shorthand

app = noun("Segments: saved queries over devices, for rules, jobs, dashboards and exports.")

COLUMNS = ("id", "name", "catalog", "template", "match", "filters")
MEMBER_COLUMNS = ("name", "device_id", "catalog", "health", "connected", "template", "values")

GroupOption = Annotated[str, typer.Option("--segment", "--group", "-g", metavar="ID", help="Segment id.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="FILTER",
        help="SOURCE:PATH, an operator (= != > >= < <= ~) and a value, such as 'telemetry:temperature>40'; without"
        " operator: there is such a value, with 'not ' before it: there is none."
        " SOURCE is property, reported, desired, tag, cloud, telemetry or device."
        " Repeatable.",
    ),
]

GROUPS = authored.Documents(app, "/groups", GroupOption, word="segment")


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption = None,
    document_id: IdOption = None,
    where: WhereOption = None,
    any_: Annotated[bool, typer.Option("--any", help="One filter is enough.")] = False,
    template: Annotated[str | None, typer.Option("--template", metavar="ID", help="Device template.")] = None,
    file: FileOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make a segment."""
    if (name is None) == (file is None):
        raise typer.BadParameter("give either --name with --where, or --file")
    body: dict[str, Any] = {
        "name": name,
        "template": template,
        "match": "any" if any_ else "all",
        "filters": [filter_of(each) for each in where or []],
    }
    if file is not None:
        body = authored.read_definition(file)
    return record(GROUPS.put(remote, document_id, body, catalog, replace=replace), row=authored.row_of)


GROUPS.add_list("List segments.", COLUMNS, empty="There is no segment; make one: armillary segment create.")


GROUPS.add_show("Show a segment's query.")


@remote_command(app, "members")
def members(
    remote: RemoteService,
    group: GroupOption,
    catalog: CatalogOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")] = 1000,
) -> Shown:
    """List the devices that are in a segment now."""
    found = remote.pages(f"{GROUPS.place(group)}/members", limit=limit, catalog=catalog)
    return table(found, MEMBER_COLUMNS, row=device_row, empty="No device is in this segment now.")


GROUPS.add_delete_of_used(
    "Delete a segment; no device changes. Says what uses it, and does nothing then without --force."
)


def filter_of(text: str) -> dict[str, Any]:
    """A filter as written on a command line, as in a segment's document."""
    try:
        return shorthand.filter_of(text)
    except InvalidArgumentError as error:
        raise typer.BadParameter(f"--where: {error.message}") from error
