# SPDX-License-Identifier: Apache-2.0
"""Tiles of one figure: the number with its sparkline, and the gauge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.dashboards.pages_tile_words import WORDS, View, age_of, called, key_of, unit_for
from armillary.console.frame.values import said_text, value_text
from armillary.console.frame.words import counted, grouped, span
from armillary.console.language.say import apart, say
from armillary.twin.author.dashboard import StateThreshold, Tile

# Height of a sparkline's drawing, which is 100 wide; above and below the line is room for its stroke.
SPARK_HEIGHT: Final = 30
SPARK_EDGE: Final = 2


def kpi(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    """One figure, perhaps with a line of how it came to be so."""
    name, aggregate, value = called(data, tile.values[0]), tile.options["aggregate"], data["value"]
    if value is None:
        return {"state": "empty"}
    counts = aggregate == "count" or data["of"] is not None
    about = [WORDS[aggregate]]
    if aggregate != "last":
        about = [say("{aggregate} of {range}", aggregate=WORDS[aggregate], range=span(tile.options["range_s"]))]
    if data["devices"] != 1:
        about.append(counted(data["devices"], "device"))
    shown = value_text(value, "", 0) if data["of"] is not None else said_text(value, name, "", tile.options["decimals"])
    return {
        "text": shown,
        "unit": say("of {whole}", whole=grouped(data["of"]))
        if data["of"] is not None
        else ""
        if counts
        else unit_for(tile, name),
        "shape": data["state"],
        "note": apart(about),
        "key": key_of(data["device_id"], name.name),
        "spark": _sparkline(data),
        **age_of(data["at_ms"], now),
    }


def gauge(tile: Tile, data: Mapping[str, Any], dashboard_id: str, now: int) -> View:
    """The figure of :func:`kpi` on a scale from ``low`` to ``high``, with a band for each threshold."""
    view = kpi(tile, data, dashboard_id, now)
    if view.get("state") == "empty":
        return view
    value, low, high = data["value"], tile.options["low"], tile.options["high"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {
            "state": "error",
            "message": say("Its value is {text}, and a gauge shows numbers.", text=view["text"]),
            "remedy": say("Choose a value that is a number, or show this one in a tile of kind Number."),
        }
    unit = view["unit"]
    outside = say("above the scale") if value > high else say("below the scale") if value < low else ""
    return view | {
        "low": low,
        "high": high,
        "share": _share(value, low, high),
        "ends": (value_text(low, unit), value_text(high, unit)),
        "bands": _bands(tile.options["thresholds"], low, high),
        "note": apart([part for part in (view["note"], outside) if part]),
    }


def _share(value: float, low: float, high: float) -> float:
    """How far along a scale a value is, in percent of it, cut at its ends."""
    return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 2)


def _bands(thresholds: Sequence[StateThreshold], low: float, high: float) -> list[View]:
    """Where each state begins on a scale and how long it is, in percent of it; states beside the scale are left out."""
    found = []
    ends = [*(each.at for each in thresholds[1:]), high]
    for threshold, end in zip(thresholds, ends, strict=False):
        start, stop = _share(threshold.at, low, high), _share(end, low, high)
        if stop > start:
            found.append({"state": threshold.state, "start": start, "length": round(stop - start, 2)})
    return found


def _sparkline(data: Mapping[str, Any]) -> View | None:
    """The points of a line, 100 wide and SPARK_HEIGHT high; None where there are fewer than two numbers."""
    points = [(at, value) for at, value in data.get("points", ()) if value is not None]
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    low, high = min(values), max(values)
    start, length = data["start_ms"], max(1, data["end_ms"] - data["start_ms"])
    room = SPARK_HEIGHT - 2 * SPARK_EDGE
    drawn = [
        (
            100 * min(1.0, max(0.0, (at - start) / length)),
            SPARK_EDGE + room * (1 - ((value - low) / (high - low) if high > low else 0.5)),
        )
        for at, value in points
    ]
    return {
        "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn),
        "low": value_text(low, ""),
        "high": value_text(high, ""),
    }
