# SPDX-License-Identifier: Apache-2.0
"""Tiles of dashboards as view models: what the API says of a tile in, words and figures out. Pure.

The same view is laid out by the page's template and, later, put into the page by its script: every text is made here.
A tile is ``ok``, ``empty`` (nothing was sent yet), or ``error`` (it says what is wrong and what to do).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from armillary.console.dashboards.markdown import markdown
from armillary.console.dashboards.pages_tile_figures import gauge, kpi
from armillary.console.dashboards.pages_tile_lists import alerts, command, commands
from armillary.console.dashboards.pages_tile_words import (
    WORDS,
    Names,
    View,
    age_of,
    called,
    key_of,
    names_of,
    of_devices,
    picture,
    unit_for,
)
from armillary.console.frame.sheet import device_href
from armillary.console.frame.values import NO_VALUE, is_stale, said_text, value_text
from armillary.console.frame.words import counted, grouped, joined, sentence, span
from armillary.console.language.say import apart, say
from armillary.twin.author.dashboard import Tile
from armillary.twin.template.value_names import ValueName, unnamed

# Cells of tables up to so many characters (a date, a figure with its unit) stand on one line.
WHOLE_CHARACTERS = 12
# Units that one chart over time has room for: an axis on the left and one on the right.
MAX_AXES = 2
_NOTHING = say("Nothing was sent yet. The tile fills when devices send what it shows.")


def tile_view(tile: Tile, data: Mapping[str, Any] | None, dashboard_id: str, now: int) -> View:
    """One tile; ``data`` is what the API says of it, None for kinds that need none."""
    view: View = {
        "id": tile.id,
        "kind": tile.kind,
        "title": tile.title,
        "place": f"x{tile.x} y{tile.y} w{tile.w} h{tile.h}",
        "state": "ok",
        "note": "",
        "stale": False,
        "age": None,
    }
    names = names_of(data)
    if data is not None and "error" in data:
        error = data["error"]
        return view | {"state": "error", "message": sentence(error["message"]), "remedy": error["remedy"]}
    made = VIEWS[tile.kind](tile, {**(data or {}), "called": names}, dashboard_id, now)
    if made.get("state") == "empty":
        made.setdefault("message", _NOTHING)
    return view | made


# Charts -----------------------------------------------------------------------------------------------------------


def _line(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    series = [each for each in data["series"] if each["at_ms"]]
    if not series:
        return {"state": "empty"}
    counts = tile.options["aggregate"] == "count"
    units = {each["name"]: "" if counts else unit_for(tile, called(data, each["name"])) for each in series}
    axes = list(dict.fromkeys(units.values()))
    if len(axes) > MAX_AXES:
        return _too_many(axes)
    newest = min(max(each["at_ms"][-1] for each in series) + data["bucket_ms"], data["end_ms"])
    lines = [
        {
            **each,
            "label": called(data, each["name"]).display_name,
            "unit": units[each["name"]],
            "axis": axes.index(units[each["name"]]),
            "key": key_of(data["device_id"], each["name"]),
        }
        for each in series
    ]
    times = {name: data[name] for name in ("start_ms", "end_ms", "bucket_ms")}
    last = [f"{each['label']} {value_text(each['values'][-1], each['unit'])}" for each in lines]
    return {
        "chart": {**times, "axes": axes, "series": lines, "thresholds": _limits(tile, units)},
        "said": say("Last: {values}.", values=", ".join(last)),
        "note": of_devices(tile, data),
        **age_of(newest, now),
    }


def _limits(tile: Tile, units: Mapping[str, str]) -> list[View]:
    """Thresholds of a chart over time, on the axis of its first value."""
    unit = next(iter(units.values()))
    return [
        {"axis": 0, "at": each.at, "shape": each.state, "label": value_text(each.at, unit)}
        for each in tile.options["thresholds"]
    ]


def _too_many(units: Sequence[str]) -> View:
    """More units than a chart has axes: nothing is drawn on a scale that is not its own."""
    words = joined([each or say("no unit") for each in units])
    return {
        "state": "error",
        "message": say(
            "Its values are in {units} units ({words}), and a chart has two axes.", units=len(units), words=words
        ),
        "remedy": say("Choose values of at most two units for it, and show the others in a tile of their own."),
    }


def _bar(tile: Tile, data: Mapping[str, Any], dashboard: str, now: int) -> View:
    if data["by"] == "time":
        return _line(tile, data, dashboard, now)
    if not data["bars"]:
        return {"state": "empty"}
    names = [called(data, each) for each in data["names"]]
    units = ["" if tile.options["aggregate"] == "count" else unit_for(tile, each) for each in names]
    # One scale for all bars of one unit: lengths are compared by eye.
    most = dict.fromkeys(units, 0.0)
    for bar in data["bars"]:
        for unit, value in zip(units, bar["values"], strict=True):
            most[unit] = max(most[unit], abs(value or 0))
    is_last = tile.options["aggregate"] == "last"
    rows = [
        {
            "label": bar["label"],
            "href": device_href(bar["device_id"]),
            "bars": [
                {
                    "label": name.display_name,
                    "share": round(100 * abs(value or 0) / (most[unit] or 1), 1),
                    "text": value_text(value, unit),
                    "key": key_of(bar["device_id"], name.name) if is_last else "",
                }
                for name, unit, value in zip(names, units, bar["values"], strict=True)
            ],
        }
        for bar in data["bars"]
    ]
    more = data["devices"] - len(rows)
    parts = [WORDS[tile.options["aggregate"]]]
    if len(most) > 1:
        parts.append(say("each unit has a scale of its own"))
    if more:
        parts.append(say("{more} more devices", more=grouped(more)))
    return {"rows": rows, "names": [each.display_name for each in names], "note": apart(parts)}


def _heatmap(tile: Tile, data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    every = [value for row in data["rows"] for value in row["values"] if value is not None]
    if not every:
        return {"state": "empty"}
    unit = unit_for(tile, called(data, tile.values[0]))
    heat = {
        "start_ms": data["start_ms"],
        "bucket_ms": data["bucket_ms"],
        "columns": data["columns"],
        "unit": unit,
        "low": min(every),
        "high": max(every),
        "rows": data["rows"],
    }
    more = data["devices"] - len(data["rows"])
    parts = [say("average of {span}", span=span(data["bucket_ms"] / 1000))]
    if more:
        parts.append(say("{more} more devices", more=grouped(more)))
    scale = {"low": value_text(min(every), unit), "high": value_text(max(every), unit)}
    return {"heat": heat, "scale": scale, "note": apart(parts)}


# Places -----------------------------------------------------------------------------------------------------------


def _map(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    if not data["dots"]:
        return {"state": "empty", "message": say("No device has said where it is yet.")}
    name = called(data, tile.options["value"]) if tile.options["value"] else None
    dots = [_spot(tile, dot, name, now) | {"lat": dot["lat"], "lon": dot["lon"]} for dot in data["dots"]]
    more, placed = data["placed"] - len(dots), counted(data["placed"], "device")
    return {
        "dots": dots,
        "columns": [say("Device"), name.display_name if name else say("Place")],
        "note": say("{devices}, {more} not drawn", devices=placed, more=grouped(more)) if more else placed,
    }


def _floor_plan(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    name = called(data, tile.values[0])
    spots = [_spot(tile, spot, name, now) | {"x": spot["x"], "y": spot["y"]} for spot in data["spots"]]
    silent = sum(spot["text"] == NO_VALUE for spot in spots)
    shown = name.display_name
    note = say("{values}, {count} without a value", values=shown, count=grouped(silent)) if silent else shown
    return {
        "spots": spots,
        "picture": picture(data["image"]),
        "columns": [say("Place"), name.display_name],
        "note": note,
    }


def _spot(tile: Tile, spot: Mapping[str, Any], name: ValueName | None, now: int) -> View:
    at_ms = spot["at_ms"]
    said = ""
    if name is not None:
        said = said_text(spot["value"], name, unit_for(tile, name), tile.options.get("decimals"))
    return {
        "label": spot["label"],
        "href": device_href(spot["device_id"]) if spot["device_id"] else "",
        "text": said,
        "shape": spot["state"],
        "key": key_of(spot["device_id"], name.name) if spot["device_id"] and name is not None else "",
        "stale": is_stale(at_ms, now),
    }


# Tables -----------------------------------------------------------------------------------------------------------


def _last_values(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    if not any(value is not None for row in data["rows"] for value in row["values"]):
        return {"state": "empty"}

    def cell(row: Mapping[str, Any], name: ValueName, at: int) -> View:
        text = said_text(row["values"][at], name, unit_for(tile, name))
        return _cell(text, key=key_of(row["device_id"], name.name), stale=is_stale(row["at_ms"][at], now))

    return _table(data, cell)


def _property(_tile: Tile, data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    if not data["rows"]:
        return {"state": "empty", "message": say("No device is in the source of this tile.")}
    return _table(data, lambda row, name, at: _cell(said_text(row["values"][at], name, name.symbol)))


def _cell(text: str, *, key: str = "", stale: bool = False) -> View:
    """A cell of a table; figures, dates and moments are not broken in the middle."""
    return {"text": text, "key": key, "stale": stale, "whole": len(text) <= WHOLE_CHARACTERS or "\n" in text}


def _table(data: Mapping[str, Any], cell: Callable[[Mapping[str, Any], ValueName, int], View]) -> View:
    """A table with a row a device; of a single device, a row a name. ``cell`` makes the one of a row's name."""
    names = [called(data, each) for each in data["names"]]
    columns = [each.display_name for each in names]
    rows = [
        {
            "label": row["label"],
            "href": device_href(row["device_id"]),
            "cells": [cell(row, name, at) for at, name in enumerate(names)],
        }
        for row in data["rows"]
    ]
    if len(rows) != 1:
        return {"columns": [say("Device"), *columns], "rows": rows, "note": _more(data)}
    only = rows[0]
    turned = [{"label": name, "href": "", "cells": [each]} for name, each in zip(columns, only["cells"], strict=True)]
    return {"columns": [say("Name"), only["label"]], "head_href": only["href"], "rows": turned, "note": ""}


# What needs no data -----------------------------------------------------------------------------------------------


def _image(tile: Tile, _data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    return {"picture": picture(tile.options["image"]), "alt": tile.options["alt"]}


def _text(tile: Tile, _data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    return {"html": markdown(tile.options["text"], top=3 if tile.title else 2)}


def _link(tile: Tile, _data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    target = tile.options["target"]
    outside = target.startswith("http")
    href = target if outside or target.startswith("/") else f"/dashboards/{quote(target)}"
    return {"label": tile.options["label"], "href": href, "outside": outside}


VIEWS: Mapping[str, Callable[[Tile, Mapping[str, Any], str, int], View]] = MappingProxyType(
    {
        "kpi": kpi,
        "gauge": gauge,
        "line": _line,
        "bar": _bar,
        "heatmap": _heatmap,
        "map": _map,
        "floor-plan": _floor_plan,
        "property": _property,
        "last-values": _last_values,
        "alerts": alerts,
        "command": command,
        "commands": commands,
        "image": _image,
        "text": _text,
        "link": _link,
    }
)


def live_items(tiles: Sequence[Tile], items: Sequence[Mapping[str, Any]], called_: Mapping[str, Names]) -> list[View]:
    """Values that have just come, with the text that each tile of a dashboard shows for them.

    ``called_`` says by a tile's id what its values are called.
    """
    return [
        {
            "key": key_of(item["device_id"], item["name"]),
            "at_ms": item["at_ms"],
            "value": item["value"],
            "texts": {
                tile.id: _live_text(tile, item, called_.get(tile.id, {}))
                for tile in tiles
                if item["name"] in tile.values
            },
        }
        for item in items
    ]


def _live_text(tile: Tile, item: Mapping[str, Any], names: Names) -> str:
    name = names.get(item["name"]) or unnamed(item["name"])
    unit = "" if tile.kind in ("kpi", "gauge") else unit_for(tile, name)
    return said_text(item["value"], name, unit, tile.options.get("decimals"))


def _more(data: Mapping[str, Any]) -> str:
    more = data["devices"] - len(data["rows"])
    return say("{more} more devices", more=grouped(more)) if more else ""
