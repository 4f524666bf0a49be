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
from armillary.console.frame.words import counted, grouped, moment

# A request is answered within seconds by a device that waits for a hint.
WAITING_EVERY_S: Final = 3
# Lines on the page; all are in the file. Kept below the size of a page that a phone loads at once.
SHOWN_LINES: Final = 300
_TIME_CHARACTERS: Final = len("2026-11-28 19:00:00")
_AUDITED: Final = "Who asks for it and who reads it is in the audit log."


def log_sheet(standing: Mapping[str, Any], errors: Section, now: int, *, may_ask: bool, may_read: bool) -> Sheet:
    """Where the log stands, above what the device reported itself (``errors``)."""
    device_id, answer = standing["device_id"], standing["answer"]
    buttons = []
    if may_ask:
        ask = Button(label="Ask for the log", post=place(device_id, "log", "ask"), primary=answer is None)
        refused = Button(label="Ask for the log", refused=standing["refused"])
        buttons.append(refused if standing["refused"] else ask)
    if may_read and answer is not None:
        buttons.insert(0, Button(label="Read the log", href=place(device_id, "log", "lines"), primary=True))
    is_waiting = standing["state"] == "waiting"
    return Sheet(
        place="Log",
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
        place="Log",
        title=f"{counted(len(lines), 'line')} of its log, as the device sent {'them' if len(lines) != 1 else 'it'}.",
        detail="Nobody verified them. Times are UTC by the device's clock. That you read them is in the audit log.",
        buttons=(
            Button(label="Download", href=place(device_id, "log", "lines.txt")),
            Button(label="Back", href=place(device_id, "log")),
        ),
        facts=_of_answer(found, now),
        sections=(
            Section(
                title="Lines",
                note=f"oldest first; {grouped(older)} older ones are not on this page" if older else "oldest first",
                columns=("Time", "Entry"),
                rows=[_row(line) for line in shown],
                none="The device has written nothing.",
            ),
        ),
    )


def no_log_sheet() -> Sheet:
    """What stands there for a hub device."""
    return Sheet(
        place="Log",
        title="A hub device has no log that can be read here.",
        detail="It speaks to the hub alone: what it sends is under Data. Devices that attest keep a log, and send it "
        "where somebody asks for it.",
    )


def _sentence(standing: Mapping[str, Any], now: int) -> str:
    request, answer = standing["request"], standing["answer"]
    if standing["state"] == "waiting":
        return f"Asked {_ago(request['asked_at'], now)} by {request['asked_by']}. The device has not answered yet."
    if standing["answers"] is False:
        return "This device does not answer requests for its log."
    if standing["state"] == "unanswered":
        return f"Asked {_ago(request['asked_at'], now)} by {request['asked_by']}. The device did not answer in time."
    if answer is None:
        return "Nothing of this device's log is here."
    return f"{counted(answer['line_count'], 'line')} of its log came {_ago(answer['answered_at'], now)}."


def _detail(standing: Mapping[str, Any]) -> str:
    if standing["answers"] is False:
        return "Its software is older than such requests, or it is updated through the bridge. A newer one may answer."
    if standing["state"] == "waiting":
        return f"It hears of the request when it checks in; it is asked to do so now. {_AUDITED}"
    return f"Asked, it sends the newest lines of its log when it checks in; they are kept for a week. {_AUDITED}"


def _facts(standing: Mapping[str, Any], now: int) -> tuple[tuple[str, Cell], ...]:
    request, answer = standing["request"], standing["answer"]
    facts: tuple[tuple[str, Cell], ...] = ()
    if request is not None:
        facts = (
            ("Asked", Cell(at=moment(request["asked_at"], now))),
            ("Asked by", text(request["asked_by"])),
            ("Answered", text("not yet" if standing["state"] == "waiting" else "no")),
        )
    if answer is None:
        return facts
    return (*facts, *_of_answer(answer, now, "newest log: " if request is not None else ""))


def _of_answer(answer: Mapping[str, Any], now: int, which: str = "") -> tuple[tuple[str, Cell], ...]:
    facts = (
        ("asked", Cell(at=moment(answer["asked_at"], now))),
        ("asked by", text(answer["asked_by"])),
        ("came", Cell(at=moment(answer["answered_at"], now))),
        ("lines", text(grouped(answer["line_count"]))),
        ("older lines on the device", text(grouped(answer["left_out"]))),
        ("kept until", Cell(at=moment(answer["kept_until"], now))),
    )
    return tuple((f"{which}{name}".capitalize(), cell) for name, cell in facts)


def _row(line: str) -> tuple[Cell, ...]:
    at, entry = line[:_TIME_CHARACTERS], line[_TIME_CHARACTERS:].strip()
    is_time = len(at) == _TIME_CHARACTERS and at[4] == at[7] == "-" and at[13] == at[16] == ":"
    return (text(at), Cell(text=entry, code=True)) if is_time else (text(""), Cell(text=line, code=True))


def _ago(at: int, now: int) -> str:
    found = moment(at, now)
    return found.relative if found else "at an unknown time"
