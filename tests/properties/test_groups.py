# SPDX-License-Identifier: Apache-2.0
"""Membership of device groups, for any filters and facts: all and any, missing values, and the facts that are needed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import (
    OPERATORS,
    SOURCES,
    DeviceFacts,
    Group,
    is_member,
    is_met,
    needs_of_filters,
    parse_group,
    value_at,
)

names = st.sampled_from(["a", "b", "c", "a.b", "value", "ac"])
leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8)
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
values = st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from(["", "a", "ab", "x"])
sections = st.dictionaries(names, documents, max_size=4)
facts = st.builds(
    DeviceFacts,
    device_id=st.just("00" * 64),
    fields=st.dictionaries(st.sampled_from(["health", "catalog", "template", "connected"]), st.none() | values),
    reported=sections,
    desired=sections,
    tags=sections,
    cloud=sections,
    telemetry=st.dictionaries(names, values, max_size=4),
)
filters = st.fixed_dictionaries(
    {
        "field": st.tuples(st.sampled_from([each for each in SOURCES if each != "device"]), names).map(":".join)
        | st.sampled_from(["device:health", "device:connected", "device:id"]),
        "operator": st.sampled_from([*OPERATORS]),
        "value": values,
    }
) | st.fixed_dictionaries({"field": st.just("cloud:a"), "operator": st.just("exists"), "value": st.booleans()})
groups = st.fixed_dictionaries(
    {"name": st.just("g"), "match": st.sampled_from(["all", "any"]), "filters": st.lists(filters, max_size=4)}
)


def parsed(body: Any) -> Group | None:
    try:
        return parse_group(body)
    except InvalidArgumentError:
        return None


@given(body=groups, fact=facts)
def test_all_and_any_are_what_they_say(body: dict[str, Any], fact: DeviceFacts) -> None:
    group = parsed(body)
    if group is None:  # an order of texts
        assert any(each["operator"] in ("gt", "ge", "lt", "le") for each in body["filters"])
        return
    met = [is_met(each, fact) for each in group.filters]
    assert is_member(group, fact) == ((all(met) if group.match_all else any(met)) if met else True)


@given(body=groups, fact=facts)
def test_what_is_missing_meets_no_comparison_and_eq_and_ne_never_agree(body: dict[str, Any], fact: DeviceFacts) -> None:
    group = parsed(body)
    for each in group.filters if group else ():
        value = value_at(each.field, fact)
        if each.operator == "exists":
            assert is_met(each, fact) == ((value is not None) == each.value)
        elif value is None:
            assert not is_met(each, fact)
        if each.operator in ("eq", "ne"):
            assert not (OPERATORS["eq"](value, each.value) and OPERATORS["ne"](value, each.value))


@given(body=groups, fact=facts)
def test_nothing_but_what_is_needed_is_looked_at(body: dict[str, Any], fact: DeviceFacts) -> None:
    group = parsed(body)
    if group is None:
        return
    needs = needs_of_filters(group.filters)
    less = DeviceFacts(
        device_id=fact.device_id,
        fields=fact.fields,
        reported=fact.reported if needs.twin else {},
        desired=fact.desired if needs.twin else {},
        tags=fact.tags if needs.twin else {},
        cloud=fact.cloud if needs.cloud else {},
        telemetry={name: value for name, value in fact.telemetry.items() if name in needs.telemetry},
    )
    assert is_member(group, less) == is_member(group, fact)
