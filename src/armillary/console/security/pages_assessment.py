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

LIST: Final = "/assessment"
_STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "present": State(GOOD, "present"),
        "absent": State(BAD, "absent"),
        "stale": State(ATTENTION, "stale"),
        "out-of-scope": State(UNKNOWN, "out of scope"),
    }
)
_ABOUT: Final = "What devices have shown, and what follows from it. No word here says that a device is secure."
# Last parts of the routes of evidence -> the console's page or section that shows it.
_SHOWN: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "check-ins": ("check-ins", "/history"),
        "error-reports": ("error reports", "/log#errors"),
        "update-status": ("update", "/update"),
    }
)


def fleet_sheet(found: Mapping[str, Any], catalog: str, catalogs: Sequence[str]) -> Sheet:
    """All devices, or those of a catalog: what ``GET /assessment`` says."""
    devices = found["devices"]
    shown = [each for each in found["properties"] if devices and each["states"]["present"] == devices]
    links = [("All catalogs", LIST, not catalog)] if len(catalogs) > 1 else []
    links += [(name, f"{LIST}?catalog={quote(name)}", name == catalog) for name in catalogs] if links else []
    return Sheet(
        place="Seven properties",
        heading="Seven properties",
        title=_sentence(len(shown)) if devices else "There is no device to assess.",
        detail=_ABOUT,
        links=tuple(links),
        facts=(
            ("Devices", text(grouped(devices))),
            ("Trust tiers", text(_tiers(found["tiers"]) or "none")),
        ),
        sections=tuple(_property(each) for each in found["properties"]),
        within="security",
    )


def device_sheet(found: Mapping[str, Any], name: str) -> Sheet:
    """One device: what ``GET /devices/{device_id}/assessment`` says."""
    here = f"/devices/{found['device_id']}"
    present = sum(each["state"] == "present" for each in found["properties"])
    return Sheet(
        place="Seven properties",
        heading=f"Seven properties of {name}",
        title=f"{name} shows {present} of the seven properties.",
        crumbs=(("Fleet", "/fleet"), (name, here), ("Seven properties", "")),
        detail=_ABOUT,
        facts=(
            ("Trust tier", text(found["tier"])),
            ("Health", text(found["health"])),
        ),
        sections=(
            Section(
                title="Properties",
                columns=("Property", "State", "Why", "Evidence"),
                rows=[
                    (
                        text(each["title"], reason=each["question"]),
                        state(_STATES, each["state"]),
                        text(each["says"]),
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
    count = {0: "None", 7: "All"}.get(shown, str(shown))
    return f"{count} of the seven properties {'holds' if shown < 2 else 'hold'} on every device."


def _property(each: Mapping[str, Any]) -> Section:
    return Section(
        title=each["title"],
        note=each["question"],
        columns=("State", "Why", "Devices", "For example"),
        rows=[
            (
                state(_STATES, one["state"]),
                text(one["says"]),
                number(grouped(one["devices"])),
                text(one["example"][:12], href=f"/devices/{one['example']}/assessment"),
            )
            for one in each["reasons"]
        ],
        none="There is no device.",
    )


def _evidence(routes: Sequence[str], here: str) -> Cell:
    last = routes[-1].rpartition("/")[2]
    if last == "releases":
        return text("releases", href="/releases")
    words, further = _SHOWN.get(last, ("device", ""))
    return text(words, href=here + further)


def _tiers(tiers: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(count)} {tier}" for tier, count in sorted(tiers.items()))
