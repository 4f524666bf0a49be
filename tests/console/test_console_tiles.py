# SPDX-License-Identifier: Apache-2.0
"""What tiles say: figures, counts, ages, states, and that whatever the API answers a view is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.console.pages_tiles import NO_VALUE, live_items, tile_view, value_text
from armillary.twin.dashboard import Tile, parse_tile

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
    items = live_items(tiles, [{"device_id": DEVICE, "name": "flow", "at_ms": 5, "value": 2.25}])
    assert items == [{"key": f"{DEVICE} flow", "at_ms": 5, "value": 2.25, "number": "2.25", "text": "2.25 l/min"}]
