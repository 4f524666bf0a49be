# SPDX-License-Identifier: Apache-2.0
"""One piece of equipment: its points with quality and age, link counters, attempts, and forms of its commands. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.device.pages_device_data import named_cell
from armillary.console.frame import sheet
from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, limits
from armillary.console.frame.sheet import Cell, Section
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State, state_of
from armillary.console.frame.values import json_text, said_text, value_text
from armillary.console.frame.words import grouped, moment
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.twin.template.value_names import from_fields

LIST: Final = "/guardians"
QUALITY: Final[Mapping[str, State]] = MappingProxyType(
    {
        "good": State(GOOD, "good"),
        "range": State(ATTENTION, "out of range"),
        "stale": State(UNKNOWN, "stale"),
        "bad": State(BAD, "bad"),
        "last-known": State(UNKNOWN, "last known"),
    }
)
OUTCOME: Final[Mapping[str, State]] = MappingProxyType(
    {
        "done": State(GOOD, "done"),
        "refused": State(ATTENTION, "refused by the guard"),
        "differs": State(BAD, "something else stands"),
        "failed": State(BAD, "failed"),
    }
)
# What a guardian answers a command with (docs/concepts/guardian.md).
ANSWERS: Final[Mapping[int, State]] = MappingProxyType(
    {
        200: State(GOOD, "done"),
        403: State(ATTENTION, "refused by the guard"),
        409: State(BAD, "something else stands"),
        504: State(BAD, "the equipment did not answer"),
    }
)
# What an alarm tells beside its name and state; two of it are measured as the point is that it is about.
ALARM_PARTS: Final = ("severity", "point", "value", "limit", "position")
AS_THE_POINT: Final = ("value", "limit")
# What is told of alarms and commands has a place of its own, beside what events captured.
OWN_PLACE: Final = ("alarm.", "attempt.")
NUMBERS: Final = ("double", "float", "integer", "long")
WHOLE: Final = ("integer", "long")
TRUTHS: Final[Mapping[str, bool]] = MappingProxyType({"true": True, "false": False})
MAX_VALUE_CHARS: Final = 64

# What a command takes; None for nothing.
Value = float | bool | str | None


def place(device_id: str, equipment: str = "", *more: str) -> str:
    """The address of a guardian, of one piece of its equipment there, or of what is below that."""
    root = f"{LIST}/{quote(device_id, safe='')}"
    if more:
        return "/".join([root, *(quote(each, safe="") for each in (equipment, *more))])
    return f"{root}?{urlencode({'equipment': equipment})}" if equipment else root


def crumbs(found: Mapping[str, Any], equipment: str) -> tuple[tuple[str, str], ...]:
    """The way to a piece of equipment."""
    name = str(found.get("name") or found["device_id"][:12])
    return (("Guardians", LIST), (name, place(found["device_id"])), (equipment, place(found["device_id"], equipment)))


def sentence_of(chosen: Mapping[str, Any], now: int) -> str:
    """What it is, and whether its guardian reaches it."""
    profile = f"{chosen['profile']}, version {chosen['version']}" if chosen["profile"] else "no profile told"
    kind = "simulated equipment" if chosen["simulated"] else "equipment"
    said = f"{chosen['name']}: {kind} by {profile}; link {chosen['link']}"
    seen = moment(chosen["last_seen_ms"] // 1000, now) if chosen["last_seen_ms"] else None
    return f"{said}, heard of {seen.relative}." if seen else f"{said}."


def notices(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What needs to be known before the values are read."""
    if not chosen["registered"]:
        yield (
            "attention",
            "It is not registered here: its values and commands come once it is (guardian equipment add).",
        )
    if chosen["problem"]:
        yield "bad", f"Its guardian does not serve it: {chosen['problem']}"
    elif chosen["link"] == "down":
        yield "bad", "Its guardian does not reach it: values are the last known."
    elif chosen["registered"] and not chosen["connected"]:
        yield "attention", "It is not connected to the hub: values are the last known."
    alarm = {
        each["name"].partition(".")[2]: each["value"] for each in chosen["events"] if each["name"].startswith("alarm.")
    }
    if alarm.get("state") == "raised":
        symbol = next((each["label"]["symbol"] for each in chosen["points"] if each["name"] == alarm.get("point")), "")
        told = [
            f"{word} {value_text(alarm[word], symbol if word in AS_THE_POINT else '')}"
            for word in ALARM_PARTS
            if word in alarm
        ]
        yield "bad", f"Alarm {alarm.get('name', '')} is raised{': ' if told else ''}{', '.join(told)}."


def sections(chosen: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], now: int) -> tuple[Section, ...]:
    """Points; attempts as its guardian tells them, and commands as the audit log has them; link."""
    points = [
        (
            named_cell(each["label"]),
            Cell(text=_value(each), number=True),
            sheet.state(QUALITY, each["quality"]),
            Cell(at=moment(each["at_ms"] // 1000, now)),
        )
        for each in chosen["points"]
    ]
    symbols = {each["name"]: each["symbol"] for each in chosen["commands"]}
    return (
        Section(
            title="Points",
            note="the last good value of each, and what its guardian says of it now",
            columns=("Point", "Value", "Quality", "Age"),
            rows=points,
            none="It has sent nothing yet.",
            anchor="points",
        ),
        *_events(chosen, now),
        Section(
            title="Attempts",
            note=f"newest first; refused since its start: {_counts(chosen['refused']) or 'none'}",
            columns=("When", "Command", "Value", "Outcome", "By"),
            rows=[_attempt(each, symbols.get(each["command"], ""), now) for each in reversed(chosen["attempts"])],
            none="None that the guardian still tells of.",
            anchor="attempts",
        ),
        *((_sent(lines, now),) if lines else ()),
        Section(
            title="Link",
            note="exchanges since the guardian started",
            columns=("Counter", "Count"),
            rows=[
                (sheet.text(name.replace("_", " ")), sheet.number(grouped(count)))
                for name, count in chosen["counters"].items()
            ],
            none="Its guardian has told no counters.",
            anchor="link",
        ),
    )


def command_form(
    device_id: str,
    equipment: Mapping[str, Any],
    command: Mapping[str, Any],
    *,
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: Wrong | None = None,
) -> Form:
    """The form of one command, with what the guard demands of it below."""
    hint = f"The guard allows: {command['bounds']}." if command["bounds"] else "The guard decides by the profile."
    return Form(
        post=place(device_id, equipment["name"], command["name"], "review"),
        label=f"Review: {command['display_name']}",
        title=command["display_name"],
        about=f"command of {equipment['name']}" if command["value"] else hint,
        fields=(_value_field(command, sent.get("value", ""), hint),) if command["value"] else (),
        error=wrong,
        anchor=f"command-{command['name']}",
    )


def value_of(command: Mapping[str, Any], text: str) -> Value:
    """What was typed, as the command takes it; None where it takes nothing.

    Raises:
        InvalidArgumentError: it is no value of that kind.
    """
    kind, typed = command["value"], text.strip()[:MAX_VALUE_CHARS]
    if not kind:
        return None
    if kind == "boolean":
        if typed not in TRUTHS:
            raise InvalidArgumentError("value: expected true or false", remedy="Choose one.")
        return TRUTHS[typed]
    if kind not in NUMBERS:
        return typed
    try:
        number = int(typed) if kind in WHOLE else float(typed)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        wanted = "a whole number" if kind in WHOLE else "a number"
        raise InvalidArgumentError(
            f"value: expected {wanted}, got {typed!r}", remedy="Type it in the unit that is named."
        )
    return number


def question(
    found: Mapping[str, Any], equipment: Mapping[str, Any], command: Mapping[str, Any], value: Value
) -> Confirmation:
    """What the page says before a command is sent."""
    name, label = equipment["name"], command["display_name"]
    given = "" if value is None else value_text(value, command["symbol"])
    guard = command["bounds"] or "what its profile says"
    return Confirmation(
        title=f"{label} of {name}: {given}?" if given else f"{label} of {name}?",
        touches=(
            *touching(
                f"{name}, a piece of equipment behind {crumbs(found, name)[1][0]}.",
                f"Asks the guardian for {command['name']}{f' with {given}' if given else ''}, once, within a minute.",
                "Every other value of the equipment, and all other equipment.",
                "Cannot be undone; another value can be sent.",
            ),
            ("Guard", f"Allows {guard}. What it refuses does not reach the equipment, and is recorded."),
        ),
        label=f"Send: {label}",
        post=place(found["device_id"], name, command["name"], "send"),
        back=place(found["device_id"], name),
        hidden=(("value", json_text(value) if isinstance(value, bool) else str(value)),) if value is not None else (),
    )


def answered(command: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a guardian answered, as a line of the page."""
    payload = answer["payload"] if isinstance(answer["payload"], Mapping) else {}
    state = ANSWERS.get(answer["status"], State(BAD, f"answered {answer['status']}"))
    if answer["status"] == 200:
        stands = (
            ""
            if payload.get("value") is None
            else f"{command['display_name']} is {value_text(payload['value'], command['symbol'])}"
        )
        said = ", ".join(part for part in (stands, "read back" if payload.get("verified") is True else "") if part)
    else:
        words = (f"rule {payload['rule']}" if payload.get("rule") else "", payload.get("error"), payload.get("remedy"))
        said = ": ".join(str(word) for word in words if word)
    return {"state": {"kind": state.kind, "word": state.word}, "said": said}


def no_answer(error: ArmillaryError) -> dict[str, Any]:
    """The line where nobody answered."""
    return {"state": {"kind": BAD, "word": "no answer"}, "said": f"{error.message}. {error.remedy}"}


def _value_field(command: Mapping[str, Any], value: str, hint: str) -> Field:
    kind = command["value"]
    if kind == "boolean":
        return Field(name="value", label="Value", kind="select", value=value, choices=choices(tuple(TRUTHS)), hint=hint)
    if kind in NUMBERS:
        step = 1 if kind in WHOLE else "any"
        return Field(
            name="value", label="Value", kind="number", value=value, limits=limits(step=step), hint=hint, required=True
        )
    return Field(name="value", label="Value", value=value, limits=limits(maxlength=MAX_VALUE_CHARS), hint=hint)


def _value(point: Mapping[str, Any]) -> str:
    name = from_fields(point["label"])
    return said_text(point["value"], name, name.symbol) if point["value"] != "" else "none"  # of bits that may be set


def _events(chosen: Mapping[str, Any], now: int) -> tuple[Section, ...]:
    """What events captured when they ended last; nothing where none has."""
    rows = [
        (named_cell(each["label"]), Cell(text=_value(each), number=True), Cell(at=moment(each["at_ms"] // 1000, now)))
        for each in chosen["events"]
        if not each["name"].startswith(OWN_PLACE)
    ]
    if not rows:
        return ()
    note = "what each captured when it ended last"
    return (
        Section(title="Events", note=note, columns=("Captured", "Value", "Age"), rows=rows, none="", anchor="events"),
    )


def _sent(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title="Commands sent",
        note="by people and jobs, of the audit log; what became of each is an attempt",
        columns=("When", "Command", "By"),
        rows=[
            (Cell(at=moment(each["at"], now)), sheet.text(each["detail"].get("method", "")), sheet.text(each["actor"]))
            for each in lines
        ],
        none="",
        anchor="sent",
    )


def _attempt(found: Mapping[str, Any], symbol: str, now: int) -> tuple[Cell, ...]:
    rule = f"rule {found['rule']}" if found["rule"] else ""
    return (
        Cell(at=None if found["at"] is None else moment(int(found["at"]), now), text="unknown"),
        sheet.text(found["command"]),
        sheet.text("" if found["value"] is None else value_text(found["value"], symbol)),
        Cell(state=state_of(OUTCOME, found["outcome"]), reason=rule),
        sheet.text(found["by"] or "not told"),
    )


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(count)} by the rule {rule}" for rule, count in found.items() if count)
