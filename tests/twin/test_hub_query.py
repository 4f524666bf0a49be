# SPDX-License-Identifier: Apache-2.0
"""The query language over twins, and replacing a section as one patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.hub_query import MAX_DEPTH, MAX_QUERY_CHARS, MAX_TERMS, parse_query
from armillary.twin.replacement import replacement_patch
from armillary.twin.section import merge

TWIN: dict[str, Any] = {
    "deviceId": "cable-7",
    "status": "enabled",
    "tags": {"floor": 2, "site": "Oslo's", "empty": None, "wet": True},
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
    ],
)
def test_conditions(condition: str, chosen: bool) -> None:
    assert parse_query(f"SELECT * FROM devices WHERE {condition}").condition(TWIN) is chosen  # noqa: S608 - no SQL


def test_what_is_shown() -> None:
    assert parse_query("select * from devices").project(TWIN) == TWIN
    query = parse_query("SELECT deviceId, tags.floor AS storey, tags.none FROM devices")
    assert query.project(TWIN) == {"deviceId": "cable-7", "storey": 2}
    assert parse_query("SELECT COUNT() AS n FROM devices").counts == "n"
    assert parse_query("SELECT COUNT(*) FROM devices WHERE tags.floor = 2").counts == "$1"


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


@given(st.text(max_size=120))
def test_garbage_is_one_error(text: str) -> None:
    for candidate in (text, f"SELECT * FROM devices WHERE {text}"):  # noqa: S608 - no SQL
        try:
            parse_query(candidate).condition(TWIN)
        except InvalidArgumentError:
            continue


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
