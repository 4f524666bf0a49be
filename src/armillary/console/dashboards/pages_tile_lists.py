# SPDX-License-Identifier: Apache-2.0
"""Tiles that are lists for people to act on: alerts, and buttons that send commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from armillary.console.dashboards.pages_tile_words import View
from armillary.console.frame.sheet import device_href
from armillary.console.frame.states import SEVERITY, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, moment, sentence
from armillary.console.language.say import say
from armillary.twin.author.dashboard import Tile


def alerts(tile: Tile, data: Mapping[str, Any], _dashboard: str, now: int) -> View:
    """Firings of rules for the tile's devices, newest first."""
    is_open = tile.options["status"] == "open"
    if not data["alerts"]:
        said = say("No open alerts.") if is_open else say("No alerts.")
        if data["more"]:
            said = say(
                "{said} Many alerts of other devices were looked through; the page of alerts has all.", said=said
            )
        return {"lines": [], "said": said, "note": counted(data["devices"], "device")}
    lines = [_alert(each, now) for each in data["alerts"]]
    note = counted(len(lines), "open alert") if is_open else counted(len(lines), "alert")
    if data["more"]:
        note = say("{alerts}; the page of alerts has more", alerts=note)
    return {"lines": lines, "said": "", "note": note}


def _alert(each: Mapping[str, Any], now: int) -> View:
    state = SEVERITY.get(each["severity"], State(UNKNOWN, each["severity"]))
    stage, stage_words = "open", ""
    if each["acknowledged_ms"] is not None:
        stage, stage_words = "acknowledged", say("acknowledged")
    elif each["over_ms"] is not None:
        stage, stage_words = "over", say("over")
    trace = f"/rules/{quote(each['rule_id'])}/trace?{urlencode({'device': each['device_id']})}"
    return {
        "shape": state.kind,
        "severity": state.word,
        "text": sentence(each["summary"] or each["rule_name"]).removesuffix("."),
        "href": trace,
        "label": each["label"],
        "device_href": device_href(each["device_id"]),
        "stage": stage,
        "stage_words": stage_words,
        "when": moment(each["fired_ms"] // 1000, now),
    }


def command(tile: Tile, data: Mapping[str, Any], dashboard: str, _now: int) -> View:
    """One button."""
    return {
        "label": tile.options["label"],
        "href": command_href(dashboard, tile.id),
        "note": _reached(data),
    }


def commands(tile: Tile, data: Mapping[str, Any], dashboard: str, _now: int) -> View:
    """A button for each command."""
    buttons = [
        {"label": each.label, "href": f"{command_href(dashboard, tile.id)}?button={number}"}
        for number, each in enumerate(tile.options["buttons"])
    ]
    return {"buttons": buttons, "note": _reached(data)}


def command_href(dashboard: str, tile_id: str) -> str:
    """The page that asks before a tile's command is sent."""
    return f"/dashboards/{quote(dashboard)}/tiles/{tile_id}/command"


def _reached(data: Mapping[str, Any]) -> str:
    devices, connected = data.get("devices", 0), data.get("connected", 0)
    return say("{connected} of {devices} connected", connected=grouped(connected), devices=counted(devices, "device"))
