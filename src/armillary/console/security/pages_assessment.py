# SPDX-License-Identifier: Apache-2.0
"""The pages of the seven properties: how many devices show each, and why a device does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.sheet import Cell, Section, Sheet, number, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import grouped
from armillary.console.language.say import known, say, say_count

LIST: Final = "/assessment"
ALL: Final = 7
_STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "present": State(GOOD, say("present")),
        "absent": State(BAD, say("absent")),
        "stale": State(ATTENTION, say("stale")),
        "out-of-scope": State(UNKNOWN, say("out of scope")),
    }
)
_ABOUT: Final = say("What devices have shown, and what follows from it. No word here says that a device is secure.")
# Last parts of the routes of evidence -> the console's page or section that shows it.
_SHOWN: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "check-ins": (say("check-ins"), "/history"),
        "error-reports": (say("error reports"), "/log#errors"),
        "update-status": (say("update"), "/update"),
    }
)


def fleet_sheet(found: Mapping[str, Any], catalog: str, catalogs: Sequence[str]) -> Sheet:
    """All devices, or those of a catalog: what ``GET /assessment`` says."""
    devices = found["devices"]
    shown = [each for each in found["properties"] if devices and each["states"]["present"] == devices]
    links: list[tuple[str, str, bool]] = [(say("All catalogs"), LIST, not catalog)] if len(catalogs) > 1 else []
    links += [(name, f"{LIST}?catalog={quote(name)}", name == catalog) for name in catalogs] if links else []
    return Sheet(
        place=say("Seven properties"),
        heading=say("Seven properties"),
        title=_sentence(len(shown)) if devices else say("There is no device to assess."),
        detail=_ABOUT,
        links=tuple(links),
        facts=(
            (say("Devices"), text(grouped(devices))),
            (say("Trust tiers"), text(_tiers(found["tiers"]) or say("none"))),
        ),
        sections=tuple(_property(each) for each in found["properties"]),
        within="security",
    )


def device_sheet(found: Mapping[str, Any], name: str) -> Sheet:
    """One device: what ``GET /devices/{device_id}/assessment`` says."""
    here = f"/devices/{found['device_id']}"
    present = sum(each["state"] == "present" for each in found["properties"])
    return Sheet(
        place=say("Seven properties"),
        heading=say("Seven properties of {name}", name=name),
        title=say("{name} shows {present} of the seven properties.", name=name, present=present),
        crumbs=((say("Fleet"), "/fleet"), (name, here), (say("Seven properties"), "")),
        detail=_ABOUT,
        facts=(
            (say("Trust tier"), text(found["tier"])),
            (say("Health"), text(found["health"])),
        ),
        sections=(
            Section(
                title=say("Properties"),
                columns=(say("Property"), say("State"), say("Why"), say("Evidence")),
                rows=[
                    (
                        text(known(each["title"]), reason=known(each["question"])),
                        state(_STATES, each["state"]),
                        text(known(each["says"])),
                        _evidence(each["evidence"], here),
                    )
                    for each in found["properties"]
                ],
                none="",
            ),
        ),
        within="",
    )


def _sentence(shown: int) -> str:
    if shown == ALL:
        return say("All of the seven properties hold on every device.")
    if not shown:
        return say("None of the seven properties holds on every device.")
    return say_count(
        shown,
        "{count} of the seven properties holds on every device.",
        "{count} of the seven properties hold on every device.",
        count=shown,
    )


def _property(each: Mapping[str, Any]) -> Section:
    return Section(
        title=known(each["title"]),
        note=known(each["question"]),
        columns=(say("State"), say("Why"), say("Devices"), say("For example")),
        rows=[
            (
                state(_STATES, one["state"]),
                text(known(one["says"])),
                number(grouped(one["devices"])),
                text(one["example"][:12], href=f"/devices/{one['example']}/assessment"),
            )
            for one in each["reasons"]
        ],
        none=say("There is no device."),
    )


def _evidence(routes: Sequence[str], here: str) -> Cell:
    last = routes[-1].rpartition("/")[2]
    if last == "releases":
        return text(say("releases"), href="/releases")
    words, further = _SHOWN.get(last, (say("device"), ""))
    return text(words, href=here + further)


def _tiers(tiers: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(count)} {tier}" for tier, count in sorted(tiers.items()))
