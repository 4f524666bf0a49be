# SPDX-License-Identifier: Apache-2.0
"""Every group has a query text in IoT Central's language that is read as that group again; ids come back as well."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import DEVICE_FIELDS, EXISTS, OPERATORS, SOURCES, Field, Filter, Group, parse_group
from armillary.twin.central.id import central_id, document_id
from armillary.twin.central.query import HEAD, parse_query, query_text, with_clouds

WHERE = f"{HEAD} WHERE "
PATHS = st.from_regex(r"[A-Za-z_]\w{0,6}(\.[a-z]\w{0,4})?", fullmatch=True) | st.text(min_size=1, max_size=12)
FIELDS = st.builds(Field, st.sampled_from([each for each in SOURCES if each != "device"]), PATHS) | st.builds(
    Field, st.just("device"), st.sampled_from(DEVICE_FIELDS)
)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = NUMBERS | st.booleans() | st.text(max_size=12)
FILTERS = st.one_of(
    st.builds(
        Filter, FIELDS, st.sampled_from([each for each in OPERATORS if each in ("eq", "ne", "contains")]), VALUES
    ),
    st.builds(Filter, FIELDS, st.sampled_from(["gt", "ge", "lt", "le"]), NUMBERS),
    st.builds(Filter, FIELDS, st.just(EXISTS), st.booleans()),
)


@given(
    st.lists(FILTERS, max_size=6),
    st.booleans(),
    st.none() | st.text(min_size=1, max_size=30),
    st.sets(PATHS, max_size=3),
)
def test_every_group_comes_back_from_its_text(
    filters: list[Filter], match_all: bool, template: str | None, clouds: set[str]
) -> None:
    group = Group(name="g", template=template, match_all=match_all or len(filters) < 2, filters=tuple(filters))
    read = parse_query(query_text(group, template, clouds))
    back = Group(name="g", template=read.template, match_all=read.match_all, filters=with_clouds(read, clouds))
    assert dataclasses.asdict(back) == dataclasses.asdict(group)
    assert [type(each.value) for each in back.filters] == [type(each.value) for each in group.filters]


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for query in (text, WHERE + text):
        try:
            parse_query(query)
        except InvalidArgumentError as error:
            assert error.remedy  # noqa: PT017 - what is asked


def filters_of(condition: str) -> tuple[Any, ...]:
    read = parse_query(WHERE.lower() + condition)
    return read.template, read.match_all, [(str(each.field), each.operator, each.value) for each in read.filters]


def test_the_documented_language() -> None:
    assert filters_of('$template = "dtmi:modelDefinition:dtdlv2" AND $provisioned = true') == (
        "dtmi:modelDefinition:dtdlv2", True, [("device:provisioned", "eq", True)],
    )  # fmt: skip
    assert filters_of("$simulated = false AND settings.fanSpeed >= 12.5 and $id <> 'a\\'b'") == (
        None, True,
        [("device:tier", "ne", "simulated"), ("property:settings.fanSpeed", "ge", 12.5), ("device:id", "ne", "a'b")],
    )  # fmt: skip
    assert filters_of('a = 1 OR b != "x"') == (None, False, [("property:a", "eq", 1), ("property:b", "ne", "x")])
    assert filters_of('$template = "t" AND (a = 1 OR b = true)')[:2] == ("t", False)
    assert filters_of('a = 1 AND $template = "t"')[0] == "t"
    assert filters_of('$template = "t"') == ("t", True, [])
    assert parse_query("SELECT * FROM devices").filters == ()


@pytest.mark.parametrize(
    "condition",
    ['$template = "t" OR a = 1', 'a = 1 OR $template = "t"', "a = 1 AND b = 2 OR c = 3", "(a = 1 AND b = 2) OR c = 3",
     "a = (b = 1)", "$displayName = 'x'", "a > 'x'", "a > true", "a IN ['x']", "a =", "= 1", "a = b", "a = 1 AND", "",
     '$template = "t" AND $template = "u"', "$template != 't'", "$simulated = 1", "$simulated > true", "a ~ 1", "NOT a = 1",
     "IS_DEFINED(a", "a = null", "$nothing.a = 1", "a = 'x\\q'", "$template = 5"],
)  # fmt: skip
def test_what_a_group_cannot_say_is_refused(condition: str) -> None:
    with pytest.raises(InvalidArgumentError, match="filter: expected"):
        parse_query(WHERE + condition)


def test_a_property_and_a_cloud_property_of_one_name_are_told_apart() -> None:
    filters = tuple(Filter(Field(source, "a"), "eq", n) for n, source in enumerate(("property", "cloud", "property")))
    text = query_text(Group(name="g", filters=filters), None, {"a"})
    assert text.endswith("WHERE $property.a = 0 AND a = 1 AND $property.a = 2")
    assert with_clouds(parse_query(text), {"a"}) == filters


def test_too_much_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        parse_query(WHERE + " AND ".join(["a = 1"] * 51))
    for query in ("SELECT a FROM devices", "SELECT * FROM dtmi:a;1", "DELETE FROM devices", "x" * 100_001):
        with pytest.raises(InvalidArgumentError):
            parse_query(query)


def test_a_group_that_is_read_is_one_that_may_be_kept() -> None:
    read = parse_query('SELECT * FROM devices WHERE $telemetry.`a b` > 5 AND a CONTAINS "x" AND NOT IS_DEFINED($tag.b)')
    body = [{"field": str(each.field), "operator": each.operator, "value": each.value} for each in read.filters]
    assert parse_group({"name": "g", "filters": body}).filters == read.filters


@given(st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True))
def test_ids_come_back(given_id: str) -> None:
    kept = document_id(given_id)
    assert kept == kept.lower()
    assert central_id(kept) == given_id
    assert document_id(central_id(kept)) == kept


@given(st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True))
def test_ids_of_ours_stay_what_they_are_or_come_back(kept: str) -> None:
    assert document_id(central_id(kept)) == kept


@pytest.mark.parametrize("wrong", ["", "a b", "Ä", "A.b", "ä", "a/B"])
def test_no_other_ids(wrong: str) -> None:
    with pytest.raises(InvalidArgumentError):
        document_id(wrong)
