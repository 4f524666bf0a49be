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
from armillary.console.guardians.pages_equipment import LINKS, LIST, place
from armillary.console.language.say import apart, say

CLOCK: Final[Mapping[str, State]] = MappingProxyType(
    {
        "synced": State(GOOD, say("set")),
        "unsynced": State(ATTENTION, say("not set")),
        "unknown": State(UNKNOWN, say("unknown")),
    }
)
# Values are asked for again so often (seconds) while somebody looks at them.
LIVE_EVERY_S: Final = 5


def list_sheet(page: Mapping[str, Any], *, is_part: bool, now: int) -> Sheet:
    """All guardians, or a page of them."""
    items = page["items"]
    return Sheet(
        place=say("Guardians"),
        title=_list_sentence(items, is_part=is_part),
        detail="" if items else say("A guardian is a device before equipment that must never be on a network."),
        sections=(
            Section(
                title=say("Guardians"),
                note=say("what they say of themselves; the equipment speaks to nobody else"),
                columns=(
                    say("Guardian"),
                    say("Equipment"),
                    say("Links"),
                    say("Refused"),
                    say("Queue"),
                    say("Dropped"),
                    say("Clock"),
                    say("Seen"),
                ),
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
        place=say("Guardians"),
        heading=_called(found),
        crumbs=((say("Guardians"), LIST), (_called(found), "")),
        title=_sentence(found),
        detail=pages_equipment.sentence_of(chosen, now) if chosen else say("It has told of no equipment."),
        notices=tuple(pages_equipment.notices(chosen)) if chosen else (),
        buttons=(Button(label=say("Device"), href=device_place(device_id)),),
        links=tuple(names) if len(equipment) > 1 else (),
        facts=(
            (say("Uplink"), Cell(state=_connection(found), reason="")),
            (say("Seen"), sheet.when(found["last_seen_ms"], now)),
            (say("Clock"), sheet.state(CLOCK, found["clock"])),
            (say("Waiting"), sheet.text(_queue_words(queue))),
            (say("Dropped"), sheet.text(_dropped_words(queue["dropped"]) if dropped else say("nothing"))),
        ),
        sections=pages_equipment.sections(chosen, lines, now) if chosen else (),
        forms=tuple(forms),
        every_s=LIVE_EVERY_S,
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], *, is_part: bool) -> str:
    if not items:
        return say("No further guardian.") if is_part else say("No guardian yet.")
    links = [each["link"] for found in items for each in found["equipment"]]
    refused = sum(each["refused"] for found in items for each in found["equipment"])
    parts = [counted(links.count("up"), "link up", "links up")]
    parts += [apart([grouped(links.count(word)), LINKS[word]], " ") for word in ("down", "unknown") if word in links]
    if refused:
        parts.append(counted(refused, "attempt refused", "attempts refused"))
    many = counted(len(items), "guardian")
    if is_part:
        many = counted(len(items), "guardian on this page", "guardians on this page")
    return say(
        "{guardians} before {pieces}: {parts}.",
        guardians=many,
        pieces=counted(len(links), "piece of equipment", "pieces of equipment"),
        parts=joined(parts),
    )


def _row(found: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    equipment, queue = found["equipment"], found["queue"]
    names = joined([each["name"] for each in equipment[:3]])
    more = len(equipment) - 3
    return (
        sheet.text(_called(found), href=place(found["device_id"]), reason=_connection(found).word),
        sheet.text(say("{names} and {more} more", names=names, more=more) if more > 0 else names or say("none told")),
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
        return State(UNKNOWN, say("none"))
    if up == len(equipment):
        return State(GOOD, say("{up} up", up=up))
    return State(BAD, say("{up} of {equipment} up", up=up, equipment=len(equipment)))


def _connection(found: Mapping[str, Any]) -> State:
    return State(GOOD, say("connected")) if found["connected"] else State(UNKNOWN, say("not connected"))


def _called(found: Mapping[str, Any]) -> str:
    return str(found.get("name") or found["device_id"][:12])


def _sentence(found: Mapping[str, Any]) -> str:
    links = _links(found["equipment"]).word
    refused = sum(sum(each["refused"].values()) for each in found["equipment"])
    parts = [say("links: {links}", links=links), counted(refused, "attempt refused", "attempts refused")]
    if found["queue"]["messages"]:
        parts.append(counted(found["queue"]["messages"], "message waiting", "messages waiting"))
    return say("{name} is {state}; {parts}.", name=_called(found), state=_connection(found).word, parts=joined(parts))


def _queue_words(queue: Mapping[str, Any]) -> str:
    if not queue["messages"]:
        return say("nothing")
    parts = [counted(queue["messages"], "message"), size(queue["bytes"])]
    if queue["oldest_s"]:
        parts.append(say("the oldest {time}", time=span(queue["oldest_s"])))
    return apart(parts)


def _dropped_words(dropped: Mapping[str, int]) -> str:
    return joined([f"{grouped(count)} {name}" for name, count in dropped.items() if count])
