# SPDX-License-Identifier: Apache-2.0
"""What a dashboard may say, and what is said of one that may not be kept."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author import dashboard
from armillary.twin.author.dashboard import COLUMNS, KINDS, StateThreshold, parse, parse_tile, state_of

DEVICE = "ab" * 64
SOURCE = {"group": "all-meters"}
# One tile of every kind, with every field that it may have.
FULL: dict[str, dict[str, Any]] = {
    "kpi": {
        "source": SOURCE,
        "value": "flow",
        "aggregate": "max",
        "range_s": 3600,
        "unit": "l/min",
        "decimals": 1,
        "thresholds": [{"from": 1, "state": "good"}, {"from": 2.5, "state": "bad"}],
        "sparkline": True,
    },
    "gauge": {"source": SOURCE, "value": "flow", "low": 0, "high": 80, "unit": "l/min", "decimals": 0},
    "line": {"source": {"device": DEVICE}, "values": ["flow", "valve.angle"], "range_s": 900, "aggregate": "avg"},
    "bar": {"source": {"template": "flow-meter"}, "values": ["flow"], "aggregate": "sum", "by": "device", "unit": "m³"},
    "heatmap": {"source": SOURCE, "value": "flow", "range_s": 86_400, "bucket_s": 1800},
    "map": {"source": SOURCE, "location": "position", "value": "flow", "thresholds": []},
    "floor-plan": {
        "source": SOURCE,
        "image": "water/plant.svg",
        "value": "flow",
        "places": [
            {"device": DEVICE, "x": 0, "y": 1, "label": "Pump 1"},
            {"property": "Room", "equals": "north", "x": 0.5, "y": 0.25},
        ],
    },
    "property": {"source": SOURCE, "names": ["mode", "valve.limit"]},
    "last-values": {"source": SOURCE, "values": ["flow", "pressure"]},
    "command": {"source": SOURCE, "command": "valve*close", "parameters": {"after_s": 3}, "label": "Close the valve"},
    "alerts": {"source": SOURCE, "status": "all", "most": 5},
    "commands": {
        "source": SOURCE,
        "buttons": [{"label": "Close", "command": "close"}, {"label": "Open", "command": "open", "ask": True}],
    },
    "image": {"image": "water/plant.png", "alt": "The plant"},
    "text": {"text": "# Shift\n\nCall **Ada** first."},
    "link": {"label": "Pumps", "target": "pumps"},
}


def tile(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"t-{kind}", "kind": kind, "title": kind, "x": 0, "y": 0, "w": 4, "h": 3, **FULL[kind], **fields}


def whole() -> dict[str, Any]:
    tiles = [tile(kind, y=3 * number) for number, kind in enumerate(FULL)]
    return {"name": "Water network", "template": "flow-meter", "columns": 12, "tiles": tiles}


def test_every_kind_of_tile_is_taken_with_every_field():
    assert set(FULL) == set(KINDS)
    found = parse(whole())
    assert [each.kind for each in found.tiles] == list(FULL)
    assert found.template == "flow-meter"
    kpi = found.tile("t-kpi")
    assert kpi is not None
    assert kpi.values == ("flow",)
    assert kpi.options["thresholds"] == (StateThreshold(1.0, "good"), StateThreshold(2.5, "bad"))
    assert found.tile("other") is None
    assert dashboard.free_row(found.tiles) == 3 * len(FULL)


@pytest.mark.parametrize("kind", FULL)
def test_absent_fields_have_a_meaning_or_are_named(kind: str):
    for row in KINDS[kind]:
        body = tile(kind)
        body.pop(row.name, None)
        if row.needed:
            with pytest.raises(InvalidArgumentError, match=f"tile 't-{kind}': {row.name}: expected"):
                parse_tile(body)
        else:
            assert parse_tile(body).options[row.name] == row.default


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("kpi", {"value": 3}, r"tile 't-kpi': value: expected text of 1 to 128 characters, got 3"),
        ("kpi", {"aggregate": "median"}, r"tile 't-kpi': aggregate: expected one of avg, "),
        ("kpi", {"colour": "red"}, r"tile 't-kpi': kpi: expected only id, kind, .*, got colour"),
        ("kpi", {"thresholds": [{"from": 2, "state": "bad"}, {"from": 2, "state": "good"}]}, "thresholds: .* rising"),
        ("kpi", {"thresholds": [{"from": True, "state": "bad"}]}, r"thresholds\[0\].from: expected a number, got True"),
        ("kpi", {"thresholds": [{"from": 10**400, "state": "bad"}]}, r"thresholds\[0\].from: expected a finite number"),
        ("kpi", {"source": {}}, "source: expected one of device, group, template, got nothing"),
        ("kpi", {"source": {"group": "a", "device": DEVICE}}, "source: expected one of .*, got device, group"),
        (
            "kpi",
            {"source": {"device": "A B"}},
            "source.device: expected the id of a device: 128 hexadecimal digits, or",
        ),
        ("kpi", {"source": {"group": "../x"}}, "source.group: expected the id of a group"),
        ("kpi", {"w": 13}, "w: expected 1 to 12, got 13"),
        ("kpi", {"x": 9, "w": 4}, "w: expected at most 3 columns from column 9 on, got 4"),
        ("kpi", {"y": 99, "h": 2}, "h: expected at most 1 rows from row 99 on, got 2"),
        ("kpi", {"x": 0.5}, "x: expected a whole number, got 0.5"),
        ("line", {"values": []}, "values: expected a list of 1 to 8, got 0"),
        ("line", {"values": ["a", "a"]}, "values: expected each name once"),
        ("line", {"range_s": 5}, "range_s: expected 60 to "),
        ("heatmap", {"range_s": 86_400 * 30, "bucket_s": 60}, "range_s: expected at most 24000 s"),
        ("floor-plan", {"image": "../../etc/passwd"}, "image: expected TEMPLATE/FILE.svg"),
        ("floor-plan", {"places": [{"device": DEVICE, "x": 2, "y": 0}]}, r"places\[0\].x, y: expected 0 to 1"),
        ("floor-plan", {"places": [{"x": 0, "y": 0}]}, r"places\[0\]: expected either device, or property and equals"),
        ("image", {"image": "water/plant.html"}, "image: expected TEMPLATE/FILE.svg"),
        ("link", {"target": "javascript:alert(1)"}, "target: expected a dashboard's id"),
        ("link", {"target": "//elsewhere.example"}, "target: expected a dashboard's id"),
        ("link", {"target": "https://"}, "target: expected a dashboard's id"),
        ("command", {"parameters": "x" * 5000}, "parameters: expected JSON of at most 4096 characters"),
        ("gauge", {"low": 80}, "tile 't-gauge': high: expected more than low, 80, got 80"),
        ("gauge", {"high": "much"}, "high: expected a number, got 'much'"),
        ("kpi", {"sparkline": 1}, "sparkline: expected true or false, got 1"),
        ("alerts", {"status": "loud"}, "status: expected one of open, all"),
        ("alerts", {"most": 41}, "most: expected 1 to 40, got 41"),
        ("commands", {"buttons": []}, "buttons: expected a list of 1 to 8, got 0"),
        ("commands", {"buttons": [{"label": "x"}]}, r"buttons\[0\].command: expected text"),
        ("commands", {"buttons": [{"label": "x", "command": "y", "ask": "no"}]}, r"buttons\[0\].ask: expected true"),
        ("text", {"text": "a\x00b"}, "text: expected text without control characters"),
    ],
)
def test_what_is_wrong_is_named_by_tile_and_field(kind: str, fields: dict[str, Any], says: str):
    with pytest.raises(InvalidArgumentError, match=says) as caught:
        parse_tile(tile(kind, **fields))
    assert f"'t-{kind}'" in caught.value.message
    assert "docs/guides/dashboards.md" in caught.value.remedy


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": 24}, "columns: expected 12, got 24"),
        ({"name": ""}, "name: expected text of 1 to 128"),
        ({"template": 7}, "template: expected a template's id or null, got 7"),
        ({"owner": "x"}, "dashboard: expected only name, .*, got owner"),
        ({"tiles": {}}, "tiles: expected a list"),
        ({"tiles": ["x"]}, r"tiles\[0\]: expected a JSON object, got str"),
        ({"tiles": [{"kind": "kpi"}]}, r"tiles\[0\].id: expected 1 to 40"),
        ({"tiles": [tile("kpi"), tile("kpi", x=4)]}, "tile 't-kpi': id: expected an id that no other tile has"),
        (
            {"tiles": [tile("kpi"), tile("link", x=3, y=2)]},
            "tile 't-link': x, y, w, h: .*, got column 3, row 2, where tile 't-kpi' lies",
        ),
        ({"tiles": [{**tile("kpi"), "kind": "pie"}]}, "kind: expected one of kpi, gauge, line, "),
    ],
)
def test_what_is_wrong_with_the_whole_is_named(change: dict[str, Any], says: str):
    with pytest.raises(InvalidArgumentError, match=says):
        parse({**whole(), **change})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_change_of_a_good_dashboard_is_taken_or_refused_with_a_reason(data: st.DataObject):
    body = copy.deepcopy(whole())
    at: Any = body
    for _ in range(4):  # walk to some field and put something else there
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], (dict, list)) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(JSON)
    refusal, found = outcome(body)
    if found is None:
        assert re.search(r"expected .*, got ", refusal, re.DOTALL)
        return
    cells = [(x, y) for t in found.tiles for x in range(t.x, t.x + t.w) for y in range(t.y, t.y + t.h)]
    assert len(cells) == len(set(cells))
    assert all(0 <= x < COLUMNS for x, _ in cells)


def outcome(body: object) -> tuple[str, dashboard.Dashboard | None]:
    try:
        return "", parse(body)
    except InvalidArgumentError as error:
        return error.message, None


@given(JSON)
def test_no_document_makes_it_fail_otherwise(document: Any):
    with pytest.raises(InvalidArgumentError):
        parse(document)


@pytest.mark.parametrize(("value", "state"), [(0.9, ""), (1, "good"), (2, "good"), (2.5, "bad"), (9e9, "bad")])
def test_a_number_is_in_the_state_of_the_last_threshold_below_it(value: float, state: str):
    assert state_of((StateThreshold(1.0, "good"), StateThreshold(2.5, "bad")), value) == state


def laid(*places: tuple[int, int, int, int]) -> tuple[dashboard.Tile, ...]:
    return tuple(
        parse_tile({"id": f"t{number}", "kind": "text", "text": "x", "x": x, "y": y, "w": w, "h": h})
        for number, (x, y, w, h) in enumerate(places)
    )


def order(*places: tuple[int, int, int, int]) -> list[str]:
    return [each.id for each in dashboard.reading_order(laid(*places))]


def test_tiles_are_read_row_by_row_and_a_column_beside_a_tall_tile_stays_together():
    assert order((6, 0, 6, 2), (0, 0, 6, 2), (0, 2, 12, 4)) == ["t1", "t0", "t2"]
    # A tall chart with a column of figures on its right, and one with a column on its left.
    assert order((8, 0, 4, 2), (0, 0, 8, 4), (8, 2, 4, 2), (0, 4, 12, 1)) == ["t1", "t0", "t2", "t3"]
    assert order((0, 0, 4, 2), (4, 0, 8, 4), (0, 2, 4, 2)) == ["t0", "t2", "t1"]
    # What no line parts goes by row: a windmill.
    assert order((0, 0, 8, 4), (8, 0, 4, 8), (4, 8, 8, 4), (0, 4, 4, 8), (4, 4, 4, 4)) == ["t0", "t1", "t3", "t4", "t2"]


PLACES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), st.integers(1, 3), st.integers(1, 4)), max_size=12)


@given(PLACES)
def test_the_reading_order_holds_every_tile_once_and_never_one_before_what_lies_wholly_above_and_left(
    places: list[tuple[int, int, int, int]],
):
    tiles = laid(*places)
    found = dashboard.reading_order(tiles)
    assert sorted(each.id for each in found) == sorted(each.id for each in tiles)
    at = {each.id: number for number, each in enumerate(found)}
    for one in tiles:
        for two in tiles:
            if one.y + one.h <= two.y and one.x + one.w <= two.x:
                assert at[one.id] < at[two.id]
