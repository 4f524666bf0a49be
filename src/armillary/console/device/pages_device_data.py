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
from armillary.console.frame.words import counted, moment
from armillary.twin.template.value_names import from_fields
from armillary.wire.hub.credentials import is_attested_id

STATE: Mapping[str, State] = MappingProxyType(
    {
        "unset": State(UNKNOWN, "not set"),
        "reported": State(GOOD, "reported"),
        "pending": State(ATTENTION, "pending"),
        "accepted": State(GOOD, "accepted"),
        "failed": State(BAD, "refused by the device"),
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
    return ("Fleet", "/fleet") if is_attested_id(device_id) else ("Devices", "/hub-devices")


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
    unmodelled = found["unmodelled_telemetry"] if found["template"] else []
    said = f"{label} sends {counted(len(found['telemetry']) + len(found['unmodelled_telemetry']), 'value')}"
    said += (
        f" and has template {found['template']}, version {found['version']}"
        if found["template"]
        else " and has no template"
    )
    said += f"; {counted(len(unmodelled), 'value')} not in it." if unmodelled else "."
    notices = [("attention", "Its template is gone: everything is shown as it came.")] if found["is_missing"] else []
    return Sheet(
        place="Device",
        title=said,
        detail=f"It announced the model {found['announced_model']}." if found["announced_model"] else "",
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


# Names of commands in the first line; the field offers all of them.
SHOWN_COMMANDS: Final = 6


def commands_sheet(
    device_id: str, names: Sequence[str], lines: Sequence[Mapping[str, Any]], *, may_call: bool, now: int
) -> Sheet:
    """The page of its commands: ``lines`` are audit lines of those sent, newest first; ``names`` its template's."""
    known = "No command is known of it."
    if names:
        shown = ", ".join(names[:SHOWN_COMMANDS]) + (", …" if len(names) > SHOWN_COMMANDS else "")
        known = f"Its template has {counted(len(names), 'command')}: {shown}."
    return Sheet(
        place="Commands",
        title=known,
        detail="A command is a direct method: the device answers it while it is connected, or it does not.",
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
            about = Cell(state=State(UNKNOWN, "not in the template"))
        elif each["fault"]:
            about = Cell(state=State(ATTENTION, "does not fit"), reason=each["fault"])
        else:
            about = Cell(state=State(GOOD, "as modelled"))
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
        title="Last values",
        note="choose a name for its raw values",
        columns=("Name", "Value", "Age", "Template"),
        rows=rows,
        none="It has sent nothing yet.",
    )


def _raw(raw: Mapping[str, Any]) -> Section:
    unit = f"in {raw['label']['symbol']}, " if raw["label"]["symbol"] else ""
    rows = [
        (Cell(at=moment(at_ms // 1000, raw["now"])), Cell(text=str(at_ms)), json_cell(value))
        for at_ms, value in raw["items"]
    ]
    return Section(
        title=f"Raw values of {raw['label']['display_name']}",
        note=f"{raw['metric']}, {unit}newest first, at most {RAW_VALUES} of the range; the API gives all of them",
        columns=("When", "Unix milliseconds", "As sent"),
        rows=rows,
        none="Nothing in this range.",
    )


def _properties(found: Mapping[str, Any]) -> Section:
    return Section(
        title="Properties",
        note="wanted, reported, and what the device answered",
        columns=("Property", "Desired", "Reported", "State"),
        rows=property_rows(found),
        none="Its template has none." if found["template"] else "Without a template, what it reports is below.",
    )


def _unmodelled(found: Mapping[str, Any]) -> Section:
    rows = [(sheet.text(name), json_cell(value)) for name, value in sorted(found["unmodelled_properties"].items())]
    return Section(
        title="Reported, and not in the template", columns=("Property", "Reported"), rows=rows, none="Nothing."
    )


def _cloud(found: Mapping[str, Any]) -> Section:
    labels = found["cloud_labels"]
    rows = [
        (named_cell(labels[name]), value_cell(labels[name], value))
        for name, value in sorted(found["cloud_properties"].items())
    ]
    return Section(
        title="Cloud properties",
        note="kept by operators; the device never sees them",
        columns=("Property", "Value"),
        rows=rows,
        none="None is kept.",
    )


def _commands(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    rows = [
        (Cell(at=moment(line["at"], now)), sheet.text(line["detail"].get("method", "")), sheet.text(line["actor"]))
        for line in lines
    ]
    return Section(
        title="Commands sent",
        note="by people and rules, among the newest operations on it",
        columns=("When", "Command", "By"),
        rows=rows,
        none="None.",
    )


def property_rows(found: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    """Properties that a device's template has: wanted, reported, and what the device answered."""
    rows = []
    for each in found["properties"]:
        answer = "" if each["code"] is None else f"answered {each['code']}"
        reason = " ".join(part for part in (answer, each["description"] or "", each["fault"] or "") if part)
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
