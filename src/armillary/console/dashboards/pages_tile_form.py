# SPDX-License-Identifier: Apache-2.0
"""The form of one tile: which fields each kind has, a tile's values in them, and the tile that a filled-in form says.

What may stand in a tile is decided by ``twin/author/dashboard.py`` alone: what a person typed goes there as it is, so
that its error names the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from armillary.console.frame.words import slug
from armillary.errors import InvalidArgumentError
from armillary.twin.author.dashboard import AGGREGATES, KINDS

# kind -> (what it is called, what it shows, its size when it is new).
WORDS: Mapping[str, tuple[str, str, tuple[int, int]]] = MappingProxyType(
    {
        "kpi": ("Number", "one figure, in the colour of its threshold", (3, 2)),
        "line": ("Line chart", "values over time", (6, 4)),
        "bar": ("Bar chart", "values side by side, by time or by device", (6, 4)),
        "heatmap": ("Heat map", "devices by time, the more the darker", (6, 4)),
        "map": ("Map", "where devices are", (6, 5)),
        "floor-plan": ("Floor plan", "values on a picture", (6, 5)),
        "last-values": ("Last values", "a table of what devices sent last", (6, 4)),
        "property": ("Properties", "a table of what devices report and what is kept of them", (6, 4)),
        "command": ("Command", "a button that calls a direct method", (3, 2)),
        "image": ("Picture", "a picture", (3, 3)),
        "text": ("Text", "a note with headings, lists and links", (4, 3)),
        "link": ("Link", "the way to another dashboard or page", (3, 1)),
    }
)


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form; ``shape`` says how it is written: source, line, number, choice, names, steps, json, long."""

    name: str
    label: str
    shape: str
    hint: str = ""
    choices: tuple[str, ...] = ()


_INPUTS: Mapping[str, Input] = MappingProxyType(
    {
        each.name: each
        for each in (
            Input("source", "Devices", "source"),
            Input("value", "Value", "line", "its name as devices send it, e.g. temperature or pump.flow"),
            Input("values", "Values", "names", "one name a line, at most 8"),
            Input("names", "Properties", "names", "one name a line: reported, else kept by operators, else desired"),
            Input("aggregate", "What of the values", "choice", choices=AGGREGATES),
            Input("by", "A bar for each", "choice", choices=("time", "device")),
            Input("range_s", "Looks back (seconds)", "number", "86400 is a day"),
            Input("bucket_s", "Width of a column (seconds)", "number"),
            Input("unit", "Unit", "line"),
            Input("decimals", "Decimals", "number"),
            Input("thresholds", "Thresholds", "steps", "one a line, rising: 80 attention"),
            Input("location", "Location", "line", "name of a geopoint with lat and lon"),
            Input("image", "Picture", "line", "TEMPLATE/FILE.svg"),
            Input("alt", "What it shows, in words", "line"),
            Input("places", "Places", "json", '[{"device": ID, "x": 0.2, "y": 0.5, "label": "Pump"}]'),
            Input("command", "Command", "line", "name of the direct method"),
            Input("parameters", "Parameters (JSON)", "json"),
            Input("label", "Label", "line"),
            Input("target", "Leads to", "line", "id of a dashboard, a path or an address"),
            Input("text", "Text", "long", "# heading, - list, **bold**, [words](address)"),
        )
    }
)
_DEVICE = "device:"
_THRESHOLD = re.compile(r"(\S+)\s+(\S+)\Z")


def form_view(
    kind: str, tile: Mapping[str, Any], sources: Sequence[tuple[str, str]], dashboard_template: str
) -> dict[str, Any]:
    """The fields of a kind with a tile's values; what is missing in ``tile`` is empty.

    ``sources`` are (value, words) of templates and groups; ``dashboard_template`` is chosen where the tile says none.
    """
    fields = []
    for row in KINDS[kind]:
        known = _INPUTS[row.name]
        field: dict[str, Any] = {
            "name": known.name,
            "label": known.label,
            "shape": known.shape,
            "hint": known.hint,
            "choices": known.choices,
            "needed": row.needed,
        }
        if known.shape == "source":
            chosen, device = _source_words(tile.get("source") or {}, dashboard_template)
            field |= {"value": chosen, "device": device, "sources": sources}
        else:
            field["value"] = _text_of(known.shape, tile.get(row.name))
        fields.append(field)
    return {"kind": kind, "word": WORDS[kind][0], "about": WORDS[kind][1], "fields": fields}


def new_tile(kind: str, row: int) -> dict[str, Any]:
    """The beginnings of a tile below all others."""
    width, height = WORDS[kind][2]
    return {"kind": kind, "title": "", "x": 0, "y": row, "w": width, "h": height}


def tile_of(kind: str, form: Mapping[str, str], tile_id: str | None, taken: frozenset[str]) -> dict[str, Any]:
    """The tile that a form says; empty fields are left out.

    ``tile_id`` is None for a new one, which gets an id of its title; ``taken`` are ids of the other tiles.
    """
    title = form.get("title", "").strip()
    tile: dict[str, Any] = {"id": tile_id or slug(title or kind, taken)[:40].strip("-"), "kind": kind, "title": title}
    tile |= {axis: _number(form.get(axis, "")) for axis in ("x", "y", "w", "h")}
    for row in KINDS[kind]:
        shape = _INPUTS[row.name].shape
        if shape == "source":
            tile["source"] = _source(form)
            continue
        text = form.get(row.name, "")
        text = text if shape == "long" else text.strip()
        if text:
            tile[row.name] = _value(shape, text, row.name)
    return tile


def _source(form: Mapping[str, str]) -> dict[str, str]:
    chosen = form.get("source", "")
    if chosen == _DEVICE:
        return {"device": form.get("source_device", "").strip()}
    kind, _, name = chosen.partition(":")
    return {kind: name} if name else {}


def _source_words(source: Mapping[str, str], template: str) -> tuple[str, str]:
    if not source:
        return (f"template:{template}" if template else ""), ""
    kind, name = next(iter(source.items()))
    return (_DEVICE, name) if kind == "device" else (f"{kind}:{name}", "")


def _value(shape: str, text: str, name: str) -> Any:
    if shape == "number":
        return _number(text)
    if shape == "names":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if shape == "steps":
        return [_threshold(line.strip()) for line in text.splitlines() if line.strip()]
    if shape == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"{name}: expected JSON, got {text[:40]!r}", remedy="Correct it.") from error
    return text


def _text_of(shape: str, value: Any) -> str:
    if value is None:
        return ""
    if shape == "names":
        return "\n".join(value)
    if shape == "steps":
        return "\n".join(f"{each['from']:g} {each['state']}" for each in value)
    if shape == "json":
        return json.dumps(value, ensure_ascii=False, indent=1)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _threshold(line: str) -> dict[str, Any]:
    found = _THRESHOLD.match(line)
    return {"from": _number(found[1]), "state": found[2]} if found else {"from": line, "state": ""}


def _number(text: str) -> Any:
    """The number that a text says; the text itself where it says none, for the error to show."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
