# SPDX-License-Identifier: Apache-2.0
"""The head of every page of a device, of either kind: where it stands, what it can prove, its tabs. Pure.

A device that attests has all tabs; a hub device has those of what it sends. What a tab shows is its own page; the head
says first, on each of them, what the device can prove.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from armillary.console.device.pages_device import Ring, Verdict
from armillary.console.device.pages_device_data import place
from armillary.console.frame.sheet import Cell
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.values import is_stale
from armillary.console.frame.words import ShortId, grouped, moment, short_id
from armillary.console.language.say import apart, say

OVERVIEW: Final = ""
# Last part of a tab's address -> its label: of every device, and of one that has an identity that can attest.
OF_ALL: Final[Mapping[str, str]] = MappingProxyType(
    {
        OVERVIEW: say("Overview"),
        "values": say("Live values"),
        "alerts": say("Alerts"),
        "data": say("Data"),
        "twin": say("Twin"),
        "commands": say("Commands"),
        "log": say("Log"),
    }
)
OF_ATTESTING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "software": say("Software"),
        "update": say("Update"),
        "containment": say("Containment"),
        "history": say("History"),
    }
)
# What a client of the hub shows, in words.
SHOWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sas": say("a symmetric key"),
        "selfSigned": say("a certificate of its own"),
        "device": say("what its device shows"),
    }
)
# authentication -> the field of the admission that lets it in.
ADMITTED_BY: Final[Mapping[str, str]] = MappingProxyType({"sas": "symmetric_keys", "selfSigned": "certificates"})
LABELS: Final[Mapping[str, str]] = MappingProxyType({**OF_ALL, **OF_ATTESTING})
# Tabs as they stand within the title of a window; what is not here has a page that says it itself.
_IN_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alerts": say("alerts"),
        "data": say("data"),
        "twin": say("twin"),
        "commands": say("commands"),
        "log": say("log"),
        "software": say("software"),
        "update": say("update"),
        "containment": say("containment"),
        "history": say("history"),
    }
)


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; ``count`` is of what is open there, drawn as ``kind``."""

    label: str
    href: str
    is_current: bool
    count: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What all pages of a device begin with.

    ``proves`` in one sentence, ``kind`` is how it is drawn; ``heading`` is the title of the window.
    """

    name: str
    id: ShortId
    crumbs: tuple[tuple[str, str], ...]
    kind: str
    proves: str
    rings: tuple[Ring, ...]
    tabs: tuple[Tab, ...]
    is_overview: bool
    heading: str

    @property
    def ring_kinds(self) -> list[str]:
        """The states of the mark's three rings."""
        return [each.kind for each in self.rings]

    @property
    def ring_label(self) -> str:
        """The rings in words."""
        return apart([say("{ring}: {state}", ring=each.name, state=each.word) for each in self.rings])


def tabs(device_id: str, current: str, *, attests: bool, open_alerts: int, guardian_href: str = "") -> tuple[Tab, ...]:
    """The tabs of a device; a guardian has one more for its equipment."""
    found = [
        Tab(
            label,
            place(device_id, *((word,) if word else ())),
            word == current,
            grouped(open_alerts) if word == "alerts" and open_alerts else "",
            ATTENTION,
        )
        for word, label in (LABELS if attests else OF_ALL).items()
    ]
    if guardian_href:
        found.insert(2, Tab(say("Equipment"), guardian_href, current == "equipment"))
    return tuple(found)


def head_of(
    device_id: str,
    name: str,
    verdict: Verdict,
    current: str,
    above: tuple[tuple[str, str], ...],
    all_tabs: tuple[Tab, ...],
) -> Head:
    """The head of one page; ``above`` is the way to the device."""
    is_overview = current == OVERVIEW
    crumbs = (*above, (name, "" if is_overview else place(device_id)))
    if not is_overview:
        crumbs = (*crumbs, (next((each.label for each in all_tabs if each.is_current), ""), ""))
    heading = say("{name}: {tab}", name=name, tab=_IN_TITLES[current]) if current in _IN_TITLES else name
    return Head(
        name=name,
        id=short_id(device_id),
        crumbs=crumbs,
        kind=verdict.kind,
        proves=verdict.sentence,
        rings=verdict.rings,
        tabs=all_tabs,
        is_overview=is_overview,
        heading=heading,
    )


def simulated(heard_ms: int | None, now: int, came: str) -> Verdict:
    """What a device can prove that a simulator plays: nothing. ``came`` is what stands under it."""
    return Verdict(say("Simulated, {heard}. It proves nothing.", heard=_heard(heard_ms, now)), came, UNKNOWN, ())


def connection(found: Mapping[str, Any], admission: Mapping[str, Any]) -> Cell:
    """Whether a hub device is connected, and if it cannot be, why."""
    admitted_by = ADMITTED_BY.get(found["authentication"])
    if not found["enabled"]:
        return Cell(state=State(ATTENTION, say("disabled")), reason=found["status_reason"])
    if admitted_by is not None and not admission.get(admitted_by, True):
        return Cell(state=State(ATTENTION, say("blocked")), reason=say("its catalog does not allow such devices"))
    if found.get("connected"):
        return Cell(state=State(GOOD, say("connected")))
    return Cell(state=State(UNKNOWN, say("not connected")))


def by_key(found: Mapping[str, Any], admission: Mapping[str, Any], heard_ms: int | None, now: int) -> Verdict:
    """What a hub device can prove: that it holds what it shows, and nothing else."""
    state = connection(found, admission).state
    word = state.word if state else ""
    seen_ms = max((each for each in (heard_ms, found.get("last_seen_ms")) if each), default=None)
    seen = moment(seen_ms // 1000, now) if seen_ms else None
    heard = say("last heard {seen}", seen=seen.relative) if seen else say("never heard")
    says = {
        "disabled": say("disabled: it may not connect"),
        "blocked": say("blocked by its catalog"),
        "connected": say("connected now"),
    }.get(word, say("not connected, {heard}", heard=heard))
    known: str = say("Nothing is known of what it runs: whoever holds its key is this device.")
    if found["status_reason"]:
        known = apart([known, say("Reason: {reason}.", reason=found["status_reason"])], " ")
    shows = SHOWS[found["authentication"]]
    return Verdict(
        say("Not attested, {says}. It proves that it holds {shows}.", says=says, shows=shows),
        known,
        ATTENTION if word in ("disabled", "blocked") else UNKNOWN,
        (),
    )


def _heard(heard_ms: int | None, now: int) -> str:
    if heard_ms is None:
        return say("never heard")
    if not is_stale(heard_ms, now):
        return say("live now")
    seen = moment(heard_ms // 1000, now)
    return say("last heard {seen}", seen=seen.relative) if seen else say("never heard")
