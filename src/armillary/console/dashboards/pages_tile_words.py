# SPDX-License-Identifier: Apache-2.0
"""What all tiles share: what values are called, their units, their keys in the page, how old they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from armillary.console.frame.values import is_stale
from armillary.console.frame.words import counted, moment
from armillary.console.language.say import say
from armillary.twin.author.dashboard import Tile
from armillary.twin.template.value_names import ValueName, from_fields, unnamed

View = dict[str, Any]
Names = Mapping[str, ValueName]

# What an aggregate is called in front of "of 24 h" and alone.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "avg": say("average"),
        "min": say("lowest"),
        "max": say("highest"),
        "sum": say("sum"),
        "count": say("count"),
        "last": say("now"),
    }
)


def names_of(data: Mapping[str, Any] | None) -> Names:
    """What values are called, of what the API says of a tile."""
    return {each["name"]: from_fields(each) for each in (data or {}).get("labels", ())}


def called(data: Mapping[str, Any], name: str) -> ValueName:
    """What one value of a tile is called."""
    found: ValueName = data["called"].get(name) or unnamed(name)
    return found


def key_of(device_id: str | None, name: str) -> str:
    """Names one value of one device, in the page and in the event stream; "" where a value is of many devices."""
    return f"{device_id} {name}" if device_id else ""


def unit_for(tile: Tile, name: ValueName) -> str:
    """The tile's unit where it says one, else the value's own."""
    own: str = tile.options.get("unit", "")
    return own or name.symbol


def picture(image: str) -> str:
    """Address of a picture ``TEMPLATE/FILE``."""
    return f"/pictures/{quote(image)}"


def of_devices(tile: Tile, data: Mapping[str, Any]) -> str:
    """The aggregate and of how many devices; "" for a single one."""
    if data["devices"] == 1:
        return ""
    return say(
        "{aggregate} of {devices}",
        aggregate=WORDS[tile.options["aggregate"]],
        devices=counted(data["devices"], "device"),
    )


def age_of(at_ms: int | None, now: int) -> View:
    """How old what a tile shows is; nothing where nobody knows."""
    if at_ms is None:
        return {}
    return {"age": moment(at_ms // 1000, now), "stale": is_stale(at_ms, now)}
