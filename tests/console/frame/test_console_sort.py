# SPDX-License-Identifier: Apache-2.0
"""Tables are sorted by their heads where all rows are on the page, and offer no order where they are not."""

from __future__ import annotations

import pytest

from armillary.console.frame import sheet
from armillary.console.frame.sort import Head, key_of, sorted_sheet, sorted_table
from armillary.console.frame.states import BAD, GOOD, SEVERITY, UNKNOWN, State, state_of
from armillary.console.frame.words import moment

WORDS = ["a 2", "A 10", "b", "", "1,204 devices", "90 devices"]
COLUMNS = {"What is it": lambda each: each, "Do": None}


def test_figures_are_numbers_and_what_is_missing_is_last():
    assert sorted(WORDS, key=key_of) == ["90 devices", "1,204 devices", "a 2", "A 10", "b", ""]
    severities = ["info", "critical", "low", "high", "medium"]
    ordered = sorted((state_of(SEVERITY, each) for each in severities), key=key_of)
    assert [each.word for each in ordered] == ["critical", "high", "medium", "low", "info"]
    assert min([State(GOOD, "on"), State(UNKNOWN, "off"), State(BAD, "x")], key=key_of).word == "x"
    assert sorted([moment(9, 10), None, moment(3, 10)], key=key_of) == [moment(3, 10), moment(9, 10), None]


@pytest.mark.parametrize("here", ["/rules?q=%22x%22&told=kept", "/rules?sort=nothing", "/rules?sort="])
def test_a_head_leads_to_its_order_and_keeps_the_rest_of_the_address(here: str):
    heads, rows = sorted_table(COLUMNS, WORDS, here, is_whole=True)
    assert rows == WORDS  # as they came
    assert heads[0].href in ("/rules?q=%22x%22&sort=what-is-it", "/rules?sort=what-is-it")
    assert heads[1] == Head("Do")


def test_a_table_is_sorted_both_ways_whatever_the_order_that_it_came_in():
    mixed = WORDS[3:] + WORDS[:3]
    heads, up = sorted_table(COLUMNS, mixed, "/rules?sort=what-is-it", is_whole=True)
    assert up == sorted(WORDS, key=key_of)
    assert (heads[0].order, heads[0].href) == ("ascending", "/rules?sort=-what-is-it")
    heads, down = sorted_table(COLUMNS, mixed, heads[0].href, is_whole=True)
    assert down == up[::-1]
    assert (heads[0].order, heads[0].href) == ("descending", "/rules?sort=what-is-it")


def test_a_page_of_several_is_in_its_own_order_and_offers_no_other():
    heads, rows = sorted_table(COLUMNS, WORDS, "/rules?sort=what-is-it", is_whole=False)
    assert (heads, rows) == ((Head("What is it"), Head("Do")), WORDS)
    lines = [[sheet.text("b"), sheet.number(2)], [sheet.text("a"), sheet.number(10)]]
    made = sheet.Section(title="T", columns=("Name", "Count"), rows=lines, none="", sorts=True)

    def names(section: sheet.Section, here: str) -> list[str]:
        page = sorted_sheet(sheet.Sheet(place="T", title="T", sections=(section,)), here)
        return [row[0].text for row in page.sections[0].rows]

    assert names(made, "/t?sort=name") == names(made, "/t?sort=-count") == ["a", "b"]
    assert names(made, "/t?sort=name&after=x") == names(made, "/t") == ["b", "a"]
    more = sheet.Section(title="T", columns=("Name", "Count"), rows=lines, none="", sorts=True, next_href="/t?after=b")
    assert names(more, "/t?sort=name") == ["b", "a"]
    fixed = sheet.Section(title="T", columns=("Name", "Count"), rows=lines, none="")
    assert names(fixed, "/t?sort=name") == ["b", "a"]
