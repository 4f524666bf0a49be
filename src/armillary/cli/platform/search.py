# SPDX-License-Identifier: Apache-2.0
"""``armillary search``: everything with a name or id that a text means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from armillary.api.views.search import KINDS, MAX_COUNTED
from armillary.cli.terminal.authored import CatalogOption
from armillary.cli.terminal.output import Shown, table
from armillary.cli.terminal.remote import RemoteService, remote_command

app = typer.Typer(
    help="Find anything by its name, its id, or the beginning of one.", rich_markup_mode=None, add_completion=False
)

COLUMNS = ("kind", "name", "where", "note", "id")
EMPTY = (
    "Nothing has this name or id. Names of devices are found by the beginning of a word, other names by any part, "
    "ids by their first digits."
)


@remote_command(app, "search")
def search(
    remote: RemoteService,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A name, an id, or the beginning of one.")],
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help=f"Only one of: {', '.join(KINDS)}.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MAX_COUNTED, metavar="N", help="Print at most so many of each kind.")
    ] = 8,
    catalog: CatalogOption = None,
) -> Shown:
    """Find devices, dashboards, rules, templates, images, releases, roll-outs, findings and more by a name or id."""
    found = remote.get("/search", q=text, kind=kind, limit=limit, catalog=catalog)
    return table(found["items"], COLUMNS, row=_row, empty=EMPTY)


def _row(hit: Mapping[str, Any]) -> dict[str, Any]:
    names = [hit[each] for each in ("catalog", "product", "group") if hit[each]]
    return {**hit, "where": " / ".join(names)}
