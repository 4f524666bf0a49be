# SPDX-License-Identifier: Apache-2.0
"""Device groups: what a body may say, and who is in."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.errors import InvalidArgumentError
from armillary.twin.author.group import DeviceFacts, Needs, is_member, needs_of_filters, parse_group

FACTS = DeviceFacts(
    device_id="0a" * 64,
    fields={"health": "attested", "tier": "tpm", "catalog": "North", "connected": True, "template": "sensor"},
    reported={"mode": "auto", "limit": {"value": 4, "ac": 200, "av": 3}, "probe": {"depth": 2.5}},
    desired={"limit": 9, "interval": 60},
    tags={"floor": 3},
    cloud={"site": "north-1", "dotted.name": True},
    telemetry={"temperature": 41.5, "probe.ph": 7, "door": False},
)


def group(*filters: tuple[str, str, Any], **more: Any) -> dict[str, Any]:
    shown = [dict(zip(("field", "operator", "value"), each, strict=True)) for each in filters]
    return {"name": "g", "filters": shown, **more}


@pytest.mark.parametrize(
    ("place", "operator", "value", "met"),
    [
        ("telemetry:temperature", "gt", 41, True),
        ("telemetry:temperature", "gt", 41.5, False),
        ("telemetry:temperature", "ge", 41.5, True),
        ("telemetry:probe.ph", "le", 7.0, True),
        ("telemetry:door", "eq", False, True),
        ("telemetry:door", "eq", 0, False),  # another kind
        ("telemetry:door", "ne", 0, False),  # and neither is it different
        ("telemetry:absent", "ne", 1, False),
        ("telemetry:absent", "exists", False, True),
        ("property:limit", "eq", 4, True),  # what was acknowledged, not its envelope
        ("reported:limit.av", "eq", 3, True),
        ("desired:limit", "eq", 9, True),
        ("property:interval", "eq", 60, True),  # not reported yet: what is desired
        ("property:probe.depth", "lt", 3, True),
        ("property:probe", "exists", True, True),
        ("property:probe", "eq", 1, False),
        ("tag:floor", "eq", 3, True),
        ("cloud:site", "contains", "north", True),
        ("cloud:dotted.name", "eq", True, True),
        ("device:health", "eq", "attested", True),
        ("device:connected", "eq", True, True),
        ("device:id", "contains", "0a0a", True),
        ("device:verdict", "exists", True, False),
    ],
)
def test_a_filter(place: str, operator: str, value: Any, met: bool) -> None:
    assert is_member(parse_group(group((place, operator, value))), FACTS) is met


def test_catalog_and_template_come_before_the_filters() -> None:
    assert is_member(parse_group(group(catalog="NORTH", template="sensor")), FACTS)
    assert not is_member(parse_group(group(catalog="south")), FACTS)
    assert not is_member(parse_group(group(template="gateway")), FACTS)
    assert not is_member(parse_group(group(catalog="north")), DeviceFacts(device_id="0b" * 64))
    either = parse_group(group(("tag:floor", "eq", 9), ("device:tier", "eq", "tpm"), match="any"))
    assert is_member(either, FACTS)
    assert not is_member(parse_group(group(("tag:floor", "eq", 9), ("device:tier", "eq", "tpm"))), FACTS)


def test_what_is_read_follows_from_the_filters() -> None:
    body = parse_group(group(("telemetry:a", "exists", True), ("cloud:b", "exists", True)))
    assert needs_of_filters(body.filters) == Needs(twin=False, cloud=True, telemetry=frozenset({"a"}))
    assert needs_of_filters(parse_group(group(("tag:b", "exists", True))).filters) == Needs(twin=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "a JSON object"),
        ({}, "group.name: expected a value"),
        ({"name": ""}, "1 to 128"),
        ({"name": "a\x1b"}, "1 to 128"),
        ({"name": "a" * 129}, "1 to 128"),
        ({"name": "g", "colour": 1}, "no other fields, got 'colour'"),
        ({"name": "g", "match": "most"}, "all, any"),
        ({"name": "g", "filters": {}}, "a list"),
        ({"name": "g", "filters": [1] * 51}, "at most 50"),
        ({"name": "g", "filters": [1]}, r"filters\[0\]: expected a JSON object"),
        (group(("nowhere:x", "eq", 1)), r"filters\[0\].field: expected property"),
        (group(("device:colour", "eq", 1)), "device:NAME of id"),
        (group(("cloud:", "eq", 1)), "PATH"),
        (group(("cloud:x", "like", 1)), "one of eq"),
        (group(("cloud:x", "eq", None)), "a number, true"),
        (group(("cloud:x", "eq", [1])), "a number, true"),
        (group(("cloud:x", "eq", float("nan"))), "a number, true"),
        (group(("cloud:x", "gt", "a")), "a number for gt"),
        (group(("cloud:x", "exists", 1)), "true or false"),
    ],
)
def test_a_body_is_refused_with_its_place(body: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        parse_group(body)
    assert "segments.md" in (caught.value.remedy or "")
