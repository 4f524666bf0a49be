# SPDX-License-Identifier: Apache-2.0
"""Tiles as they are shown: what the API says of a tile in, words and figures out. Pure.

The same view is laid out by the page's template and, later, put into the page by its script: every text is made here.
A tile is ``ok``, ``empty`` (nothing was sent yet), or ``error`` (it says what is wrong and what to do).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from armillary.console.markdown import markdown
from armillary.console.pages_hub import STALE_S, unit_of
from armillary.console.words import counted, grouped, moment, sentence, span
from armillary.twin.dashboard import Tile

View = dict[str, Any]

# Digits that tell values of one chart apart; more are noise of the sensor.
SIGNIFICANT = 4
WORDS: Mapping[str, str] = MappingProxyType(
    {"avg": "average", "min": "lowest", "max": "highest", "sum": "sum", "count": "count", "last": "now"}
)
NO_VALUE = "\u2013"
_NOTHING = "Nothing was sent yet. The tile fills when devices send what it shows."


def value_text(value: object, unit: str, decimals: int | None = None) -> str:
    """A value as people read it: ``1,204.5 l/min``, ``true``, ``open``; a dash for none."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (int, float)):
        return str(value)[:200]
    return f"{number_text(value, decimals)} {unit}".strip()


def number_text(value: float, decimals: int | None) -> str:
    """A number with so many decimals, or as many as it takes to tell it apart."""
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    size = abs(value)
    if size >= 10**12 or 0 < size < 10**-4:
        return f"{value:.{SIGNIFICANT - 1}e}"
    digits = max(0, SIGNIFICANT - len(str(int(size)))) if size >= 1 else SIGNIFICANT
    written = f"{value:,.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def tile_view(tile: Tile, data: Mapping[str, Any] | None, dashboard_id: str, now: int) -> View:
    """One tile.

    Args:
        tile: As it was made.
        data: What the API says of it; None for kinds that need no data.
        dashboard_id: Whose tile.
        now: Unix seconds.
    """
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
    if data is not None and "error" in data:
        error = data["error"]
        return view | {"state": "error", "message": sentence(error["message"]), "remedy": error["remedy"]}
    made = VIEWS[tile.kind](tile, data or {}, dashboard_id, now)
    if made.get("state") == "empty":
        made.setdefault("message", _NOTHING)
    return view | made


# One number -------------------------------------------------------------------------------------------------------


def _kpi(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    name, aggregate, value = tile.values[0], tile.options["aggregate"], data["value"]
    if value is None:
        return {"state": "empty"}
    unit = "" if aggregate == "count" or data["of"] is not None else unit_for(tile, name)
    about = WORDS[aggregate]
    if aggregate != "last":
        about += f" of {span(tile.options['range_s'])}"
    many = f", {counted(data['devices'], 'device')}" if data["devices"] != 1 else ""
    return {
        "text": value_text(value, "", tile.options["decimals"] if data["of"] is None else 0),
        "unit": f"of {grouped(data['of'])}" if data["of"] is not None else unit,
        "shape": data["state"],
        "note": f"{about}{many}",
        "key": key_of(data["device_id"], name) if data["device_id"] else "",
        **_age(data["at_ms"], now),
    }


# Charts -----------------------------------------------------------------------------------------------------------


def _line(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    series = [each for each in data["series"] if each["at_ms"]]
    if not series:
        return {"state": "empty"}
    unit = unit_for(tile, tile.values[0])
    newest = min(max(each["at_ms"][-1] for each in series) + data["bucket_ms"], data["end_ms"])
    chart = {
        "start_ms": data["start_ms"],
        "end_ms": data["end_ms"],
        "bucket_ms": data["bucket_ms"],
        "unit": unit,
        "series": [{**each, "key": key_of(data["device_id"], each["name"])} for each in series],
    }
    last = [f"{each['name']} {value_text(each['values'][-1], unit)}" for each in series]
    return {"chart": chart, "said": f"Last: {', '.join(last)}.", "note": _of(tile, data), **_age(newest, now)}


def _bar(tile: Tile, data: Mapping[str, Any], dashboard: str, now: int) -> View:
    if data["by"] == "time":
        return _line(tile, data, dashboard, now)
    if not data["bars"]:
        return {"state": "empty"}
    unit = unit_for(tile, tile.values[0])
    names = data["names"]
    most = [max((abs(bar["values"][at] or 0) for bar in data["bars"]), default=0) or 1 for at in range(len(names))]
    # Bars of one name share a scale; of several names with units of their own, each has its own.
    rows = [
        {
            "label": bar["label"],
            "href": f"/devices/{bar['device_id']}",
            "bars": [
                {
                    "name": names[at],
                    "share": round(100 * abs(value or 0) / most[at], 1),
                    "text": value_text(value, unit_for(tile, names[at])),
                    "key": key_of(bar["device_id"], names[at]) if tile.options["aggregate"] == "last" else "",
                }
                for at, value in enumerate(bar["values"])
            ],
        }
        for bar in data["bars"]
    ]
    more = data["devices"] - len(rows)
    note = f"{WORDS[tile.options['aggregate']]}{f', {grouped(more)} more devices' if more else ''}"
    return {"rows": rows, "names": names, "note": note, "unit": unit}


def _heatmap(tile: Tile, data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    every = [value for row in data["rows"] for value in row["values"] if value is not None]
    if not every:
        return {"state": "empty"}
    unit = unit_for(tile, tile.values[0])
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
    note = f"average of {span(data['bucket_ms'] / 1000)}{f', {grouped(more)} more devices' if more else ''}"
    scale = {"low": value_text(min(every), unit), "high": value_text(max(every), unit)}
    return {"heat": heat, "scale": scale, "note": note}


# Places -----------------------------------------------------------------------------------------------------------


def _map(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    if not data["dots"]:
        return {"state": "empty", "message": "No device has said where it is yet."}
    name = tile.options["value"]
    dots = [_spot(tile, dot, name, now) | {"lat": dot["lat"], "lon": dot["lon"]} for dot in data["dots"]]
    more = data["placed"] - len(dots)
    return {
        "dots": dots,
        "columns": ["Device", name or "Place"],
        "note": f"{counted(data['placed'], 'device')}{f', {grouped(more)} not drawn' if more else ''}",
    }


def _floor_plan(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    name = tile.values[0]
    spots = [_spot(tile, spot, name, now) | {"x": spot["x"], "y": spot["y"]} for spot in data["spots"]]
    silent = sum(spot["text"] == NO_VALUE for spot in spots)
    note = f"{name}{f', {grouped(silent)} without a value' if silent else ''}"
    return {"spots": spots, "picture": picture(data["image"]), "columns": ["Place", name], "note": note}


def _spot(tile: Tile, spot: Mapping[str, Any], name: str, now: int) -> View:
    unit = unit_for(tile, name) if name else ""
    at_ms = spot["at_ms"]
    return {
        "label": spot["label"],
        "href": f"/devices/{spot['device_id']}" if spot["device_id"] else "",
        "text": value_text(spot["value"], unit, tile.options.get("decimals")) if name else "",
        "shape": spot["state"],
        "key": key_of(spot["device_id"], name) if spot["device_id"] and name else "",
        "stale": at_ms is not None and now - at_ms // 1000 > STALE_S,
    }


# Tables -----------------------------------------------------------------------------------------------------------


def _last_values(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    if not any(value is not None for row in data["rows"] for value in row["values"]):
        return {"state": "empty"}
    rows = [
        {
            "label": row["label"],
            "href": f"/devices/{row['device_id']}",
            "cells": [
                {
                    "text": value_text(value, unit_for(tile, name)),
                    "key": key_of(row["device_id"], name),
                    "stale": at_ms is not None and now - at_ms // 1000 > STALE_S,
                }
                for name, value, at_ms in zip(data["names"], row["values"], row["at_ms"], strict=True)
            ],
        }
        for row in data["rows"]
    ]
    return _table(data, rows)


def _property(_tile: Tile, data: Mapping[str, Any], _dashboard: str, _now: int) -> View:
    if not data["rows"]:
        return {"state": "empty", "message": "No device is in the source of this tile."}
    rows = [
        {
            "label": row["label"],
            "href": f"/devices/{row['device_id']}",
            "cells": [{"text": value_text(value, ""), "key": "", "stale": False} for value in row["values"]],
        }
        for row in data["rows"]
    ]
    return _table(data, rows)


def _table(data: Mapping[str, Any], rows: list[View]) -> View:
    """A table with a row a device; of a single device, a row a name."""
    if len(rows) != 1:
        return {"columns": ["Device", *data["names"]], "rows": rows, "note": _more(data)}
    only = rows[0]
    turned = [
        {"label": name, "href": "", "cells": [cell]} for name, cell in zip(data["names"], only["cells"], strict=True)
    ]
    return {"columns": ["Name", only["label"]], "head_href": only["href"], "rows": turned, "note": ""}


# What needs no data -----------------------------------------------------------------------------------------------


def _command(tile: Tile, data: Mapping[str, Any], dashboard: str, _now: int) -> View:
    devices, connected = data.get("devices", 0), data.get("connected", 0)
    return {
        "label": tile.options["label"],
        "href": f"/dashboards/{quote(dashboard)}/tiles/{tile.id}/command",
        "note": f"{grouped(connected)} of {counted(devices, 'device')} connected",
    }


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
        "kpi": _kpi,
        "line": _line,
        "bar": _bar,
        "heatmap": _heatmap,
        "map": _map,
        "floor-plan": _floor_plan,
        "property": _property,
        "last-values": _last_values,
        "command": _command,
        "image": _image,
        "text": _text,
        "link": _link,
    }
)


def live_items(tiles: Sequence[Tile], items: Sequence[Mapping[str, Any]]) -> list[View]:
    """Values that have just come, with the texts that the tiles of a dashboard show for them."""
    units = {name: unit_for(tile, name) for tile in tiles for name in tile.values}
    decimals = {name: tile.options.get("decimals") for tile in tiles if tile.kind != "kpi" for name in tile.values}
    return [
        {
            "key": key_of(item["device_id"], item["name"]),
            "at_ms": item["at_ms"],
            "value": item["value"],
            "number": value_text(item["value"], ""),
            "text": value_text(item["value"], units.get(item["name"], ""), decimals.get(item["name"])),
        }
        for item in items
    ]


def key_of(device_id: str | None, name: str) -> str:
    """Names one value of one device, in the page and in the event stream; "" where a value is of many devices."""
    return f"{device_id} {name}" if device_id else ""


def unit_for(tile: Tile, name: str) -> str:
    """The tile's unit where it says one for its only name, else what the name itself carries."""
    own: str = tile.options.get("unit", "")
    return own or unit_of(name)


def picture(image: str) -> str:
    """Address of a picture ``TEMPLATE/FILE``."""
    return f"/pictures/{quote(image)}"


def _of(tile: Tile, data: Mapping[str, Any]) -> str:
    if data["devices"] == 1:
        return ""
    return f"{WORDS[tile.options['aggregate']]} of {counted(data['devices'], 'device')}"


def _more(data: Mapping[str, Any]) -> str:
    more = data["devices"] - len(data["rows"])
    return f"{grouped(more)} more devices" if more else ""


def _age(at_ms: int | None, now: int) -> View:
    if at_ms is None:
        return {}
    return {"age": moment(at_ms // 1000, now), "stale": now - at_ms // 1000 > STALE_S}
