# SPDX-License-Identifier: Apache-2.0
"""The query language over twins, and replacing a section as one patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.document.hub_query import MAX_COLUMNS, MAX_DEPTH, MAX_QUERY_CHARS, MAX_TERMS, parse_query
from armillary.twin.document.hub_query_rows import MAX_GROUPS
from armillary.twin.document.replacement import replacement_patch
from armillary.twin.document.section import merge

TWIN: dict[str, Any] = {
    "deviceId": "cable-7",
    "status": "enabled",
    "tags": {"floor": 2, "site": "Oslo's", "empty": None, "wet": True, "a-b.c": 4, "order": 1},
    "properties": {"reported": {"battery": 41.5, "$version": 3}, "desired": {}},
}


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [
        ("deviceId = 'cable-7'", True),
        ("deviceId = 'other'", False),
        ("deviceId != 'other'", True),
        ("devices.deviceId = 'cable-7'", True),
        ("tags.floor = 2", True),
        ("tags.floor = '2'", False),
        ("tags.floor <> 3", True),
        ("tags.floor > 1 AND tags.floor <= 2", True),
        ("tags.floor > 2 OR tags.wet = true", True),
        ("NOT tags.floor = 2", False),
        ("NOT (tags.floor = 2 AND tags.wet = false)", True),
        ("tags.site = 'Oslo\\'s'", True),
        ("tags.none = 1", False),
        ("tags.none != 1", False),  # what is not there compares with nothing
        ("tags.site > 3", False),
        ("tags.wet = 1", False),
        ("tags.floor IN [1, 2, 3]", True),
        ("tags.floor in ['1']", False),
        ("is_defined(tags.empty)", True),
        ("is_defined(tags.none)", False),
        ("IS_NULL(tags.empty)", True),
        ("startswith(deviceId, 'cab')", True),
        ("startswith(tags.floor, 'c')", False),
        ("properties.reported.battery < 42", True),
        ("properties.reported.battery < -4.15e1", False),
        ("properties.reported.$version = 3", True),
        ("tags.floor NIN [1, 3]", True),
        ("tags.floor NIN [1, 2]", False),
        ("tags.none nin [1]", False),  # what is not there compares with nothing
        ("tags.[[a-b.c]] = 4", True),
        ("tags[[a-b.c]] = 4", True),
        ("[[tags]].[[floor]] = 2", True),
        ("is_defined(tags.[[order]])", True),
        ("devices.tags.floor = 2", True),
    ],
)
def test_conditions(condition: str, chosen: bool) -> None:
    assert parse_query(f"SELECT * FROM devices WHERE {condition}").condition(TWIN) is chosen  # noqa: S608 - no SQL


def test_what_is_shown() -> None:
    assert parse_query("select * from devices").project(TWIN) == TWIN
    query = parse_query("SELECT deviceId, tags.floor AS storey, tags.none FROM devices")
    assert query.project(TWIN) == {"deviceId": "cable-7", "storey": 2}
    query = parse_query("SELECT [[deviceId]] AS id, tags.[[a-b.c]], tags.[[order]] AS place FROM devices")
    assert query.project(TWIN) == {"id": "cable-7", "a-b.c": 4, "place": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT c.deviceId, c.tags.floor FROM devices c WHERE c.tags.floor = 2", {"deviceId": "cable-7", "floor": 2}),
        ("SELECT d.deviceId FROM devices AS d WHERE d.status = 'enabled' AND tags.wet = true", {"deviceId": "cable-7"}),
        ("select devices.deviceId from devices", {"deviceId": "cable-7"}),
    ],
)
def test_an_alias_stands_for_the_source(text: str, expected: dict[str, Any]) -> None:
    query = parse_query(text)
    assert query.condition(TWIN)
    assert query.project(TWIN) == expected


def rows(text: str) -> list[dict[str, Any]]:
    """Of five documents: floors 0 0 1 1 and none; the loads are a number, a text, nothing, and what is no float."""
    query = parse_query(text)
    assert query.tallies
    tally = query.tally()
    for n, (floor, load) in enumerate(((0, 2), (0, 5.5), (1, "much"), (1, 10**400), (None, True))):
        tags = {"load": load} if floor is None else {"floor": floor, "load": load}
        document = {"deviceId": f"d{n}", "tags": tags}
        if query.condition(document):
            tally.add(document)
    return tally.rows()


def test_groups_are_counted_and_summed() -> None:
    assert rows("SELECT COUNT() FROM devices") == [{"$1": 5}]
    assert rows("SELECT COUNT(*) AS n FROM devices WHERE tags.floor = 7") == [{"n": 0}]
    assert rows("SELECT tags.floor, COUNT() AS n FROM devices GROUP BY tags.floor") == [
        {"floor": 0, "n": 2},
        {"floor": 1, "n": 2},
        {"n": 1},
    ]
    assert rows(
        "SELECT f.tags.floor AS floor, AVG(tags.load) AS a, SUM(f.tags.load) AS s, MIN(tags.load) AS least, max(tags.load) "
        "FROM devices f GROUP BY f.tags.floor"
    ) == [{"floor": 0, "a": 3.75, "s": 7.5, "least": 2, "$5": 5.5}, {"floor": 1}, {}]
    assert rows("SELECT COUNT() AS n FROM devices GROUP BY tags.floor") == [{"n": 2}, {"n": 2}, {"n": 1}]


def test_groups_are_bounded() -> None:
    tally = parse_query("SELECT deviceId, COUNT() FROM devices GROUP BY deviceId").tally()
    for n in range(MAX_GROUPS):
        tally.add({"deviceId": str(n)})
    tally.add({"deviceId": "0"})
    with pytest.raises(InvalidArgumentError, match="groups"):
        tally.add({"deviceId": "one more"})


def test_top_and_source() -> None:
    assert (parse_query("SELECT TOP 3 * FROM devices").top, parse_query("SELECT * FROM devices").top) == (3, None)
    assert parse_query("SELECT top FROM devices").project({"top": 1}) == {"top": 1}
    sources = [parse_query(f"SELECT * FROM {each}").source for each in ("devices", "Devices.Modules")]  # noqa: S608 - no SQL
    assert sources == ["devices", "devices.modules"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SELECT * FROM devices.jobs", "DEVICES.JOBS is not offered"),
        ("SELECT * FROM devices ORDER BY deviceId", "ORDER is not offered"),
        ("SELECT DISTINCT deviceId FROM devices", "DISTINCT is not offered"),
        ("SELECT * FROM devices WHERE tags.a LIKE 'x'", "LIKE is not offered"),
        ("SELECT a FROM devices JOIN b", "JOIN is not offered"),
        ("SELECT * FROM devices GROUP BY tags.floor", "fields, with GROUP BY"),
        ("SELECT tags.a, COUNT() FROM devices", "a path of GROUP BY"),
        ("SELECT tags.a, COUNT() FROM devices GROUP BY tags.b", "a path of GROUP BY"),
        ("SELECT TOP 0 * FROM devices", "TOP 1 to"),
        ("SELECT * FROM devices WHERE contains(tags.a, 'x')", "is_defined, is_null or startswith"),
        ("SELECT " + ", ".join(["a"] * (MAX_COLUMNS + 1)) + " FROM devices", "at most 50 fields"),  # noqa: S608 - no SQL
    ],
)
def test_what_is_not_offered_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(InvalidArgumentError, match=word):
        parse_query(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT", "SELECT * FROM other", "SELECT * FROM devices WHERE", "SELECT * FROM devices tags.x = 1",
        "SELECT * FROM devices WHERE tags.x", "SELECT * FROM devices WHERE tags.x = ", "SELECT * FROM devices WHERE (a = 1",
        "SELECT * FROM devices WHERE a = 1 OR", "SELECT * FROM devices WHERE a = 'open", "DROP TABLE devices",
        "SELECT * FROM devices; DROP", "SELECT * FROM devices WHERE f(a)", "SELECT * FROM devices WHERE a IN []",
        "SELECT * FROM devices WHERE a = b", "SELECT * FROM devices WHERE a = 1 b",
        "SELECT * FROM devices WHERE " + "(" * (MAX_DEPTH + 2) + "a = 1" + ")" * (MAX_DEPTH + 2),
        "SELECT * FROM devices WHERE " + "NOT " * 300 + "a = 1",
        "SELECT * FROM devices WHERE " + " OR ".join(["a=1"] * (MAX_TERMS + 1)), "x" * (MAX_QUERY_CHARS + 1),  # noqa: S608 - no SQL
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="query"):
        parse_query(text)


sections = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=10,
)


def _without_nulls(value: Any) -> Any:
    return {k: _without_nulls(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


@given(st.dictionaries(st.sampled_from("abcd"), sections), st.dictionaries(st.sampled_from("abcd"), sections))
def test_a_replacement_makes_the_wanted_section(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    current, wanted = _without_nulls(current), _without_nulls(wanted)
    patch = replacement_patch(current, wanted)
    assert merge(current, patch) == wanted
    assert replacement_patch(wanted, wanted) == {}
