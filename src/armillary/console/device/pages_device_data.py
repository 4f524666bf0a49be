# SPDX-License-Identifier: Apache-2.0
"""The data page as a sheet: values that the template has and others, raw values, properties, commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame import sheet
from armillary.console.frame.sheet import SEEN_EVERY_S, Cell, Section, Sheet, json_cell
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.values import said_text
from armillary.console.frame.words import counted, grouped, moment
from armillary.console.language.say import apart, say, say_count
from armillary.twin.template.value_names import from_fields
from armillary.wire.hub.credentials import is_attested_id

STATE: Mapping[str, State] = MappingProxyType(
    {
        "unset": State(UNKNOWN, say("not set")),
        "reported": State(GOOD, say("reported")),
        "pending": State(ATTENTION, say("pending")),
        "accepted": State(GOOD, say("accepted")),
        "failed": State(BAD, say("refused by the device")),
    }
)
# Raw values of one name that the page shows, newest first.
RAW_VALUES = 30


def place(device_id: str, *more: str) -> str:
    """A path below a device, one that attests or a hub device."""
    root = "/devices" if is_attested_id(device_id) else "/hub-devices"
    return "/".join([root, *(quote(each, safe="") for each in (device_id, *more))])


def root_crumb(device_id: str) -> tuple[str, str]:
    """The list that a device stands in."""
    return (say("Fleet"), "/fleet") if is_attested_id(device_id) else (say("Devices"), "/hub-devices")


def data_sheet(
    found: Mapping[str, Any],
    label: str,
    raw: Mapping[str, Any] | None,
    *,
    now: int,
) -> Sheet:
    """The page of a device as its template sees it (``views_template.device``).

    ``raw`` are raw values of one name.
    """
    device_id = found["device_id"]
    notices = (
        [("attention", say("Its template is gone: everything is shown as it came."))] if found["is_missing"] else []
    )
    return Sheet(
        place=say("Device"),
        title=_sentence(found, label),
        detail=say("It announced the model {announced_model}.", announced_model=found["announced_model"])
        if found["announced_model"]
        else "",
        notices=tuple(notices),
        sections=(
            _telemetry(found, device_id, now),
            *((_raw(raw),) if raw else ()),
            _properties(found),
            _unmodelled(found),
            _cloud(found),
        ),
        every_s=SEEN_EVERY_S,
    )


def _sentence(found: Mapping[str, Any], label: str) -> str:
    others = len(found["unmodelled_telemetry"])
    count = len(found["telemetry"]) + others
    values = counted(count, "value")
    if not found["template"]:
        return say("{label} sends {values} and has no template.", label=label, values=values)
    said = say(
        "{label} sends {values} and has template {template}, version {version}",
        label=label,
        values=values,
        template=found["template"],
        version=found["version"],
    )
    if not others:
        return say("{said}.", said=said)
    return say_count(
        others, "{said}; {n} value not in it.", "{said}; {n} values not in it.", said=said, n=grouped(others)
    )


# Names of commands in the first line; the field offers all of them.
SHOWN_COMMANDS: Final = 6


def commands_sheet(
    device_id: str, names: Sequence[str], lines: Sequence[Mapping[str, Any]], *, may_call: bool, now: int
) -> Sheet:
    """The page of its commands: ``lines`` are audit lines of those sent, newest first; ``names`` its template's."""
    known = say("No command is known of it.")
    if names:
        shown = ", ".join(names[:SHOWN_COMMANDS]) + (", …" if len(names) > SHOWN_COMMANDS else "")
        known = say(
            "Its template has {commands}: {shown}.",
            commands=counted(len(names), "command"),
            shown=shown,
        )
    return Sheet(
        place=say("Commands"),
        title=known,
        detail=say("A command is a direct method: the device answers it while it is connected, or it does not."),
        call={"post": place(device_id, "command"), "names": tuple(names)} if may_call else None,
        sections=(_commands(lines, now),),
    )


def _telemetry(found: Mapping[str, Any], device_id: str, now: int) -> Section:
    every = [(each, True) for each in found["telemetry"]] + [(each, False) for each in found["unmodelled_telemetry"]]
    has_template = bool(found["template"])
    rows = []
    for each, modelled in sorted(
        every, key=lambda pair: (str(pair[0]["label"]["display_name"]).lower(), pair[0]["name"])
    ):
        shown = from_fields(each["label"])
        if not has_template:
            about = Cell()
        elif not modelled:
            about = Cell(state=State(UNKNOWN, say("not in the template")))
        elif each["fault"]:
            about = Cell(state=State(ATTENTION, say("does not fit")), reason=each["fault"])
        else:
            about = Cell(state=State(GOOD, say("as modelled")))
        href = f"{place(device_id, 'data')}?name={quote(each['name'])}#raw"
        rows.append(
            (
                named_cell(each["label"], href=href),
                Cell(text=said_text(each["value"], shown, shown.symbol), number=True),
                Cell(at=moment(each["at_ms"] // 1000, now)),
                about,
            )
        )
    return Section(
        title=say("Last values"),
        note=say("choose a name for its raw values"),
        columns=(say("Name"), say("Value"), say("Age"), say("Template")),
        rows=rows,
        none=say("It has sent nothing yet."),
    )


def _raw(raw: Mapping[str, Any]) -> Section:
    symbol = raw["label"]["symbol"]
    what = say("{metric}, in {symbol}", metric=raw["metric"], symbol=symbol) if symbol else raw["metric"]
    rows = [
        (Cell(at=moment(at_ms // 1000, raw["now"])), Cell(text=str(at_ms)), json_cell(value))
        for at_ms, value in raw["items"]
    ]
    return Section(
        title=say("Raw values of {display_name}", display_name=raw["label"]["display_name"]),
        note=say(
            "{what}, newest first, at most {count} of the range; the API gives all of them",
            what=what,
            count=RAW_VALUES,
        ),
        columns=(say("When"), say("Unix milliseconds"), say("As sent")),
        rows=rows,
        none=say("Nothing in this range."),
    )


def _properties(found: Mapping[str, Any]) -> Section:
    return Section(
        title=say("Properties"),
        note=say("wanted, reported, and what the device answered"),
        columns=(say("Property"), say("Desired"), say("Reported"), say("State")),
        rows=property_rows(found),
        none=say("Its template has none.")
        if found["template"]
        else say("Without a template, what it reports is below."),
    )


def _unmodelled(found: Mapping[str, Any]) -> Section:
    rows = [(sheet.text(name), json_cell(value)) for name, value in sorted(found["unmodelled_properties"].items())]
    return Section(
        title=say("Reported, and not in the template"),
        columns=(say("Property"), say("Reported")),
        rows=rows,
        none=say("Nothing."),
    )


def _cloud(found: Mapping[str, Any]) -> Section:
    labels = found["cloud_labels"]
    rows = [
        (named_cell(labels[name]), value_cell(labels[name], value))
        for name, value in sorted(found["cloud_properties"].items())
    ]
    return Section(
        title=say("Cloud properties"),
        note=say("kept by operators; the device never sees them"),
        columns=(say("Property"), say("Value")),
        rows=rows,
        none=say("None is kept."),
    )


def _commands(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    rows = [
        (Cell(at=moment(line["at"], now)), sheet.text(line["detail"].get("method", "")), sheet.text(line["actor"]))
        for line in lines
    ]
    return Section(
        title=say("Commands sent"),
        note=say("by people and rules, among the newest operations on it"),
        columns=(say("When"), say("Command"), say("By")),
        rows=rows,
        none=say("None."),
    )


def property_rows(found: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    """Properties that a device's template has: wanted, reported, and what the device answered."""
    rows = []
    for each in found["properties"]:
        answer = "" if each["code"] is None else say("answered {code}", code=each["code"])
        found_wrong = " ".join(part for part in (each["description"], each["fault"]) if part)
        reason = apart([answer, found_wrong], " ") if answer and found_wrong else answer or found_wrong
        sides = (value_cell(each["label"], each[side]) for side in ("desired", "reported"))
        rows.append((named_cell(each["label"]), *sides, sheet.state(STATE, each["state"], reason)))
    return rows


def named_cell(label: Mapping[str, Any], *, href: str = "") -> Cell:
    """What a value is called, with its machine name below where that is another."""
    return sheet.named(label["name"].removeprefix("cloud."), label["display_name"], href=href)


def value_cell(label: Mapping[str, Any], value: Any) -> Cell:
    """A value as people read it, with its unit or in its enum's word; what has parts as JSON."""
    if value is None or isinstance(value, (Mapping, list)):
        return json_cell(value)
    name = from_fields(label)
    return sheet.text(said_text(value, name, name.symbol))
