# SPDX-License-Identifier: Apache-2.0
"""Tables as files: every page of them, whole cells, nothing that a spreadsheet runs, nothing for who is signed out."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from tests.console.water_scene import WaterScene

from armillary.console.frame import sheet
from armillary.console.frame.asking import show
from armillary.console.frame.console import SignInNeededError, Visit
from armillary.console.frame.sheet import Section, Sheet
from armillary.console.frame.states import State
from armillary.console.frame.table_bar import export_links
from armillary.console.frame.words import moment, short_id
from armillary.console.tables import table_export
from armillary.console.tables.table_export import export, words
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError

REQUEST = cast("Request", None)


class SignedIn:
    """A console in which somebody is signed in for so many further requests."""

    def __init__(self, more: int = 99) -> None:
        self.more = more

    def visit(self, _request: Request) -> Visit:
        self.more -= 1
        if self.more < 0:
            raise SignInNeededError("Nobody is signed in.")
        return visitor(self)


def visitor(console: SignedIn, **query: str) -> Visit:
    return Visit(cast("Any", console), cast("Any", None), cast("Any", None), "", "/things?a=1", query, {}, "", 0)


def things(visit: Visit) -> Response:
    """A page of three tables of two rows each."""
    at = int(visit.query.get("after", "0"))
    rows = [(sheet.text(f"thing {at}{each}"), sheet.number(at), sheet.button("Stop", "/stop")) for each in "ab"]
    further = f"/things?after={at + 1}" if at < 2 else ""
    table = Section(title="T", columns=("Name", "Page", ""), rows=rows, none="", sorts=True, next_href=further)
    return show(visit, Sheet(place="Things", title="Things", sections=(table,)))


def read(answer: Response) -> str:
    async def whole() -> str:
        parts = cast("AsyncIterator[str]", cast("StreamingResponse", answer).body_iterator)
        return "".join([each async for each in parts])

    return asyncio.run(whole())


def test_every_page_is_in_the_file() -> None:
    names = [f"thing {page}{each}" for page in range(3) for each in "ab"]
    answer = export(things, visitor(SignedIn(), export="csv", after="2"), REQUEST)
    assert answer.headers["content-disposition"] == 'attachment; filename="armillary-things.csv"'
    rows = list(csv.reader(io.StringIO(read(answer))))
    assert rows == [["Name", "Page"], *([name, str(at // 2)] for at, name in enumerate(names))]
    found = json.loads(read(export(things, visitor(SignedIn(), export="json"), REQUEST)))
    assert found == [{"Name": name, "Page": str(at // 2)} for at, name in enumerate(names)]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_export_that_is_cut_says_so_in_its_last_row(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_export, "MAX_PAGES", 2)
    text = read(export(things, visitor(SignedIn(), export=form), REQUEST))
    rows = list(csv.reader(io.StringIO(text)))[1:] if form == "csv" else [[*each.values()] for each in json.loads(text)]
    assert [each[0] for each in rows] == ["thing 0a", "thing 0b", "thing 1a", "thing 1b", table_export.CUT]
    monkeypatch.setattr(table_export, "MAX_PAGES", 3)
    assert table_export.CUT not in read(export(things, visitor(SignedIn(), export=form), REQUEST))  # control


def test_who_is_signed_out_meanwhile_gets_no_further_row_and_no_whole_file() -> None:
    answer = export(things, visitor(SignedIn(more=1), export="csv"), REQUEST)
    with pytest.raises(SignInNeededError):
        read(answer)


@pytest.mark.parametrize(
    ("page", "form", "error"),
    [
        (things, "xlsx", InvalidArgumentError),
        (things, "", InvalidArgumentError),
        (lambda _: Response(), "csv", NotFoundError),
    ],
)
def test_what_cannot_be_exported_is_said(page: Any, form: str, error: type[ArmillaryError]) -> None:
    with pytest.raises(error):
        export(page, visitor(SignedIn(), export=form), REQUEST)


def test_cells_are_whole_and_exact() -> None:
    assert words(sheet.Cell(at=moment(1_795_000_000, 1_795_000_060))) == "2026-11-18T11:06:40Z"
    assert words(sheet.Cell(ident=short_id("ab" * 64))) == "ab" * 64
    assert words(sheet.Cell(state=State("good", "running"), reason="since today")) == "running (since today)"
    assert words(sheet.button("Stop", "/stop")) == ""
    assert export_links("/rules?sort=name&after=x&told=kept") == (
        ("CSV", "/rules?sort=name&export=csv"),
        ("JSON", "/rules?sort=name&export=json"),
    )


def test_a_list_of_the_console_is_exported_as_its_reader_sees_it(scene: WaterScene) -> None:
    store = scene.running.platform.documents
    store.put("group", "formula", {"name": '=HYPERLINK("x")', "match": "all", "filters": []}, by="test")
    try:
        browser = scene.browser("Reader")
        assert 'href="/groups?export=csv"' in browser.get("/groups").text
        answer = browser.get("/groups?export=csv")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        assert "'=HYPERLINK" in answer.text
        listed = json.loads(browser.get("/groups?export=json").body)
        assert len(listed) == len(list(csv.reader(io.StringIO(answer.text)))) - 1 >= 2
        assert browser.get("/help?export=csv").status == 404
        assert browser.get("/groups?export=exe").status == 400
    finally:
        store.delete("group", "formula", by="test")
