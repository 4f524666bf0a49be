# SPDX-License-Identifier: Apache-2.0
"""``armillary dashboard``: dashboards as documents, and what their tiles show now."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, FileOption, IdOption
from armillary.cli.terminal.output import Shown, note, noun, print_json, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.times import moment

app = noun("Pages of tiles over what devices say; the console shows and edits them.")

COLUMNS = ("id", "name", "catalog", "template", "tiles", "changed_by")
TILE_COLUMNS = ("tile", "kind", "devices", "shows")
# Of one tile's data on one line.
SHOWN_CHARACTERS = 100
# What a tile's data says besides what it shows.
_ABOUT = ("kind", "devices", "labels", "at_ms", "start_ms", "end_ms", "bucket_ms", "device_id")

DashboardOption = Annotated[str, typer.Option("--dashboard", "-d", metavar="ID", help="Dashboard id.")]
DASHBOARDS = authored.Documents(app, "/dashboards", DashboardOption)


def _row(document: dict[str, Any]) -> dict[str, Any]:
    body = document["body"]
    return {
        "id": document["id"],
        "name": body["name"],
        "catalog": body.get("catalog"),
        "template": body.get("template"),
        "tiles": len(body["tiles"]),
        "changed_by": document["changed_by"],
    }


@remote_command(app, "create")
def create(
    remote: RemoteService,
    file: FileOption = None,
    document_id: IdOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make a dashboard of a file."""
    if file is None:
        raise typer.BadParameter("give --file")
    made = DASHBOARDS.put(remote, document_id, authored.read_definition(file), catalog, replace=replace)
    tiles = len(made["body"]["tiles"])
    return Shown(made, partial(note, f"dashboard {made['id']}, version {made['version']}: {tiles} tiles"))


DASHBOARDS.add_list(
    "List dashboards.", COLUMNS, row=_row, empty="There is no dashboard; make one: armillary dashboard create."
)


@remote_command(app, "show")
def show(remote: RemoteService, dashboard: DashboardOption, catalog: CatalogOption = None) -> None:
    """Print a dashboard's body, as `create --file` takes it."""
    print_json(remote.get(DASHBOARDS.place(dashboard), catalog=catalog)["body"])


@remote_command(app, "data")
def data(
    remote: RemoteService,
    dashboard: DashboardOption,
    catalog: CatalogOption = None,
    range_s: Annotated[
        int | None, typer.Option("--range", min=60, metavar="SECONDS", help="How far every tile looks back.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Where tiles over time end, as 2027-06-30; else now.")
    ] = None,
) -> Shown:
    """Show what every tile of a dashboard shows.

    With --end tiles over time show the stretch up to it; newest values are those of now.
    """
    end_ms = None if end is None else moment("--end", end) * 1000
    found = remote.get(f"{DASHBOARDS.place(dashboard)}/data", catalog=catalog, range_s=range_s, end_ms=end_ms)
    rows = [_tile(name, each) for name, each in found["tiles"].items()]
    return Shown(found).then(table(rows, TILE_COLUMNS, empty="No tile of this dashboard shows data."))


DASHBOARDS.add_delete("Delete a dashboard; no device changes.")


def _tile(name: str, found: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in found.items() if key not in _ABOUT}
    text = found["error"]["message"] if "error" in found else json.dumps(shown, ensure_ascii=False)
    return {
        "tile": name,
        "kind": found["kind"],
        "devices": found["devices"],
        "shows": text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "...",
    }
