# SPDX-License-Identifier: Apache-2.0
"""The tile that a filled-in form says.

What may stand in a tile is decided by ``twin/author/dashboard.py`` alone: what a person typed goes there as it is, so
that its error names the field. A choice that can be typed as well has a second field, ``NAME.own``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from armillary.console.dashboards.durations import seconds_of
from armillary.console.dashboards.tile_inputs import INPUTS
from armillary.console.frame.action_checks import json_of
from armillary.console.frame.words import slug
from armillary.twin.author.dashboard import KINDS, MAX_BUTTONS, MAX_THRESHOLDS

# Value of a choice that stands for the field beside it, in which something else is typed.
OWN: Final = "own:"
DEVICE: Final = "device:"
# Names that a form ticks, at most: as many as are offered.
MAX_TICKS: Final = 400

Form = Mapping[str, str]


def tile_of(kind: str, form: Form, tile_id: str | None, taken: frozenset[str]) -> dict[str, Any]:
    """The tile that a form says; empty fields are left out.

    ``tile_id`` is None for a new one, which gets an id of its title; ``taken`` are ids of the other tiles.
    Raises InvalidArgumentError for what is no JSON or no length of time, and names the field.
    """
    title = form.get("title", "").strip()
    tile: dict[str, Any] = {"id": tile_id or slug(title or kind, taken)[:40].strip("-"), "kind": kind, "title": title}
    tile |= {axis: number(form.get(axis, "")) for axis in ("x", "y", "w", "h")}
    for row in KINDS[kind]:
        value = _READ[INPUTS[row.name].shape](form, row.name)
        if value not in (None, "", [], {}):
            tile[row.name] = value
    return tile


def number(text: str) -> Any:
    """The number that a text says; the text itself where it says none, for the error to show."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _source(form: Form, _name: str) -> dict[str, str]:
    chosen = form.get("source", "")
    if chosen == DEVICE:
        return {"device": form.get("source_device", "").strip()}
    kind, _, name = chosen.partition(":")
    return {kind: name} if name else {}


def _value(form: Form, name: str) -> str:
    """What was chosen, or what was typed beside it."""
    chosen = form.get(name, "").strip()
    return form.get(f"{name}.own", "").strip() if chosen in ("", OWN) else chosen


def _values(form: Form, name: str) -> list[str]:
    """What was ticked, in the order of the form, then what was typed: names with commas or on lines of their own."""
    ticked = [form[key] for at in range(MAX_TICKS) if (key := f"{name}.{at}") in form]
    typed = [each.strip() for each in form.get(f"{name}.own", "").replace(",", "\n").splitlines()]
    return list(dict.fromkeys(each for each in (*ticked, *typed) if each))


def _length(form: Form, name: str) -> int | None:
    chosen = form.get(name, "").strip()
    if chosen == OWN or (not chosen and form.get(f"{name}.own", "").strip()):
        return seconds_of(form.get(f"{name}.own", ""), name)
    return seconds_of(chosen, name) if chosen else None


def _steps(form: Form, name: str) -> list[dict[str, Any]]:
    """Thresholds, in rising order whatever the order of the rows."""
    rows = [
        (form.get(f"{name}.{at}.from", "").strip(), form.get(f"{name}.{at}.state", "")) for at in range(MAX_THRESHOLDS)
    ]
    found = [{"from": number(at), "state": state} for at, state in rows if at]
    if all(isinstance(each["from"], (int, float)) for each in found):
        found.sort(key=lambda each: float(each["from"]))
    return found


def _buttons(form: Form, name: str) -> list[dict[str, Any]]:
    found = []
    for at in range(MAX_BUTTONS):
        row = f"{name}.{at}"
        command = _value(form, f"{row}.command")
        if not (label := form.get(f"{row}.label", "").strip()) and not command:
            continue
        button: dict[str, Any] = {"label": label or command, "command": command}
        if (parameters := _json(form, f"{row}.parameters")) is not None:
            button["parameters"] = parameters
        if form.get(f"{row}.ask"):
            button["ask"] = True
        found.append(button)
    return found


def _json(form: Form, name: str) -> Any:
    return json_of(form.get(name, "").strip(), name)


_READ: Final[Mapping[str, Callable[[Form, str], Any]]] = MappingProxyType(
    {
        "source": _source,
        "value": _value,
        "values": _values,
        "length": _length,
        "choice": lambda form, name: form.get(name, "").strip(),
        "truth": lambda form, name: bool(form.get(name)) or None,
        "number": lambda form, name: number(form.get(name, "").strip()),
        "steps": _steps,
        "buttons": _buttons,
        "picture": _value,
        "places": _json,
        "target": _value,
        "line": lambda form, name: form.get(name, "").strip(),
        "long": lambda form, name: form.get(name, ""),
        "json": _json,
    }
)
