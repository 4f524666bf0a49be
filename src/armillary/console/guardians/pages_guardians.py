# SPDX-License-Identifier: Apache-2.0
"""The list of guardians, and one with its links, refused attempts and queue. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.device.pages_device_data import place as device_place
from armillary.console.frame import sheet
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Button, Cell, Section, Sheet
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, joined, size, span
from armillary.console.guardians import pages_equipment
from armillary.console.guardians.pages_equipment import LIST, place

CLOCK: Final[Mapping[str, State]] = MappingProxyType(
    {"synced": State(GOOD, "set"), "unsynced": State(ATTENTION, "not set"), "unknown": State(UNKNOWN, "unknown")}
)
# Values are asked for again so often (seconds) while somebody looks at them.
LIVE_EVERY_S: Final = 5


def list_sheet(page: Mapping[str, Any], *, is_part: bool, now: int) -> Sheet:
    """All guardians, or a page of them."""
    items = page["items"]
    return Sheet(
        place="Guardians",
        title=_list_sentence(items, is_part=is_part),
        detail="" if items else "A guardian is a device before equipment that must never be on a network.",
        sections=(
            Section(
                title="Guardians",
                note="what they say of themselves; the equipment speaks to nobody else",
                columns=("Guardian", "Equipment", "Links", "Refused", "Queue", "Dropped", "Clock", "Seen"),
                rows=[_row(each, now) for each in items],
                none="",
                next_href=sheet.next_href(LIST, page["next"]),
                sorts=True,
            ),
        )
        if items
        else (),
        command="" if items or is_part else "armillary guardian equipment add DEVICE NAME --profile guard/coffee",
        every_s=sheet.SEEN_EVERY_S,
    )


def guardian_sheet(
    found: Mapping[str, Any],
    chosen: Mapping[str, Any] | None,
    forms: Sequence[Form],
    lines: Sequence[Mapping[str, Any]],
    *,
    now: int,
) -> Sheet:
    """One guardian, and the ``chosen`` piece of its equipment with ``forms`` of its commands.

    ``lines`` are audit lines of commands that were sent to it, newest first.
    """
    device_id, equipment = found["device_id"], found["equipment"]
    queue, dropped = found["queue"], sum(found["queue"]["dropped"].values())
    names = ((each["name"], place(device_id, each["name"]), each is chosen) for each in equipment)
    return Sheet(
        place="Guardians",
        heading=_called(found),
        crumbs=(("Guardians", LIST), (_called(found), "")),
        title=_sentence(found),
        detail=pages_equipment.sentence_of(chosen, now) if chosen else "It has told of no equipment.",
        notices=tuple(pages_equipment.notices(chosen)) if chosen else (),
        buttons=(Button(label="Device", href=device_place(device_id)),),
        links=tuple(names) if len(equipment) > 1 else (),
        facts=(
            ("Uplink", Cell(state=_connection(found), reason="")),
            ("Seen", sheet.when(found["last_seen_ms"], now)),
            ("Clock", sheet.state(CLOCK, found["clock"])),
            ("Waiting", sheet.text(_queue_words(queue))),
            ("Dropped", sheet.text(_dropped_words(queue["dropped"]) if dropped else "nothing")),
        ),
        sections=pages_equipment.sections(chosen, lines, now) if chosen else (),
        forms=tuple(forms),
        every_s=LIVE_EVERY_S,
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], *, is_part: bool) -> str:
    if not items:
        return "No further guardian." if is_part else "No guardian yet."
    links = [each["link"] for found in items for each in found["equipment"]]
    refused = sum(each["refused"] for found in items for each in found["equipment"])
    parts = [f"{grouped(links.count('up'))} {'link' if links.count('up') == 1 else 'links'} up"]
    parts += [f"{grouped(links.count(word))} {word}" for word in ("down", "unknown") if word in links]
    if refused:
        parts.append(f"{counted(refused, 'attempt')} refused")
    many = f"{counted(len(items), 'guardian')}{' on this page' if is_part else ''}"
    return f"{many} before {counted(len(links), 'piece', 'pieces')} of equipment: {joined(parts)}."


def _row(found: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    equipment, queue = found["equipment"], found["queue"]
    names = joined([each["name"] for each in equipment[:3]])
    more = len(equipment) - 3
    return (
        sheet.text(_called(found), href=place(found["device_id"]), reason=_connection(found).word),
        sheet.text(f"{names} and {more} more" if more > 0 else names or "none told"),
        Cell(state=_links(equipment)),
        sheet.number(grouped(sum(each["refused"] for each in equipment))),
        sheet.text(_queue_words(queue)),
        sheet.number(grouped(sum(queue["dropped"].values()))),
        sheet.state(CLOCK, found["clock"]),
        sheet.when(found["last_seen_ms"], now),
    )


def _links(equipment: Sequence[Mapping[str, Any]]) -> State:
    up = sum(each["link"] == "up" for each in equipment)
    if not equipment:
        return State(UNKNOWN, "none")
    if up == len(equipment):
        return State(GOOD, f"{up} up")
    return State(BAD, f"{up} of {len(equipment)} up")


def _connection(found: Mapping[str, Any]) -> State:
    return State(GOOD, "connected") if found["connected"] else State(UNKNOWN, "not connected")


def _called(found: Mapping[str, Any]) -> str:
    return str(found.get("name") or found["device_id"][:12])


def _sentence(found: Mapping[str, Any]) -> str:
    links = _links(found["equipment"]).word
    refused = sum(sum(each["refused"].values()) for each in found["equipment"])
    parts = [f"links: {links}", f"{counted(refused, 'attempt')} refused"]
    if found["queue"]["messages"]:
        parts.append(f"{counted(found['queue']['messages'], 'message')} waiting")
    return f"{_called(found)} is {_connection(found).word}; {joined(parts)}."


def _queue_words(queue: Mapping[str, Any]) -> str:
    if not queue["messages"]:
        return "nothing"
    oldest = f", the oldest {span(queue['oldest_s'])}" if queue["oldest_s"] else ""
    return f"{counted(queue['messages'], 'message')}, {size(queue['bytes'])}{oldest}"


def _dropped_words(dropped: Mapping[str, int]) -> str:
    return joined([f"{grouped(count)} {name}" for name, count in dropped.items() if count])
