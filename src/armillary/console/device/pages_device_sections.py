# SPDX-License-Identifier: Apache-2.0
"""What the tabs of a device show, as sections of tables: appraisal, software, containment, reports, history. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.device import pages_device
from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_hub import ValueLine
from armillary.console.frame import sheet
from armillary.console.frame.sheet import Cell, Section
from armillary.console.frame.states import ATTENTION, BAD, GOOD, SEVERITY, UNKNOWN, State
from armillary.console.frame.words import Moment, counted, grouped, moment, sentence, size
from armillary.console.language.say import say
from armillary.twin.template.value_names import ValueName

# What an application is granted (capability/holdings.py), in words.
GRANTED: Final[Mapping[str, str]] = {
    "image": say("its image, read-only"),
    "files": say("no files of the host but programs"),
    "user": say("a user of its own"),
    "system-calls": say("the system calls on the list"),
    "connections": say("connections to hosts"),
    "server-ports": say("server ports"),
    "device-methods": say("what it may have the device do"),
    "storage": say("mutable storage"),
    "temporary-files": say("temporary files"),
    "devices": say("devices"),
    "memory": say("memory, all processes together"),
    "processes": say("processes and threads together"),
    "processors": say("processors, all processes together"),
    "each-process": say("memory and descriptors of each process"),
}
# What a device says of its modem (wire/device/cellular_status.py), in words.
CELLULAR: Final[Mapping[str, State]] = {
    "connected": State(GOOD, say("the data session is up")),
    "off": State(UNKNOWN, say("switched off")),
    "no-modem": State(BAD, say("no modem answers")),
    "sim-missing": State(BAD, say("there is no SIM in the modem")),
    "sim-failed": State(BAD, say("the SIM does not work")),
    "pin-needed": State(BAD, say("the SIM wants its PIN, and none is set")),
    "pin-refused": State(BAD, say("the SIM refused the PIN")),
    "puk-needed": State(BAD, say("the SIM is blocked")),
    "searching": State(ATTENTION, say("looking for a network")),
    "denied": State(BAD, say("the network refuses the SIM")),
    "roaming-refused": State(ATTENTION, say("only a foreign network is there, and roaming is off")),
    "lost": State(ATTENTION, say("the data session was lost")),
}
_SIM: Final[Mapping[str, str]] = {
    "ready": say("ready"),
    "pin": say("wants its PIN"),
    "puk": say("blocked"),
    "missing": say("missing"),
    "failed": say("failed"),
}
_NETWORK: Final[Mapping[str, str]] = {
    "home": say("its own operator's"),
    "roaming": say("roaming"),
    "searching": say("searching"),
    "denied": say("refused"),
    "idle": say("not searching"),
}
_TECHNOLOGY: Final[Mapping[str, str]] = {
    "gsm": "GSM", "umts": "UMTS", "lte": "LTE", "lte-m": "LTE-M", "nb-iot": "NB-IoT", "5g": "5G",
}  # fmt: skip
# A device says it right after a check-in: what is older than the last one by so much is of a modem that is gone.
CELLULAR_AFTER_S: Final = 15 * 60
# Values of the overview; the tab of live values has all.
FEW_VALUES = 8


def facts(found: Sequence[pages_device.Fact]) -> tuple[tuple[str, Cell], ...]:
    """Named values of the overview."""
    return tuple((fact.name, Cell(text=fact.text, at=fact.at, ident=fact.id, reason=fact.note)) for fact in found)


def values(lines: Sequence[ValueLine], device_id: str) -> Section:
    """The last values in short; each leads to its chart."""
    rows = [
        (
            sheet.text(line.label, href=f"{place(device_id, 'values')}?{urlencode({'metric': line.metric})}")
            if line.chartable
            else sheet.text(line.label),
            Cell(text=line.text, number=True),
            Cell(at=line.at)
            if not line.stale
            else Cell(state=State(ATTENTION, say("stale, {ago}", ago=_ago(line.at)))),
        )
        for line in lines[:FEW_VALUES]
    ]
    more = len(lines) - len(rows)
    return Section(
        title=say("Last values"),
        note=counted(more, "more value under Live values", "more values under Live values") if more else "",
        columns=(say("Value"), say("Last"), say("Age")),
        rows=rows,
        none=say("It has sent nothing yet."),
        anchor="values",
    )


def cellular(said: Mapping[str, Any], device: Mapping[str, Any], now: int) -> Section:
    """What it said of its modem; what is old is drawn as unknown."""
    last, at = device["last_check_in_at"], moment(said["at"], now)
    is_old = device["health"] == "silent" or (last is not None and last - said["at"] > CELLULAR_AFTER_S)
    now_is = CELLULAR.get(said["state"], State(UNKNOWN, say("not known to this console")))
    network = [said["operator"], _TECHNOLOGY.get(said["technology"], ""), _NETWORK.get(said["registration"], "")]
    signal = say("not known") if said["signal_dbm"] is None else f"{said['signal_dbm']} dBm"
    data = say("{received} received, {sent} sent", received=size(said["bytes_received"]), sent=size(said["bytes_sent"]))
    rows = [
        (sheet.text(say("Data session")), Cell(state=State(UNKNOWN, now_is.word) if is_old else now_is)),
        (sheet.text(say("SIM")), sheet.text(_SIM.get(said["sim"], say("not known")))),
        (sheet.text(say("Network")), sheet.text(", ".join(filter(None, network)) or say("in no network"))),
        (sheet.text(say("Signal")), Cell(text=signal, number=True)),
        (sheet.text(say("Sessions since it started")), Cell(text=grouped(said["sessions"]), number=True)),
        (sheet.text(say("Data")), sheet.text(data)),
    ]
    note = say("as the device said {ago}", ago=_ago(at))
    return Section(
        title=say("Cellular"),
        note=note,
        columns=(say("What"), say("State")),
        rows=rows,
        none=say("It has said nothing."),
        anchor="cellular",
    )


def findings(found: Sequence[Mapping[str, Any]]) -> Section:
    """Open findings about it."""
    rows = [
        (sheet.text(each["title"], href=f"/findings#f-{each['finding_id']}"), sheet.state(SEVERITY, each["severity"]))
        for each in found
    ]
    title = counted(len(rows), "open finding about this device", "open findings about this device")
    return Section(title=title, columns=(say("Finding"), say("Severity")), rows=rows, none=say("None."))


def appraisal(found: Sequence[pages_device.StepLine], at: Moment | None, without: tuple[str, str]) -> Section:
    """The steps of the last check-in that was appraised; ``without`` is what is said where there is none."""
    rows = [
        (
            Cell(text=say("{number}. {name}", number=step.number, name=step.name), reason=step.detail),
            Cell(state=step.result),
            sheet.text(step.prevents),
        )
        for step in found
    ]
    note = say("of the check-in {at}", at=at.relative) if at else without[0]
    columns = (say("Step"), say("Result"), say("Prevents"))
    return Section(
        title=say("Attestation checks"), note=note, columns=columns, rows=rows, none=without[1], anchor="trust"
    )


def applications(found: Sequence[pages_device.ApplicationLine], note: str) -> Section:
    """What is installed."""
    rows = [
        (
            sheet.text(line.name),
            Cell(state=line.state),
            Cell(at=line.built) if line.built else sheet.text(say("not known")),
            Cell(text=line.size, number=True),
            sheet.text(line.connections),
            Cell(ident=line.image),
            Cell(ident=line.component),
        )
        for line in found
    ]
    return Section(
        title=say("Applications"),
        note=note,
        columns=(
            say("Name"),
            say("State"),
            say("Built"),
            say("Size"),
            say("May connect to"),
            say("Image"),
            say("Component"),
        ),
        rows=rows,
        none=say("No application was reported. Deploy one to its group: armillary deployment create"),
    )


def components(found: Sequence[pages_device.ComponentLine], os_version: str, *, sees_releases: bool) -> Section:
    """What it booted, where that equals a release."""
    rows = [
        (
            sheet.text(line.name),
            Cell(text=f"{line.security_version}", number=True),
            Cell(text=line.size, number=True),
            Cell(ident=line.digest),
            Cell(ident=line.image),
        )
        for line in found
    ]
    note = say("matched to no known release")
    if found:
        note = say("measured, and equal to OS release {os_version}", os_version=os_version)
    elif os_version and not sees_releases:
        note = say("matched to OS release {os_version}, which you may not see", os_version=os_version)
    return Section(
        title=say("Boot components"),
        note=note,
        columns=(say("Component"), say("Security version"), say("Size"), say("SHA-256"), say("Image")),
        rows=rows,
        none=say("What it booted is not known to equal any release of this service."),
    )


def containment(found: Sequence[pages_device.MechanismLine]) -> Section:
    """What contains applications on this host."""
    rows = [
        (sheet.text(line.name), Cell(state=line.state), sheet.text(line.weaker or say("nothing is missing")))
        for line in found
    ]
    return Section(
        title=say("Mechanisms"),
        columns=(say("Mechanism"), say("State"), say("What is weaker on this host")),
        rows=rows,
        none=say("It has not said yet what contains its applications."),
    )


def held(applications: Sequence[Mapping[str, Any]]) -> Section:
    """One row for each thing that an application was granted and the mechanism that holds it to that."""
    rows = [row for each in applications for row in _held_rows(each)]
    return Section(
        title=say("What each application was granted"),
        columns=(say("Application"), say("Granted"), say("How much"), say("Held by"), say("State"), say("Why not")),
        rows=rows,
        none=say("It has not said yet that an application is installed."),
    )


def _held_rows(application: Mapping[str, Any]) -> list[tuple[Cell, ...]]:
    name = sheet.text(application["name"])
    if not application["known"]:
        state = Cell(state=State(UNKNOWN, say("not known")))
        why = say("This service does not have its image, so that it does not know what the manifest asks for.")
        return [(name, sheet.text(""), sheet.text(""), sheet.text(""), state, sheet.text(why))]
    return [
        (
            name,
            sheet.text(GRANTED.get(each["granted"], each["granted"])),
            sheet.text(say("none") if each["value"] == "none" else each["value"]),
            sheet.text(each["mechanism"]),
            Cell(state=State(GOOD, say("holds")) if each["held"] else State(ATTENTION, say("does not hold"))),
            sheet.text(sentence(each["why"]) if each["why"] else ""),
        )
        for each in application["held_by"]
    ]


def reports(found: Sequence[pages_device.ReportLine]) -> Section:
    """What the device said went wrong."""
    rows = [
        (
            Cell(state=line.event),
            sheet.text(line.description),
            Cell(text=line.count, number=True),
            Cell(at=line.first),
            Cell(at=line.last),
        )
        for line in found
    ]
    return Section(
        title=say("Error reports"),
        note=say("newest first") if rows else "",
        columns=(say("Event"), say("Description"), say("Times"), say("First"), say("Last")),
        rows=rows,
        none=say("The device has reported no error."),
        anchor="errors",
    )


def history(found: Sequence[pages_device.HistoryLine]) -> Section:
    """Check-ins, refusals and update outcomes."""
    rows = [
        (Cell(at=line.at), Cell(state=line.state), sheet.text(line.what), sheet.text(line.detail)) for line in found
    ]
    return Section(
        title=say("History"),
        note=say("newest first"),
        columns=(say("When"), say("Result"), say("What"), say("Detail")),
        rows=rows,
        none=say("The device has not checked in yet."),
    )


# Lines of rules in charts -----------------------------------------------------------------------------------------

_COMPARED = frozenset(("<", "<=", ">", ">="))
_GRAVE = frozenset(("critical", "high"))


def thresholds(
    rules: Sequence[Mapping[str, Any]], name: ValueName, template: str, cloud: Mapping[str, Any], device_id: str
) -> list[dict[str, Any]]:
    """The bounds that enabled rules set for a value of a device, as ``static/time-plot.js`` draws them.

    A rule counts whose target is its template, names it, or is every device; one that also looks at products, groups
    or filters is left out, since whether it concerns the device is not said by the rule alone.
    """
    found: dict[float, dict[str, Any]] = {}
    for rule in rules:
        body, target = rule["body"], rule["body"].get("target") or {}
        if not body.get("enabled", True) or not _concerns(target, template, device_id):
            continue
        for each in body["conditions"]:
            at = _bound(each.get("value"), cloud)
            if each.get("telemetry") != name.name or each.get("op") not in _COMPARED or at is None:
                continue
            shape = "bad" if body.get("severity", "medium") in _GRAVE else "attention"
            label = f"{body['name']}: {name.text(at)}"
            if at not in found or shape == "bad":
                found[at] = {"axis": 0, "at": at, "shape": shape, "label": label}
    return [found[at] for at in sorted(found)]


def _concerns(target: Mapping[str, Any], template: str, device_id: str) -> bool:
    if set(target) - {"template", "devices"}:
        return False
    named = target.get("devices")
    return target.get("template") in (None, "", template) and (not named or device_id in named)


def _bound(value: Any, cloud: Mapping[str, Any]) -> float | int | None:
    if isinstance(value, Mapping):
        value = cloud.get(str(value.get("cloud_property")), value.get("default"))
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _ago(at: Moment | None) -> str:
    return at.relative if at else say("at an unknown time")
