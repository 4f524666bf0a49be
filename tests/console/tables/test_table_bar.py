# SPDX-License-Identifier: Apache-2.0
"""The line above a table: which columns are shown, saved views, what an address keeps."""

from __future__ import annotations

import pytest

from armillary.console.frame import sheet
from armillary.console.frame.sheet import Section
from armillary.console.frame.sort import order_of, sorted_table
from armillary.console.frame.table_bar import NO_OTHER, TableBar, bar_of, cut, hidden_of, kept_in

LABELS = ("Device", "State", "Last seen", "")


def made(here: str, views: list[dict[str, str]] | None = None, columns: str | None = None, rows: int = 3) -> TableBar:
    memory = {"views": views or [], "columns": columns}
    return bar_of(LABELS, here, memory, rows=rows, is_whole=True, sorts=True)


@pytest.mark.parametrize(
    ("shown", "hidden"),
    [
        (None, set()),
        ("", set()),
        ("state", {2}),
        ("last-seen", {1}),
        ("state,last-seen", set()),
        (NO_OTHER, {1, 2}),
        ("device", {1, 2}),
        ("nothing-of-ours", set()),
        (",,,", set()),
    ],
)
def test_the_first_column_and_the_one_without_a_name_stay(shown: str | None, hidden: set[int]) -> None:
    assert hidden_of(LABELS, shown) == hidden


def test_the_address_counts_before_what_was_remembered() -> None:
    assert made("/t", columns="state").hidden == {2}
    assert made("/t?columns=last-seen", columns="state").hidden == {1}
    assert made("/t?columns=last-seen").classes(before=1) == "hide-3"


def test_a_view_is_current_whatever_the_order_of_its_query_and_the_place_in_the_list() -> None:
    kept = [{"view_id": "1", "name": "Mine", "query": "a=1&b=2"}, {"view_id": "2", "name": "Plain", "query": ""}]
    found = made("/t?b=2&a=1&after=50&told=kept", kept)
    assert found.current is not None
    assert (found.current.name, found.current.href, found.here) == ("Mine", "/t?a=1&b=2", "/t?b=2&a=1")
    plain = made("/t", kept).current
    assert plain is not None
    assert plain.name == "Plain"


def test_exports_have_the_columns_that_are_shown() -> None:
    assert made("/t", columns="state").exports[0] == ("CSV", "/t?columns=state&export=csv")
    assert made("/t").exports[0] == ("CSV", "/t?export=csv")
    assert made("/t", rows=0).exports == ()


def test_the_next_page_keeps_order_and_columns_and_no_other_place_gets_them() -> None:
    here = "/t?a=1&sort=-seen&columns=state&after=9"
    assert kept_in("/t?a=1&after=10", here) == "/t?a=1&after=10&sort=-seen&columns=state"
    assert kept_in("/other?after=10", here) == "/other?after=10"
    assert kept_in("", here) == ""


def test_a_section_loses_the_columns_and_their_cells() -> None:
    rows = [(sheet.text("a"), sheet.text("b"), sheet.text("c"), sheet.button("Stop", "/stop"))]
    left = cut(Section(title="", columns=LABELS, rows=rows, none=""), frozenset({1}))
    assert left.columns == ("Device", "Last seen", "")
    assert [each.text for each in left.rows[0]] == ["a", "c", "Stop"]


def test_only_what_the_source_sorts_can_be_sorted_over_several_pages() -> None:
    columns = {"Name": str, "Fired": str}
    heads, rows = sorted_table(columns, ["b", "a"], "/t?sort=fired", is_whole=False, by_source=("Fired",))
    assert [(each.href, each.order) for each in heads] == [("", ""), ("/t?sort=-fired", "ascending")]
    assert rows == ["b", "a"]  # as the source gave them
    assert order_of({"sort": "-fired"}, {"Fired": "at"}) == ("at", True)
    assert order_of({"sort": "name"}, {"Fired": "at"}) == ("", False)
