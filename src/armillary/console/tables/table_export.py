# SPDX-License-Identifier: Apache-2.0
"""Exports the table of any page as CSV or JSON, page after page, without holding it in memory.

The page itself is asked again for each part (``export=csv`` in its address): what is exported is what its reader sees,
in the same words, with the same filters. A person who is signed out meanwhile gets no further row, and a part that
fails ends the connection, so that a cut file does not look whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import Cell, Section
from armillary.console.frame.table_bar import EXPORT
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.export.csv_table import shielded

MEDIA_TYPES: Final = MappingProxyType({"csv": "text/csv; charset=utf-8", "json": "application/json"})
# Pages of one export, of 50 rows or more: beyond that the API, which has 1,000 rows a page, is the better way.
MAX_PAGES: Final = 2000
# The last row of an export that was longer.
CUT: Final = "The export ends here: the table is longer than an export may be. Filter it, or read it by the API."


def export(page: Callable[[Visit], Response], visit: Visit, request: Request) -> Response:
    """The table of a page as a file.

    Raises:
        InvalidArgumentError: neither ``csv`` nor ``json`` was asked for.
        NotFoundError: the page has no table to export.
    """
    form = visit.query[EXPORT]
    if form not in MEDIA_TYPES:
        raise InvalidArgumentError(
            f"{EXPORT}: expected csv or json, got {form[:20]!a}", remedy="Use the links above the table."
        )
    query = {name: value for name, value in visit.query.items() if name not in (EXPORT, "after")}
    first = _section(page, visit, query)
    rows = _rows(page, request, visit, query, first)
    name = visit.here.partition("?")[0].strip("/").replace("/", "-")[:60] or "table"
    safe = "".join(each if each.isascii() and (each.isalnum() or each in "-._") else "-" for each in name)
    return StreamingResponse(
        _csv(first, rows) if form == "csv" else _json(rows),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="armillary-{safe}.{form}"'},
    )


def words(cell: Cell) -> str:
    """A cell as text: exact times, whole ids, states by their words; what stands below it in brackets."""
    if cell.post:
        return ""
    if cell.state is not None:
        said = cell.state.word
    elif cell.at is not None:
        said = cell.at.iso
    else:
        said = cell.ident.full if cell.ident is not None else cell.text
    return f"{said} ({cell.reason})" if cell.reason else said


def _section(page: Callable[[Visit], Response], visit: Visit, query: dict[str, str]) -> Section:
    """The table of the page at a query."""
    path = visit.here.partition("?")[0]
    here = path + (f"?{urlencode(query)}" if query else "")
    seen: list[Any] = []
    page(replace(visit, query=query, here=here, sheets=seen))
    tables = [each for made in seen for each in made.sections if each.sorts]
    if not tables:
        raise NotFoundError("this page has no table to export", remedy="Open the list, and export it there.")
    found: Section = tables[0]
    return found


def _rows(
    page: Callable[[Visit], Response], request: Request, visit: Visit, query: dict[str, str], first: Section
) -> Iterator[dict[str, str]]:
    section = first
    for _ in range(MAX_PAGES):
        shown = [at for at, label in enumerate(section.columns) if label]
        for row in section.rows:
            yield {section.columns[at]: words(row[at]) for at in shown}
        after = dict(parse_qsl(section.next_href.partition("?")[2])).get("after", "")
        if not after:
            return
        visit = visit.console.visit(request)  # who is signed out sees no more
        section = _section(page, visit, {**query, "after": after})
    labels = [label for label in section.columns if label]
    yield {label: CUT if at == 0 else "" for at, label in enumerate(labels)}


def _csv(first: Section, rows: Iterator[dict[str, str]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([label for label in first.columns if label])
    for row in rows:
        writer.writerow([shielded(each) for each in row.values()])
        if text.tell() > 1 << 14:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _json(rows: Iterator[dict[str, str]]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield f"{',' if number else ''}\n{json.dumps(row, ensure_ascii=False)}"
    yield "\n]\n"
