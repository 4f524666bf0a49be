# SPDX-License-Identifier: Apache-2.0
"""The log of a device: where a request for it stands, and its newest lines. Pure: answers in, pages out.

A line is what the device says and nobody verified. That somebody read one is in the audit log, so the page with the
lines is another one, which asks for nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.device.pages_device_data import place
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, text
from armillary.console.frame.words import grouped, moment
from armillary.console.language.say import say, say_count

# A request is answered within seconds by a device that waits for a hint.
WAITING_EVERY_S: Final = 3
# Lines on the page; all are in the file. Kept below the size of a page that a phone loads at once.
SHOWN_LINES: Final = 300
_TIME_CHARACTERS: Final = len("2026-11-28 19:00:00")
# What is said of an answer; and where a newer request stands above it.
_NAMES: Final = (
    say("Asked"),
    say("Asked by"),
    say("Came"),
    say("Lines"),
    say("Older lines on the device"),
    say("Kept until"),
)
_NAMES_OF_NEWEST: Final = (
    say("Newest log: asked"),
    say("Newest log: asked by"),
    say("Newest log: came"),
    say("Newest log: lines"),
    say("Newest log: older lines on the device"),
    say("Newest log: kept until"),
)
_AUDITED: Final = say("Who asks for it and who reads it is in the audit log.")


def log_sheet(standing: Mapping[str, Any], errors: Section, now: int, *, may_ask: bool, may_read: bool) -> Sheet:
    """Where the log stands, above what the device reported itself (``errors``)."""
    device_id, answer = standing["device_id"], standing["answer"]
    buttons = []
    if may_ask:
        ask = Button(label=say("Ask for the log"), post=place(device_id, "log", "ask"), primary=answer is None)
        refused = Button(label=say("Ask for the log"), refused=standing["refused"])
        buttons.append(refused if standing["refused"] else ask)
    if may_read and answer is not None:
        buttons.insert(0, Button(label=say("Read the log"), href=place(device_id, "log", "lines"), primary=True))
    is_waiting = standing["state"] == "waiting"
    return Sheet(
        place=say("Log"),
        title=_sentence(standing, now),
        detail=_detail(standing),
        buttons=tuple(buttons),
        facts=_facts(standing, now),
        sections=(errors,),
        every_s=WAITING_EVERY_S if is_waiting else SEEN_EVERY_S,
    )


def lines_sheet(found: Mapping[str, Any], now: int) -> Sheet:
    """The newest lines."""
    lines: Sequence[str] = found["lines"]
    shown = lines[-SHOWN_LINES:]
    older = len(lines) - len(shown) + found["left_out"]
    device_id = found["device_id"]
    return Sheet(
        place=say("Log"),
        title=say_count(
            len(lines),
            "{n} line of its log, as the device sent it.",
            "{n} lines of its log, as the device sent them.",
            n=grouped(len(lines)),
        ),
        detail=say(
            "Nobody verified them. Times are UTC by the device's clock. That you read them is in the audit log."
        ),
        buttons=(
            Button(label=say("Download"), href=place(device_id, "log", "lines.txt")),
            Button(label=say("Back"), href=place(device_id, "log")),
        ),
        facts=_of_answer(found, now),
        sections=(
            Section(
                title=say("Lines"),
                note=say("oldest first; {older} older ones are not on this page", older=grouped(older))
                if older
                else say("oldest first"),
                columns=(say("Time"), say("Entry")),
                rows=[_row(line) for line in shown],
                none=say("The device has written nothing."),
            ),
        ),
    )


def no_log_sheet() -> Sheet:
    """What stands there for a hub device."""
    return Sheet(
        place=say("Log"),
        title=say("A hub device has no log that can be read here."),
        detail=say(
            "It speaks to the hub alone: what it sends is under Data. Devices that attest keep a "
            "log, and send it where somebody asks for it."
        ),
    )


def _sentence(standing: Mapping[str, Any], now: int) -> str:
    request, answer = standing["request"], standing["answer"]
    if standing["state"] == "waiting":
        return say(
            "Asked {ago} by {asked_by}. The device has not answered yet.",
            ago=_ago(request["asked_at"], now),
            asked_by=request["asked_by"],
        )
    if standing["answers"] is False:
        return say("This device does not answer requests for its log.")
    if standing["state"] == "unanswered":
        return say(
            "Asked {ago} by {asked_by}. The device did not answer in time.",
            ago=_ago(request["asked_at"], now),
            asked_by=request["asked_by"],
        )
    if answer is None:
        return say("Nothing of this device's log is here.")
    return say_count(
        answer["line_count"],
        "{n} line of its log came {ago}.",
        "{n} lines of its log came {ago}.",
        n=grouped(answer["line_count"]),
        ago=_ago(answer["answered_at"], now),
    )


def _detail(standing: Mapping[str, Any]) -> str:
    if standing["answers"] is False:
        return say(
            "Its software is older than such requests, or it is updated through the bridge. A newer one may answer."
        )
    if standing["state"] == "waiting":
        return say("It hears of the request when it checks in; it is asked to do so now. {audited}", audited=_AUDITED)
    return say(
        "Asked, it sends the newest lines of its log when it checks in; they are kept for a week. {audited}",
        audited=_AUDITED,
    )


def _facts(standing: Mapping[str, Any], now: int) -> tuple[tuple[str, Cell], ...]:
    request, answer = standing["request"], standing["answer"]
    facts: tuple[tuple[str, Cell], ...] = ()
    if request is not None:
        facts = (
            (say("Asked"), Cell(at=moment(request["asked_at"], now))),
            (say("Asked by"), text(request["asked_by"])),
            (say("Answered"), text(say("not yet") if standing["state"] == "waiting" else say("no"))),
        )
    if answer is None:
        return facts
    names = _NAMES_OF_NEWEST if request is not None else _NAMES
    return (*facts, *_of_answer(answer, now, names))


def _of_answer(answer: Mapping[str, Any], now: int, names: tuple[str, ...] = _NAMES) -> tuple[tuple[str, Cell], ...]:
    cells = (
        Cell(at=moment(answer["asked_at"], now)),
        text(answer["asked_by"]),
        Cell(at=moment(answer["answered_at"], now)),
        text(grouped(answer["line_count"])),
        text(grouped(answer["left_out"])),
        Cell(at=moment(answer["kept_until"], now)),
    )
    return tuple(zip(names, cells, strict=True))


def _row(line: str) -> tuple[Cell, ...]:
    at, entry = line[:_TIME_CHARACTERS], line[_TIME_CHARACTERS:].strip()
    is_time = len(at) == _TIME_CHARACTERS and at[4] == at[7] == "-" and at[13] == at[16] == ":"
    return (text(at), Cell(text=entry, code=True)) if is_time else (text(""), Cell(text=line, code=True))


def _ago(at: int, now: int) -> str:
    found = moment(at, now)
    return found.relative if found else say("at an unknown time")
