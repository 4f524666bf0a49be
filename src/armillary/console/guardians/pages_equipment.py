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
from armillary.console.language.say import apart, say
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.twin.template.value_names import from_fields

LIST: Final = "/guardians"
QUALITY: Final[Mapping[str, State]] = MappingProxyType(
    {
        "good": State(GOOD, say("good")),
        "range": State(ATTENTION, say("out of range")),
        "stale": State(UNKNOWN, say("stale")),
        "bad": State(BAD, say("bad")),
        "last-known": State(UNKNOWN, say("last known")),
    }
)
OUTCOME: Final[Mapping[str, State]] = MappingProxyType(
    {
        "done": State(GOOD, say("done")),
        "refused": State(ATTENTION, say("refused by the guard")),
        "differs": State(BAD, say("something else stands")),
        "failed": State(BAD, say("failed")),
    }
)
# What a guardian answers a command with (docs/concepts/guardian.md).
LINKS: Final[Mapping[str, str]] = MappingProxyType({"up": say("up"), "down": say("down"), "unknown": say("unknown")})
ANSWERS: Final[Mapping[int, State]] = MappingProxyType(
    {
        200: State(GOOD, say("done")),
        403: State(ATTENTION, say("refused by the guard")),
        409: State(BAD, say("something else stands")),
        504: State(BAD, say("the equipment did not answer")),
    }
)
# What an alarm tells beside its name and state; two of it are measured as the point is that it is about.
ALARM_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "severity": say("severity"),
        "point": say("point"),
        "value": say("value"),
        "limit": say("limit"),
        "position": say("position"),
    }
)
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
    return (
        (say("Guardians"), LIST),
        (name, place(found["device_id"])),
        (equipment, place(found["device_id"], equipment)),
    )


def sentence_of(chosen: Mapping[str, Any], now: int) -> str:
    """What it is, and whether its guardian reaches it."""
    profile = (
        say("{name}, version {version}", name=chosen["profile"], version=chosen["version"])
        if chosen["profile"]
        else say("no profile told")
    )
    kind = say("simulated equipment") if chosen["simulated"] else say("equipment")
    said = say(
        "{name}: {kind} by {profile}; link {link}",
        name=chosen["name"],
        kind=kind,
        profile=profile,
        link=LINKS.get(chosen["link"], chosen["link"]),
    )
    seen = moment(chosen["last_seen_ms"] // 1000, now) if chosen["last_seen_ms"] else None
    return say("{said}, heard of {seen}.", said=said, seen=seen.relative) if seen else say("{said}.", said=said)


def notices(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What needs to be known before the values are read."""
    if not chosen["registered"]:
        yield (
            "attention",
            say("It is not registered here: its values and commands come once it is (guardian equipment add)."),
        )
    if chosen["problem"]:
        yield "bad", say("Its guardian does not serve it: {problem}", problem=chosen["problem"])
    elif chosen["link"] == "down":
        yield "bad", say("Its guardian does not reach it: values are the last known.")
    elif chosen["registered"] and not chosen["connected"]:
        yield "attention", say("It is not connected to the hub: values are the last known.")
    alarm = {
        each["name"].partition(".")[2]: each["value"] for each in chosen["events"] if each["name"].startswith("alarm.")
    }
    if alarm.get("state") == "raised":
        symbol = next((each["label"]["symbol"] for each in chosen["points"] if each["name"] == alarm.get("point")), "")
        told = [
            apart([said, value_text(alarm[word], symbol if word in AS_THE_POINT else "")], " ")
            for word, said in ALARM_PARTS.items()
            if word in alarm
        ]
        name = alarm.get("name", "")
        yield (
            "bad",
            say("Alarm {name} is raised: {told}.", name=name, told=apart(told))
            if told
            else say("Alarm {name} is raised.", name=name),
        )


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
            title=say("Points"),
            note=say("the last good value of each, and what its guardian says of it now"),
            columns=(say("Point"), say("Value"), say("Quality"), say("Age")),
            rows=points,
            none=say("It has sent nothing yet."),
            anchor="points",
        ),
        *_events(chosen, now),
        Section(
            title=say("Attempts"),
            note=say(
                "newest first; refused since its start: {counts}", counts=_counts(chosen["refused"]) or say("none")
            ),
            columns=(say("When"), say("Command"), say("Value"), say("Outcome"), say("By")),
            rows=[_attempt(each, symbols.get(each["command"], ""), now) for each in reversed(chosen["attempts"])],
            none=say("None that the guardian still tells of."),
            anchor="attempts",
        ),
        *((_sent(lines, now),) if lines else ()),
        Section(
            title=say("Link"),
            note=say("exchanges since the guardian started"),
            columns=(say("Counter"), say("Count")),
            rows=[
                (sheet.text(name.replace("_", " ")), sheet.number(grouped(count)))
                for name, count in chosen["counters"].items()
            ],
            none=say("Its guardian has told no counters."),
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
    hint = (
        say("The guard allows: {bounds}.", bounds=command["bounds"])
        if command["bounds"]
        else say("The guard decides by the profile.")
    )
    return Form(
        post=place(device_id, equipment["name"], command["name"], "review"),
        label=say("Review: {display_name}", display_name=command["display_name"]),
        title=command["display_name"],
        about=say("command of {name}", name=equipment["name"]) if command["value"] else hint,
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
    guard = command["bounds"] or say("what its profile says")
    return Confirmation(
        title=say("{label} of {name}: {given}?", label=label, name=name, given=given)
        if given
        else say("{label} of {name}?", label=label, name=name),
        touches=(
            *touching(
                say("{name}, a piece of equipment behind {guardian}.", name=name, guardian=crumbs(found, name)[1][0]),
                say(
                    "Asks the guardian for {command} with {given}, once, within a minute.",
                    command=command["name"],
                    given=given,
                )
                if given
                else say("Asks the guardian for {command}, once, within a minute.", command=command["name"]),
                say("Every other value of the equipment, and all other equipment."),
                say("Cannot be undone; another value can be sent."),
            ),
            (
                say("Guard"),
                say("Allows {guard}. What it refuses does not reach the equipment, and is recorded.", guard=guard),
            ),
        ),
        label=say("Send: {label}", label=label),
        post=place(found["device_id"], name, command["name"], "send"),
        back=place(found["device_id"], name),
        hidden=(("value", json_text(value) if isinstance(value, bool) else str(value)),) if value is not None else (),
    )


def answered(command: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a guardian answered, as a line of the page."""
    payload = answer["payload"] if isinstance(answer["payload"], Mapping) else {}
    state = ANSWERS.get(answer["status"], State(BAD, say("answered {status}", status=answer["status"])))
    if answer["status"] == 200:
        stands = (
            ""
            if payload.get("value") is None
            else say(
                "{name} is {value}",
                name=command["display_name"],
                value=value_text(payload["value"], command["symbol"]),
            )
        )
        verified = say("read back") if payload.get("verified") is True else ""
        said = apart([part for part in (stands, verified) if part])
    else:
        words = (
            say("rule {rule}", rule=payload["rule"]) if payload.get("rule") else "",
            payload.get("error"),
            payload.get("remedy"),
        )
        said = apart([word if isinstance(word, str) else str(word) for word in words if word], ": ")
    return {"state": {"kind": state.kind, "word": state.word}, "said": said}


def no_answer(error: ArmillaryError) -> dict[str, Any]:
    """The line where nobody answered."""
    return {"state": {"kind": BAD, "word": say("no answer")}, "said": f"{error.message}. {error.remedy}"}


def _value_field(command: Mapping[str, Any], value: str, hint: str) -> Field:
    kind = command["value"]
    if kind == "boolean":
        return Field(
            name="value", label=say("Value"), kind="select", value=value, choices=choices(tuple(TRUTHS)), hint=hint
        )
    if kind in NUMBERS:
        step = 1 if kind in WHOLE else "any"
        return Field(
            name="value",
            label=say("Value"),
            kind="number",
            value=value,
            limits=limits(step=step),
            hint=hint,
            required=True,
        )
    return Field(name="value", label=say("Value"), value=value, limits=limits(maxlength=MAX_VALUE_CHARS), hint=hint)


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
    note = say("what each captured when it ended last")
    return (
        Section(
            title=say("Events"),
            note=note,
            columns=(say("Captured"), say("Value"), say("Age")),
            rows=rows,
            none="",
            anchor="events",
        ),
    )


def _sent(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title=say("Commands sent"),
        note=say("by people and jobs, of the audit log; what became of each is an attempt"),
        columns=(say("When"), say("Command"), say("By")),
        rows=[
            (Cell(at=moment(each["at"], now)), sheet.text(each["detail"].get("method", "")), sheet.text(each["actor"]))
            for each in lines
        ],
        none="",
        anchor="sent",
    )


def _attempt(found: Mapping[str, Any], symbol: str, now: int) -> tuple[Cell, ...]:
    rule = say("rule {rule}", rule=found["rule"]) if found["rule"] else ""
    return (
        Cell(at=None if found["at"] is None else moment(int(found["at"]), now), text=say("unknown")),
        sheet.text(found["command"]),
        sheet.text("" if found["value"] is None else value_text(found["value"], symbol)),
        Cell(state=state_of(OUTCOME, found["outcome"]), reason=rule),
        sheet.text(found["by"] or say("not told")),
    )


def _counts(found: Mapping[str, int]) -> str:
    return apart(
        [say("{count} by the rule {rule}", count=grouped(count), rule=rule) for rule, count in found.items() if count]
    )
