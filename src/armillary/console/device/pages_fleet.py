# SPDX-License-Identifier: Apache-2.0
"""The fleet page: what do I have and is it well? Pure: API answers in, a view model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from armillary.console.frame import sheet
from armillary.console.frame.sheet import Section, Sheet, next_href
from armillary.console.frame.states import HEALTH, UNKNOWN, State, state_of, tier_words
from armillary.console.frame.words import Called, Moment, called, counted, counted_page, grouped, moment
from armillary.console.language.say import apart, say
from armillary.wire.export.csv_table import shielded

# A screen of rows; the next page is a cursor away at the same cost, whatever the size of the fleet.
PAGE_SIZE = 50
FILTERS = ("q", "health", "product", "group", "chip", "image")

# Order and words of the first line; "attested" always comes first, also when it is 0.
_SAYS = (
    ("attested", say("attested")),
    ("update-only", say("held to updates only")),
    ("unattested", say("attest nothing")),
    ("refused", say("refused")),
    ("silent", say("silent")),
    ("never", say("never checked in")),
    ("simulated", say("simulated")),
    ("held", say("held: a copy was found")),
    ("quarantined", say("in quarantine")),
    ("revoked", say("revoked")),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the first line that is also a filter."""

    text: str
    href: str
    kind: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """One row of the table."""

    device: Called
    health: State
    seen: Moment | None
    tier: str
    os_version: str
    applications: str
    where: str
    chip: str
    note: str


# Columns of the table, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[DeviceLine], object] | None] = MappingProxyType(
    {
        say("Device"): lambda line: line.device.name,
        say("State"): lambda line: line.health,
        say("Last check-in"): lambda line: line.seen,
        say("Product / group"): lambda line: line.where,
        say("OS"): lambda line: line.os_version,
        say("Applications"): lambda line: line.applications,
        say("Trust tier"): lambda line: line.tier,
        say("Chip"): lambda line: line.chip,
    }
)

# Column -> what the source sorts all pages by.
BY_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        "Device": "name",
        "State": "health",
        "Last check-in": "last_check_in_at",
        "Product / group": "group",
        "OS": "os_version",
        "Trust tier": "trust_tier",
        "Chip": "chip",
    }
)


@dataclass(frozen=True, slots=True)
class FleetPage:
    """What the template shows.

    Attributes:
        total: ``1,204 devices``.
        parts: The first line's counted parts.
        chosen: Active filters, as in the query string.
        is_cut: More names match a search than were looked through.
        problem: Why the table is not in the order that the address asks for, or "".
        image: What the image is called that devices are filtered by, or "".
        empty: ``fleet`` when there is no device at all, ``filter`` when none matches, "" otherwise.
    """

    total: str
    parts: tuple[Part, ...]
    lines: tuple[DeviceLine, ...]
    chosen: Mapping[str, str]
    shown: str
    next_href: str | None
    first_href: str | None
    export_href: str
    empty: str
    healths: tuple[tuple[str, str], ...]
    is_cut: bool = False
    problem: str = ""
    image: str = ""


def chosen_filters(query: Mapping[str, str]) -> dict[str, str]:
    """The filters of a query string that have a value; others are dropped so that addresses stay short."""
    return {name: query[name].strip() for name in FILTERS if query.get(name, "").strip()}


def service_filter(chosen: Mapping[str, str]) -> dict[str, str]:
    """The filter in the API's words: what is searched for begins a word of a name, or an id."""
    return {"search" if name == "q" else name: value for name, value in chosen.items()}


def fleet_page(
    summary: Mapping[str, Any],
    page: Mapping[str, Any],
    chosen: Mapping[str, str],
    *,
    after: str | None,
    now: int,
    problem: str = "",
    image: str = "",
) -> FleetPage:
    """The page of the ``chosen`` filters behind the cursor ``after``; ``summary`` is the fleet in numbers.

    ``image`` is what the image is called that they choose.
    """
    health = summary["health"]
    parts = tuple(
        Part(
            apart([grouped(health.get(word, 0)), says], " "),
            _href({**chosen, "health": word} if chosen.get("health") != word else _without(chosen, "health")),
            state_of(HEALTH, word).kind if health.get(word, 0) else "none",
            chosen.get("health") == word,
        )
        for word, says in _SAYS
        if health.get(word, 0) or word == "attested"
    )
    lines = tuple(device_line(item, now) for item in page["items"])
    empty = "" if lines else "filter"
    if summary["devices"] == 0:
        empty = "fleet"
    cursor = page.get("next")
    return FleetPage(
        total=counted(summary["devices"], "device"),
        parts=parts if summary["devices"] else (),
        lines=lines,
        chosen=chosen,
        shown=_shown(len(lines), is_part=bool(cursor or after)),
        next_href=_href({**chosen, "after": cursor}) if cursor else None,
        first_href=_href(chosen) if after else None,
        export_href="/fleet.csv" + _href(chosen).removeprefix("/fleet"),
        empty=empty,
        is_cut=bool(page.get("is_cut")),
        problem=problem,
        image=image,
        healths=tuple((word, HEALTH[word].word) for word, _ in _SAYS),
    )


def _shown(count: int, *, is_part: bool) -> str:
    if is_part:
        return counted(count, "device on this page", "devices on this page")
    return counted(count, "device")


def device_line(device: Mapping[str, Any], now: int) -> DeviceLine:
    """One row: how it is, since when, what it runs, where it belongs."""
    running = [image for image in device["installed"] if image["state"] == "running"]
    ill = [image for image in device["installed"] if image["state"] not in ("running", "trial")]
    never = device["last_check_in_at"] is None
    applications = say("not known") if never else counted(len(running), "running", "running")
    if device["health"] == "simulated":
        applications = say("none")
    elif device["health"] == "unattested":  # what it runs nobody has shown
        applications = counted(len(device["installed"]), "installed", "installed")
    elif ill and not never:
        applications = say("{running}, {ill} not", running=applications, ill=grouped(len(ill)))
    return DeviceLine(
        device=called(device["device_id"], device["name"]),
        health=_health(device),
        seen=moment(device["last_check_in_at"], now),
        tier=device["trust_tier"] or tier_words(None),
        os_version=device["os_version"] or say("not known"),
        applications=applications,
        where=where(device),
        chip=device["chip_sku"],
        note=_note(device),
    )


def organisation_sheet(page: Mapping[str, Any], scope: str) -> Sheet:
    """The devices of an organisation and of those below it, of both kinds; ``scope`` says which that is."""
    rows = [
        (
            sheet.device(each["device_id"], {each["device_id"]: each["device_name"] or ""}),
            sheet.text(each["organisation_name"]),
            sheet.state(HEALTH, each["health"]),
        )
        for each in page["items"]
    ]
    return Sheet(
        place=say("Fleet"),
        title=say("{devices} of {scope}.", devices=counted_page(page, "device"), scope=scope),
        sections=(
            Section(
                title=say("Devices"),
                columns=(say("Device"), say("Organisation"), say("Health")),
                rows=rows,
                none=say("No device is in it: armillary organisation assign."),
                next_href=next_href("/fleet", page["next"]),
                sorts=True,
            ),
        ),
        within="",
    )


def where(device: Mapping[str, Any]) -> str:
    """``Coffee machine / Field test``, or that nobody owns it yet."""
    if not device["catalog"]:
        return say("not claimed")
    return f"{device['product']} / {device['group']}"


def csv_lines(items: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of the export: whole ids, exact UTC, the API's words."""
    table = [
        ["device_id", "name", "health", "last_check_in_utc", "trust_tier", "os_version", "chip", "product", "group"]
    ]
    for item in items:
        seen = moment(item["last_check_in_at"], item["last_check_in_at"] or 0)
        cells = [
            item["device_id"],
            item["name"],
            item["health"],
            seen.iso if seen else "",
            item["trust_tier"],
            item["os_version"],
            item["chip"],
            item["product"] or "",
            item["group"] or "",
        ]
        table.append([shielded(cell) for cell in cells])
    return table


def _health(device: Mapping[str, Any]) -> State:
    if device["health"] == "simulated":
        return State(UNKNOWN, say("simulated, connected") if device["connected"] else say("simulated, not connected"))
    return state_of(HEALTH, "held" if _is_held(device) else device["health"])


def _is_held(device: Mapping[str, Any]) -> bool:
    return device["held_at"] is not None and device["revoked_at"] is None


def _note(device: Mapping[str, Any]) -> str:
    if _is_held(device):
        return say("a copy was found")
    if device["decommissioned_at"] is not None:
        return say("out of service: {revoked_reason}", revoked_reason=device["revoked_reason"])
    if device["health"] == "refused":
        return device["last_refusal"] or ""
    if device["health"] == "quarantined":
        return device["quarantine_reason"] or ""
    if device["health"] == "revoked":
        return device["revoked_reason"] or ""
    return ""


def _without(chosen: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in chosen.items() if key != name}


def _href(query: Mapping[str, str]) -> str:
    return "/fleet" + (f"?{urlencode(query)}" if query else "")
