# SPDX-License-Identifier: Apache-2.0
"""A draft is a profile that loads, whatever a machine says of itself, and claims nothing that nobody said."""

from __future__ import annotations

from hypothesis import given, strategies as st

from armillary.content.equipment import read_text
from armillary.guard.compiling import compile_profile
from armillary.guard.discovery.drafting import MAX_DRAFTED, UnitFound, draft_profile, ranges_text
from armillary.guard.discovery.searching import Span, TableFound
from armillary.wire.equipment.profile import ModbusAddress, ModbusTcp, Profile, Table

LINK = {"protocol": "modbus-tcp", "host": "10.9.0.2", "port": 1502, "timeout_s": 0.5}


def found_in(table: Table, *answers: Span) -> TableFound:
    return TableFound(table, True, answers, refused=0, silent=0, not_asked=0, reasons={})


def loaded(found: UnitFound) -> Profile:
    profile = read_text(draft_profile(found, LINK).encode(), "draft.yaml")
    compile_profile(profile)
    return profile


def test_what_held_something_or_changed_becomes_a_raw_point():
    tables = (found_in(Table.INPUT, Span(8, (0, 925, 0, 7))), found_in(Table.DISCRETE, Span(3, (1, 0))))
    later = {(Table.INPUT, 8): 0, (Table.INPUT, 9): 931, (Table.INPUT, 10): 5}
    unit = UnitFound(7, {0: "Nobody's", 1: "X-1", 4: "Oven"}, tables, later)
    profile = loaded(unit)
    assert {(each.name, each.raw, each.unit, each.scale) for each in profile.points} == {
        ("input9", "u16", "none", 1.0),
        ("input10", "u16", "none", 1.0),
        ("input11", "u16", "none", 1.0),
        ("discrete3", "bool", "none", 1.0),
    }
    assert {each.name: each.address for each in profile.points}["input9"] == ModbusAddress(Table.INPUT, 9)
    assert profile.commands == ()
    assert (profile.title, profile.manufacturer, profile.model) == ("Oven", "Nobodys", "X-1")
    assert profile.link == ModbusTcp(host="10.9.0.2", port=1502, unit=7, timeout_s=0.5)
    text = draft_profile(unit, LINK)
    assert "# held 925, then 931" in text
    assert "# input: these answer too, and are not below: 8\n" in text


def test_a_machine_that_answers_everywhere_gets_a_draft_that_people_can_read():
    profile = loaded(UnitFound(1, {}, (found_in(Table.HOLDING, Span(0, (1,) * 1024)),), {}))
    assert len(profile.points) == MAX_DRAFTED
    assert profile.title == "Unknown machine"


def test_a_machine_that_holds_nothing_gets_a_draft_without_points():
    text = draft_profile(UnitFound(1, {}, (found_in(Table.HOLDING, Span(5, (0, 0))),), {}), LINK)
    assert "not below: 5-6" in text
    assert "points: {}" in text


@given(st.dictionaries(st.integers(0, 8), st.text(max_size=80), max_size=9))
def test_whatever_a_machine_says_of_itself_the_draft_loads(objects: dict[int, str]):
    profile = loaded(UnitFound(1, objects, (found_in(Table.INPUT, Span(0, (1,))),), {}))
    assert len(profile.points) == 1


def test_an_identification_cannot_add_to_the_draft():
    hostile = '"\ncommands: {open: {table: coil, address: 1, fixed: true}}\n#'
    assert (
        loaded(UnitFound(1, {0: hostile, 4: hostile, 1: hostile}, (found_in(Table.INPUT, Span(0, (1,))),), {})).commands
        == ()
    )


def test_ranges_are_short():
    assert ranges_text([]) == ""
    assert ranges_text([0, 1, 2, 40, 100, 101]) == "0-2, 40, 100-101"
