# SPDX-License-Identifier: Apache-2.0
"""IoT Central's payload rules: modelled, unmodelled and broken values; properties and their acknowledgements."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from tests.twin.template.test_template import BODY, ROOT, THERMOSTAT

from armillary.errors import InvalidArgumentError
from armillary.twin.document.document import Twin, patch_desired, report
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.payload import MAX_CACHED, PayloadTable
from armillary.twin.template.property_state import PropertyState, desired_patch, judge_twin
from armillary.twin.template.schema import MAX_FAULTS, mismatches
from armillary.wire.dtdl.model import ArraySchema, Standard
from armillary.wire.hub.telemetry import decode

CENTRAL = ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"]
LEVELS = {
    "@type": "Enum",
    "valueSchema": "integer",
    "enumValues": [{"name": "low", "enumValue": 1}, {"name": "high", "enumValue": 2}],
}
RICH = {
    "@context": CENTRAL,
    "@id": ROOT,
    "@type": "Interface",
    "contents": [
        {"@type": "Component", "name": "thermostat1", "schema": "dtmi:com:example:Thermostat;1"},
        {"@type": "Telemetry", "name": "count", "schema": "integer"},
        {"@type": "Telemetry", "name": "on", "schema": "boolean"},
        {"@type": "Telemetry", "name": "since", "schema": "dateTime"},
        {"@type": ["Telemetry", "Location"], "name": "where", "schema": "geopoint"},
        {"@type": ["Telemetry", "State"], "name": "level", "schema": LEVELS},
        {"@type": "Telemetry", "name": "lanes", "schema": {"@type": "Array", "elementSchema": "integer"}},
        {"@type": "Telemetry", "name": "area", "schema": "polygon"},
        {
            "@type": "Telemetry",
            "name": "air",
            "schema": {
                "@type": "Object",
                "fields": [
                    {"name": "co2", "schema": "double"},
                    {
                        "name": "by",
                        "schema": {
                            "@type": "Map",
                            "mapKey": {"name": "room", "schema": "string"},
                            "mapValue": {"name": "ppm", "schema": "double"},
                        },
                    },
                ],
            },
        },
        {"@type": "Telemetry", "name": "PartitionId", "schema": "string"},
    ],
}
TEMPLATE = parse_template({"display_name": "Rich", "root": ROOT, "models": [RICH, THERMOSTAT]})
CONTROLLER_TEMPLATE = parse_template(BODY)


def judged(document: str, component: str = "") -> tuple[set[str], set[str], set[str]]:
    properties = {"$.sub": component} if component else {}
    values = decode(document.encode(), properties, 1_795_000_000_000).values
    found = PayloadTable(TEMPLATE).judge(values)
    return set(found.modelled), set(found.unmodelled), {each.name for each in found.broken}


def test_values_are_modelled_unmodelled_or_broken() -> None:
    text = (
        '{"count": 3, "on": "yes", "since": "2026-11-24T10:00:00Z", "level": 2, "extra": 1,'
        ' "where": {"lat": 47.6, "lon": -122.1}, "lanes": [1, 2.5], "air": {"co2": 600, "dust": 1, "by": {"r.1": 5}},'
        ' "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}'
    )
    modelled, unmodelled, broken = judged(text)
    assert broken == {"on", "lanes.1"}
    assert unmodelled == {"extra", "air.dust"}
    assert {"count", "since", "level", "where.lat", "lanes.0", "air.co2", "air.by.r.1", "area.type"} <= modelled
    assert "area.coordinates.0.1.0" in modelled


def test_a_components_telemetry_is_the_components() -> None:
    assert judged('{"temperature": 20}', "thermostat1") == ({"thermostat1.temperature"}, set(), set())
    assert judged('{"temperature": 20}') == (set(), {"temperature"}, set())
    assert judged('{"temperature": "warm"}', "thermostat1")[2] == {"thermostat1.temperature"}


@pytest.mark.parametrize(
    ("document", "broken"),
    [
        ('{"count": 1.5}', "integer of 32 bits"),
        ('{"count": 3000000000}', "integer of 32 bits"),
        ('{"count": true}', "integer of 32 bits"),
        ('{"since": "yesterday"}', "a date and time"),
        ('{"since": "2026-11-24"}', "a date and time"),
        ('{"level": 3}', "one of 1 (low), 2 (high)"),
        ('{"where": {"lat": "north", "lon": 1}}', "a number"),
    ],
)
def test_what_is_broken_says_why(document: str, broken: str) -> None:
    found = PayloadTable(TEMPLATE).judge(decode(document.encode(), {}, 0).values)
    assert broken in found.broken[0].expected


def wrong(name: str, value: object) -> list[str]:
    """Where a whole value differs from its schema."""
    return [each.name for each in mismatches(TEMPLATE.capabilities[name].content.schema, value, name)]


def test_a_whole_value_is_judged_more_exactly_than_its_flat_parts() -> None:
    assert wrong("where", {"lat": 1}) == ["where.lon"]
    assert wrong("area", {"type": "Point"}) == ["area"]
    assert wrong("lanes", []) == []
    assert wrong("thermostat1.temperature", "x") == ["thermostat1.temperature"]


def test_names_that_devices_choose_are_cached_within_bounds() -> None:
    table = PayloadTable(TEMPLATE)
    for number in range(3 * MAX_CACHED):
        assert table.leaf(f"air.by.room{number}") is not None
        assert table.leaf(f"nothing{number}") is None
        assert len(table.known) <= MAX_CACHED + len(table._fixed) + 1
    assert table.leaf("count") is not None


def test_judging_a_message_is_little_work() -> None:
    table = PayloadTable(TEMPLATE)
    values = {"count": 3.0, "on": True, "air.co2": 600.0, "where.lat": 1.0, "where.lon": 2.0, "extra": 1.0}
    table.judge(values)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        table.judge(values)
    finally:
        sys.setprofile(None)
    assert len(calls) <= 3 * len(values), calls  # no walk through the model; `bench/delays.py` has the microseconds


def test_a_wrong_array_is_a_bounded_number_of_mistakes() -> None:
    assert len(mismatches(ArraySchema(Standard("integer")), ["x"] * 1000, "a")) == MAX_FAULTS


def test_a_kept_number_has_no_spelling() -> None:
    # Telemetry is kept as doubles: 2 and 2.0 are one value there. A document says which it is (DTDL, instances).
    assert PayloadTable(TEMPLATE).judge({"count": 2.0}).broken == ()
    assert wrong("count", 2) == []
    assert wrong("count", 2.0) == ["count"]


@pytest.mark.parametrize(
    ("word", "good", "bad"),
    [
        ("double", [1, 1.5, -0.0], ["1", True, None, float("nan")]),
        ("float", [1.5], [1e39]),
        ("integer", [1, 2, -(2**31)], [2**31, 2.0, 1.5, True, "1"]),
        ("long", [2**62], [2**63, 0.0, 1e300]),
        ("string", ["", "x"], [1]),
        ("date", ["2026-11-24"], ["2026-13-01", "20261124", "2026-W47-2", "٢٠٢٦-11-24", "x", 5]),
        (
            "time",
            ["10:00:00Z", "10:00:00.5+01:00", "10:00:00z"],
            ["10:00:00", "10:00Z", "T10:00:00Z", "10:00:00+01", "10:00:00+24:00", "24:00:00Z", "25:00", "ten"],
        ),
        (
            "dateTime",
            ["2026-11-24T16:05:00Z", "2026-11-24t16:05:00.25-08:30"],
            ["2026-11-24T16:05:00", "2026-11-24T16:05Z", "2026-11-24 16:05:00Z", "20261124T160500Z", "2026-11-24"],
        ),
        (
            "duration",
            ["PT10H24M6.1S", "P1Y2M", "P3W", "-P1D", "P2W4DT8H", "P0.5Y", "PT0.001S"],
            ["P", "PT", "1h", "P1H", "P1Y3W", "P2M3W", "P3.4W5D", "P1.5DT2H", "PT.5S", "P1..5D", "PT5S9M", 5],
        ),
        ("point", [{"type": "Point", "coordinates": [1, 2]}], [{"type": "Point", "coordinates": [1]}, [1, 2]]),
        (
            "multiPoint",
            [{"type": "MultiPoint", "coordinates": [[1, 2, 3]]}],
            [{"type": "MultiPoint", "coordinates": 1}],
        ),
        (
            "geopoint",
            [{"lat": 1, "lon": 2}, {"lat": 1, "lon": 2, "alt": None}],
            [{"lat": 1}, {"lat": 1, "lon": 2, "x": 3}],
        ),
        ("vector", [{"x": 1, "y": 2, "z": 3}], [{"x": 1, "y": 2}, 5]),
    ],
)
def test_each_schema_takes_its_values_only(word: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert mismatches(Standard(word), value, "v") == []
    for value in bad:
        assert mismatches(Standard(word), value, "v") != []


# Properties -------------------------------------------------------------------------------------------------


def twin(desired: list[dict[str, Any]], reported: dict[str, Any]) -> Twin:
    made = Twin(device_id="d")
    for number, patch in enumerate(desired):
        made = patch_desired(made, patch, now_ms=number)
    return report(made, reported, now_ms=99) if reported else made


def state(desired: list[dict[str, Any]], reported: dict[str, Any]) -> str:
    found = judge_twin(CONTROLLER_TEMPLATE, twin(desired, reported))
    return next(view for view in found.properties if view.name == "thermostat1.target").state.value


def wanted(value: Any) -> dict[str, Any]:
    return {"thermostat1": {"__t": "c", "target": value}}


def answer(value: Any, **more: Any) -> dict[str, Any]:
    return wanted({"value": value, **more})


@pytest.mark.parametrize(
    ("desired", "reported", "expected"),
    [
        ([], {}, "unset"),
        ([], wanted(20), "reported"),
        ([], answer(20, ac=203, av=0), "reported"),
        ([wanted(21)], {}, "pending"),
        ([wanted(21)], wanted(20), "pending"),
        ([wanted(21)], wanted(21), "accepted"),
        ([wanted(21)], answer(21, ac=200, av=2, ad="ok"), "accepted"),
        ([wanted(21)], answer(20, ac=202, av=2), "pending"),
        ([wanted(21)], answer(20, ac=203, av=2), "pending"),
        ([wanted(21)], answer(20, ac=400, av=2, ad="too warm"), "failed"),
        ([wanted(21)], answer(20, ac=500, av=2), "failed"),
        ([wanted(21), wanted(22)], answer(21, ac=200, av=2), "pending"),
        ([wanted(21), wanted(22)], answer(22, ac=200, av=3), "accepted"),
        ([wanted(21), {"other": 1}], answer(21, ac=200, av=2), "accepted"),
        ([wanted(21)], answer(21, ac=200), "accepted"),
        ([wanted(21)], answer(21, ac="fine", av=2), "pending"),
        ([wanted(21), wanted(None)], wanted(20), "reported"),
    ],
)
def test_what_is_wanted_is_pending_accepted_or_failed(
    desired: list[dict[str, Any]], reported: dict[str, Any], expected: str
) -> None:
    assert state(desired, reported) == expected


def test_a_view_says_what_the_device_says_of_it() -> None:
    found = judge_twin(CONTROLLER_TEMPLATE, twin([wanted(21)], {**answer("warm", ac=400, av=2, ad="no"), "serial": 5}))
    serial, target = sorted(found.properties, key=lambda view: view.name)
    assert (target.reported, target.code, target.description, target.state) == ("warm", 400, "no", PropertyState.FAILED)
    assert target.fault is not None
    assert serial.fault is not None
    assert (serial.fault.expected, serial.fault.got) == ("text", "5")
    assert not serial.is_writable


def test_what_the_template_does_not_have_is_kept_and_shown_and_a_missing_marker_is_noted() -> None:
    reported = {"thermostat1": {"target": 1, "more": 2}, "loose": {"a": 1}, "serial": "s"}
    found = judge_twin(CONTROLLER_TEMPLATE, twin([], reported))
    assert found.unmodelled == {"thermostat1.more": 2, "loose": {"a": 1}}
    assert found.unmarked == ("thermostat1",)
    assert judge_twin(CONTROLLER_TEMPLATE, twin([], {"thermostat1": 5})).unmodelled == {"thermostat1": 5}


def test_wanted_values_become_a_patch_with_markers() -> None:
    assert desired_patch(CONTROLLER_TEMPLATE, {"thermostat1.target": 21.5}) == wanted(21.5)
    assert desired_patch(CONTROLLER_TEMPLATE, {"thermostat1.target": None}) == wanted(None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"serial": "x"}, "only the device sets"),
        ({"load": 1}, "none of that name"),
        ({"thermostat1.target": "warm"}, "a number"),
    ],
)
def test_what_cannot_be_wanted_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        desired_patch(CONTROLLER_TEMPLATE, values)


@pytest.mark.parametrize(
    ("schema", "limits", "exceeded", "good", "bad", "words"),
    [
        ("double", {"minValue": -30, "maxValue": 10}, "maxValue", 10, 10.5, "at most 10, got 10.5"),
        ("integer", {"minValue": 1}, "minValue", 1, 0, "at least 1, got 0"),
        ("string", {"minLength": 2, "maxLength": 3}, "maxLength", "abc", "abcd", "at most 3 characters, got 4"),
    ],
)
def test_what_is_wanted_is_within_the_limits_of_the_model(
    schema: str, limits: dict[str, Any], exceeded: str, good: Any, bad: Any, words: str
) -> None:
    content = {"@type": ["Property", "NumberValue"], "name": "x", "schema": schema, "writable": True, **limits}
    model = {"@context": CENTRAL, "@id": ROOT, "@type": "Interface", "contents": [content]}
    template = parse_template({"display_name": "X", "root": ROOT, "models": [model]})
    assert desired_patch(template, {"x": good}) == {"x": good}
    with pytest.raises(InvalidArgumentError, match=words):
        desired_patch(template, {"x": bad})
    del content[exceeded]
    unlimited = parse_template({"display_name": "X", "root": ROOT, "models": [model]})
    assert desired_patch(unlimited, {"x": bad}) == {"x": bad}  # the positive control
