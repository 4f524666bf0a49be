# SPDX-License-Identifier: Apache-2.0
"""The form of one tile as a view: the fields of its kind, the tile's values in them, what may be chosen. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.console.dashboards.durations import words
from armillary.console.dashboards.filled_tile import DEVICE, OWN
from armillary.console.dashboards.tile_inputs import INPUTS, STATE_WORDS, WORDS, Input
from armillary.console.language.say import say
from armillary.twin.author.dashboard import KINDS, MAX_BUTTONS, MAX_THRESHOLDS

# Empty rows that a form offers below those that are filled in.
ROOM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a form offers to choose from.

    Attributes:
        groups, templates, devices: (id, words) of sources; devices are names to choose from, any other can be typed.
        names: Lists of value names as ``tile_choices`` answers.
        pictures, dashboards: (id, words).
        called: Id of a device of a floor plan's places -> its name.
    """

    groups: Sequence[tuple[str, str]] = ()
    templates: Sequence[tuple[str, str]] = ()
    devices: Sequence[str] = ()
    names: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    pictures: Sequence[tuple[str, str]] = ()
    dashboards: Sequence[tuple[str, str]] = ()
    called: Mapping[str, str] = field(default_factory=dict)


def form_view(kind: str, tile: Mapping[str, Any], offered: Offered) -> dict[str, Any]:
    """The fields of a kind with a tile's values; what is missing in ``tile`` is empty."""
    fields = [
        {
            "name": row.name,
            "label": INPUTS[row.name].label,
            "shape": INPUTS[row.name].shape,
            "hint": INPUTS[row.name].hint,
            "needed": row.needed,
            "more": INPUTS[row.name].more,
            **_field(INPUTS[row.name], row.default, tile.get(row.name), offered),
        }
        for row in KINDS[kind]
    ]
    return {"kind": kind, "word": WORDS[kind][0], "about": WORDS[kind][1], "fields": fields}


def new_tile(kind: str, row: int, template: str = "") -> dict[str, Any]:
    """The beginnings of a tile below all others, of devices of a template where there is one."""
    width, height = WORDS[kind][2]
    tile = {"kind": kind, "title": "", "x": 0, "y": row, "w": width, "h": height}
    has_source = any(each.name == "source" for each in KINDS[kind])
    return tile | ({"source": {"template": template}} if template and has_source else {})


def _field(known: Input, default: Any, value: Any, offered: Offered) -> dict[str, Any]:  # noqa: C901, PLR0911 - a case a shape
    match known.shape:
        case "source":
            return _source(value or {}, offered)
        case "value":
            return _chosen(_named(offered, known.offers), value)
        case "picture":
            return _chosen(offered.pictures, value)
        case "target":
            return _chosen(offered.dashboards, value)
        case "values":
            return _ticked(_named(offered, known.offers), value or [])
        case "length":
            lengths = [(str(each), words(each)) for each in known.lengths]
            given = default if value is None else value
            is_known = any(str(given) == each for each, _ in lengths)
            return {
                "choices": [*lengths, (OWN, say("another length"))],
                "value": str(given) if is_known else OWN,
                "own": "" if is_known or not isinstance(given, int) else words(given),
            }
        case "choice":
            return {"choices": known.choices, "value": default if value is None else value, "any": default is None}
        case "truth":
            return {"value": bool(value)}
        case "places":
            return {"value": _text_of("json", value), "called": offered.called}
        case "steps":
            filled = [(_text_of("line", each["from"]), each["state"]) for each in value or ()]
            return {"rows": _with_room(filled, ("", ""), MAX_THRESHOLDS), "states": STATE_WORDS}
        case "buttons":
            return {"rows": _buttons(value or (), offered)}
    return {"value": _text_of(known.shape, value)}


def _source(source: Mapping[str, str], offered: Offered) -> dict[str, Any]:
    kind, name = next(iter(source.items()), ("", ""))
    listed = {"group": [each for each, _ in offered.groups], "template": [each for each, _ in offered.templates]}
    gone = f"{kind}:{name}" if kind in listed and name not in listed[kind] else ""
    return {
        "value": DEVICE if kind == "device" else f"{kind}:{name}" if kind else "",
        "device": name if kind == "device" else "",
        "groups": [(f"group:{each}", said) for each, said in offered.groups],
        "templates": [(f"template:{each}", said) for each, said in offered.templates],
        "devices": offered.devices,
        "gone": (
            gone,
            say("segment {name}, which is not listed", name=name)
            if kind == "group"
            else say("template {name}, which is not listed", name=name),
        )
        if gone
        else None,
    }


def _named(offered: Offered, kind: str) -> list[tuple[str, str]]:
    """Names of values with what people call them: ``Flow (l/min)``, and the machine name where two are called alike."""
    found = [
        (each["name"], f"{each['display_name']} ({each['symbol']})" if each["symbol"] else each["display_name"])
        for each in offered.names.get(kind, ())
    ]
    called = [said for _, said in found]
    return [(name, f"{said}: {name}" if called.count(said) > 1 else said) for name, said in found]


def _chosen(choices: Sequence[tuple[str, str]], value: Any) -> dict[str, Any]:
    given = "" if value is None else str(value)
    is_known = any(each == given for each, _ in choices)
    return {
        "choices": [*choices, (OWN, say("another, typed below"))],
        "value": given if is_known else OWN if given or not choices else "",
        "own": "" if is_known else given,
    }


def _ticked(choices: Sequence[tuple[str, str]], values: Sequence[str]) -> dict[str, Any]:
    """Choices to tick: those of the tile first, in its order; what nobody offers is typed."""
    said = dict(choices)
    first = [each for each in values if each in said]
    rest = [each for each, _ in choices if each not in first]
    return {
        "ticks": [(each, said[each], each in first) for each in (*first, *rest)],
        "own": ", ".join(each for each in values if each not in said),
    }


def _buttons(buttons: Sequence[Mapping[str, Any]], offered: Offered) -> list[dict[str, Any]]:
    commands = _named(offered, "commands")
    return [
        {
            "label": each.get("label", ""),
            "command": _chosen(commands, each.get("command")),
            "parameters": _text_of("json", each.get("parameters")),
            "ask": bool(each.get("ask")),
        }
        for each in _with_room(list(buttons), {}, MAX_BUTTONS)
    ]


def _with_room(rows: list[Any], empty: Any, most: int) -> list[Any]:
    return [*rows, *[empty] * ROOM][: max(most, len(rows))]


def _text_of(shape: str, value: Any) -> str:
    if value is None:
        return ""
    if shape == "json":
        return json.dumps(value, ensure_ascii=False, indent=1)
    return f"{value:g}" if isinstance(value, float) else str(value)
