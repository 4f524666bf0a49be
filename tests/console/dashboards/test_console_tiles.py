# SPDX-License-Identifier: Apache-2.0
"""What tiles say: figures, counts, ages, states, and that whatever the API answers a view is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from armillary.console.dashboards.pages_tiles import live_items, tile_view
from armillary.console.frame.values import NO_VALUE, value_text
from armillary.twin.author.dashboard import Tile, parse_tile
from armillary.twin.template.value_names import ValueName

NOW = 1_800_000_000
DEVICE = "ab" * 64


def tile(kind: str, **fields: Any) -> Tile:
    body = {"id": "t", "kind": kind, "title": "T", "x": 1, "y": 2, "w": 3, "h": 2, "source": {"group": "g"}, **fields}
    if kind in ("text", "link", "image"):
        del body["source"]
    return parse_tile(body)


def kpi(**answer: Any) -> dict[str, Any]:
    return {"kind": "kpi", "devices": 3, "of": None, "at_ms": NOW * 1000, "state": "", "device_id": None, **answer}


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (None, "°C", None, NO_VALUE),
        (True, "", None, "true"),
        ("open", "V", None, "open"),
        (1204.56, "l", None, "1,205 l"),
        (12.3456, "°C", None, "12.35 °C"),
        (0.012345, "", None, "0.0123"),
        (0.00001234, "", None, "1.234e-05"),
        (3.0, "", 1, "3.0"),
        (0, "%", None, "0 %"),
        (-7.5, "°C", None, "-7.5 °C"),
        (1e15, "", None, "1.000e+15"),
    ],
)
def test_values_as_people_read_them(value: object, unit: str, decimals: int | None, text: str):
    assert value_text(value, unit, decimals) == text


def test_a_figure_says_of_how_many_devices_and_what_it_is():
    view = tile_view(tile("kpi", value="flow", aggregate="max", range_s=3600, unit="l"), kpi(value=12.5), "d", NOW)
    assert (view["state"], view["text"], view["unit"], view["note"]) == (
        "ok",
        "12.5",
        "l",
        "highest of 60 min, 3 devices",
    )
    assert not view["stale"]
    assert view["place"] == "x1 y2 w3 h2"
    counted = tile_view(tile("kpi", value="open", decimals=2), kpi(value=2, of=3), "d", NOW)
    assert (counted["text"], counted["unit"], counted["note"]) == ("2", "of 3", "now, 3 devices")


def test_a_chart_over_time_has_its_thresholds_on_the_axis_of_its_first_value():
    names = [
        {"name": name, "display_name": name, "symbol": unit, "words": {}}
        for name, unit in (("flow", "l/s"), ("p", "bar"))
    ]
    times = {"at_ms": [NOW * 1000], "values": [3]}
    data = {
        "kind": "line", "devices": 1, "labels": names, "device_id": DEVICE, "start_ms": 0, "end_ms": NOW * 1000,
        "bucket_ms": 0, "series": [{"name": "flow", **times}, {"name": "p", **times}],
    }  # fmt: skip
    limits = [{"from": 4, "state": "attention"}, {"from": 7.5, "state": "bad"}]
    shown = tile_view(tile("line", values=["flow", "p"], thresholds=limits), data, "d", NOW)
    assert shown["chart"]["thresholds"] == [
        {"axis": 0, "at": 4.0, "shape": "attention", "label": "4 l/s"},
        {"axis": 0, "at": 7.5, "shape": "bad", "label": "7.5 l/s"},
    ]
    assert tile_view(tile("line", values=["flow", "p"]), data, "d", NOW)["chart"]["thresholds"] == []


def test_old_values_are_stale_absent_ones_empty_and_errors_say_what_to_do():
    old = tile_view(tile("kpi", value="flow"), kpi(value=1, at_ms=(NOW - 3600) * 1000), "d", NOW)
    assert old["stale"]
    assert tile_view(tile("kpi", value="flow"), kpi(value=None), "d", NOW)["state"] == "empty"
    error = {"code": "request.not-found", "message": "there is no group 'g'", "remedy": "Make it."}
    view = tile_view(tile("kpi", value="flow"), {"kind": "kpi", "devices": 0, "error": error}, "d", NOW)
    assert (view["state"], view["message"], view["remedy"]) == ("error", "There is no group 'g'.", "Make it.")


def test_a_table_of_one_device_is_turned():
    row = {"device_id": DEVICE, "label": "Pump", "values": [1, None], "at_ms": [NOW * 1000, None]}
    shown = tile("last-values", values=["flow", "open"])
    view = tile_view(shown, {"devices": 1, "names": ["flow", "open"], "rows": [row]}, "d", NOW)
    assert view["columns"] == ["Name", "Pump"]
    assert [(each["label"], each["cells"][0]["text"]) for each in view["rows"]] == [("flow", "1"), ("open", NO_VALUE)]
    assert view["rows"][0]["cells"][0]["key"] == f"{DEVICE} flow"
    two = tile_view(shown, {"devices": 90, "names": ["flow", "open"], "rows": [row, row]}, "d", NOW)
    assert (two["columns"], two["note"]) == (["Device", "flow", "open"], "88 more devices")


def test_links_lead_to_dashboards_paths_or_addresses():
    for target, href, outside in (
        ("pumps", "/dashboards/pumps", False),
        ("/fleet", "/fleet", False),
        ("https://a.example/x", "https://a.example/x", True),
    ):
        view = tile_view(tile("link", label="There", target=target), None, "d", NOW)
        assert (view["href"], view["outside"]) == (href, outside)


def test_what_comes_live_has_the_texts_of_its_tiles():
    tiles = (tile("last-values", values=["flow"], unit="l/min"),)
    items = live_items(tiles, [{"device_id": DEVICE, "name": "flow", "at_ms": 5, "value": 2.25}], {})
    assert items == [{"key": f"{DEVICE} flow", "at_ms": 5, "value": 2.25, "texts": {"t": "2.25 l/min"}}]


def test_what_comes_live_is_said_by_each_tile_in_its_own_way():
    number = replace(tile("kpi", value="flow", decimals=1), id="number")
    table = replace(tile("last-values", values=["flow", "mode"]), id="table")
    called = {
        "number": {"flow": ValueName("flow", "Flow", "l/s")},
        "table": {"flow": ValueName("flow", "Flow", "l/s"), "mode": ValueName("mode", "Mode", "", {2: "Boost"})},
    }
    items = [
        {"device_id": DEVICE, "name": name, "at_ms": 5, "value": value} for name, value in (("flow", 2), ("mode", 2))
    ]
    texts = [each["texts"] for each in live_items((number, table), items, called)]
    assert texts == [{"number": "2.0", "table": "2 l/s"}, {"table": "Boost"}]


LABELS = [
    {"name": "fill", "display_name": "Fill level", "symbol": "%", "words": []},
    {"name": "weight", "display_name": "Weight", "symbol": "kg", "words": []},
    {"name": "load", "display_name": "Load", "symbol": "kg", "words": []},
    {"name": "heat", "display_name": "Heat", "symbol": "°C", "words": []},
    {"name": "state", "display_name": "State", "symbol": "", "words": [{"value": "open", "display_name": "Wide open"}]},
]


def over_time(*names: str) -> dict[str, Any]:
    """What the API says of a chart of values over time, one point each."""
    series = [{"name": name, "at_ms": [1000], "values": [1.5]} for name in names]
    times = {"start_ms": 0, "end_ms": 2000, "bucket_ms": 0, "by": "time", "device_id": None, "devices": 2}
    return {**times, "labels": LABELS, "series": series}


@pytest.mark.parametrize("kind", ["line", "bar"])
def test_a_chart_has_an_axis_for_each_of_two_units_and_refuses_a_third(kind: str):
    names = ["fill", "weight", "load", "heat"]
    one = tile_view(tile(kind, values=names[1:3]), over_time("weight", "load"), "d", NOW)
    assert (one["chart"]["axes"], [each["axis"] for each in one["chart"]["series"]]) == (["kg"], [0, 0])
    two = tile_view(tile(kind, values=names[:3]), over_time("fill", "weight", "load"), "d", NOW)
    assert (two["chart"]["axes"], [each["axis"] for each in two["chart"]["series"]]) == (["%", "kg"], [0, 1, 1])
    assert [(each["label"], each["unit"]) for each in two["chart"]["series"]] == [
        ("Fill level", "%"), ("Weight", "kg"), ("Load", "kg"),
    ]  # fmt: skip
    assert two["said"] == "Last: Fill level 1.5 %, Weight 1.5 kg, Load 1.5 kg."
    three = tile_view(tile(kind, values=names), over_time(*names), "d", NOW)
    assert (three["state"], "chart" in three) == ("error", False)
    assert three["message"] == "Its values are in 3 units (%, kg and °C), and a chart has two axes."
    counted = tile_view(tile(kind, values=names, aggregate="count"), over_time(*names), "d", NOW)
    assert counted["chart"]["axes"] == [""]


def test_bars_of_one_unit_share_one_scale_and_mixed_units_are_said():
    bars = [
        {"device_id": DEVICE, "label": "Bin", "values": [80, 400, 1]},
        {"device_id": DEVICE, "label": "Other", "values": [40, 100, 4]},
    ]
    data = {"by": "device", "devices": 2, "labels": LABELS, "names": ["fill", "weight", "load"], "bars": bars}
    view = tile_view(tile("bar", values=["fill", "weight", "load"], aggregate="last"), data, "d", NOW)
    assert [[bar["share"] for bar in row["bars"]] for row in view["rows"]] == [[100.0, 100.0, 0.2], [50.0, 25.0, 1.0]]
    assert [bar["text"] for bar in view["rows"][0]["bars"]] == ["80 %", "400 kg", "1 kg"]
    assert view["note"] == "now, each unit has a scale of its own"
    alike = {**data, "names": ["weight", "load"], "bars": [{**bars[0], "values": [410, 1]}], "devices": 1}
    same = tile_view(tile("bar", values=["weight", "load"], aggregate="last"), alike, "d", NOW)
    assert ([bar["share"] for bar in same["rows"][0]["bars"]], same["note"]) == ([100.0, 0.2], "now")


def test_tables_places_and_figures_say_names_units_and_words_of_the_template():
    row = {"device_id": DEVICE, "label": "Valve", "values": [12, "open"], "at_ms": [NOW * 1000] * 2}
    data = {"devices": 2, "labels": LABELS, "names": ["fill", "state"], "rows": [row, row]}
    view = tile_view(tile("last-values", values=["fill", "state"]), data, "d", NOW)
    assert view["columns"] == ["Device", "Fill level", "State"]
    assert [cell["text"] for cell in view["rows"][0]["cells"]] == ["12 %", "Wide open"]
    kept = tile_view(tile("property", names=["fill", "state"]), data, "d", NOW)
    assert (kept["columns"], kept["rows"][0]["cells"][0]["text"]) == (["Device", "Fill level", "State"], "12 %")
    figure = tile_view(tile("kpi", value="fill"), {**kpi(value=12), "labels": LABELS}, "d", NOW)
    assert (figure["text"], figure["unit"]) == ("12", "%")
    own = tile_view(tile("kpi", value="fill", unit="percent full"), {**kpi(value=12), "labels": LABELS}, "d", NOW)
    assert own["unit"] == "percent full"
    spot = {"device_id": DEVICE, "label": "Door", "value": 7, "at_ms": NOW * 1000, "state": "", "lat": 1, "lon": 2}
    where = {"devices": 1, "placed": 1, "labels": LABELS, "dots": [spot]}
    mapped = tile_view(tile("map", location="at", value="heat"), where, "d", NOW)
    assert (mapped["columns"], mapped["dots"][0]["text"]) == (["Device", "Heat"], "7 °C")


def test_a_sparkline_is_drawn_over_the_range_and_needs_two_numbers():
    shown = tile("kpi", value="flow", sparkline=True)
    times = {"start_ms": 0, "end_ms": 100}
    view = tile_view(shown, kpi(value=3, **times, points=[[0, 10], [50, 20], [75, None], [100, 15]]), "d", NOW)
    assert view["spark"] == {"points": "0.0,28.0 50.0,2.0 100.0,15.0", "low": "10", "high": "20"}
    level = tile_view(shown, kpi(value=3, **times, points=[[0, 7], [100, 7]]), "d", NOW)
    assert level["spark"]["points"] == "0.0,15.0 100.0,15.0"
    assert tile_view(shown, kpi(value=3, **times, points=[[0, 7]]), "d", NOW)["spark"] is None
    assert tile_view(tile("kpi", value="flow"), kpi(value=3), "d", NOW)["spark"] is None


@pytest.mark.parametrize(
    ("value", "share", "note"),
    [(20, 50.0, "now"), (0, 25.0, "now"), (90, 100.0, "now, above the scale"), (-30, 0.0, "now, below the scale")],
)
def test_a_gauge_shows_its_figure_on_the_scale_with_a_band_for_each_state(value: float, share: float, note: str):
    limits = [{"from": -40, "state": "good"}, {"from": 30, "state": "attention"}, {"from": 90, "state": "bad"}]
    shown = tile("gauge", value="flow", low=-20, high=60, unit="l", thresholds=limits)
    view = tile_view(shown, kpi(value=value, devices=1), "d", NOW)
    assert (view["share"], view["note"], view["ends"]) == (share, note, ("-20 l", "60 l"))
    assert view["bands"] == [
        {"state": "good", "start": 0.0, "length": 62.5},
        {"state": "attention", "start": 62.5, "length": 37.5},
    ]


def test_a_gauge_of_what_is_no_number_says_so_and_what_to_do():
    shown = tile("gauge", value="mode", low=0, high=1)
    view = tile_view(shown, kpi(value="auto"), "d", NOW)
    assert (view["state"], view["message"]) == ("error", "Its value is auto, and a gauge shows numbers.")
    assert tile_view(shown, kpi(value=None), "d", NOW)["state"] == "empty"


def alert(**fields: Any) -> dict[str, Any]:
    return {
        "number": 7,
        "device_id": "pump-1",
        "label": "Pump north",
        "rule_id": "hot",
        "rule_name": "Hot",
        "severity": "critical",
        "summary": "Flow 81 l/min was above 80 l/min",
        "fired_ms": NOW * 1000 - 60_000,
        "over_ms": None,
        "acknowledged_ms": None,
        **fields,
    }


def test_alerts_say_why_where_when_and_whether_they_are_over():
    answered = {"devices": 3, "alerts": [alert(), alert(over_ms=5, severity="odd")], "more": True}
    view = tile_view(tile("alerts", status="all"), answered, "d", NOW)
    first, second = view["lines"]
    assert (first["text"], first["shape"], first["severity"], first["stage"]) == (
        "Flow 81 l/min was above 80 l/min", "bad", "critical", "open",
    )  # fmt: skip
    assert (first["href"], first["device_href"]) == ("/rules/hot/trace?device=pump-1", "/devices/pump-1")
    assert first["when"].relative == "60 s ago"
    assert (second["shape"], second["stage"]) == ("unknown", "over")
    assert view["note"] == "2 alerts; the page of alerts has more"
    none = tile_view(tile("alerts"), {"devices": 3, "alerts": [], "more": False}, "d", NOW)
    assert (none["state"], none["said"], none["note"]) == ("ok", "No open alerts.", "3 devices")


def test_each_button_of_a_tile_of_commands_leads_to_its_own_question():
    buttons = [{"label": "Open", "command": "open"}, {"label": "Close", "command": "close"}]
    view = tile_view(tile("commands", buttons=buttons), {"devices": 3, "connected": 2}, "d", NOW)
    assert view["buttons"] == [
        {"label": "Open", "href": "/dashboards/d/tiles/t/command?button=0"},
        {"label": "Close", "href": "/dashboards/d/tiles/t/command?button=1"},
    ]
    assert view["note"] == "2 of 3 devices connected"
