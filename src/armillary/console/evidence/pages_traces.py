# SPDX-License-Identifier: Apache-2.0
"""Traces: all that is known of a device or a key, on one page, with what proves it; and the page that asks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.form import Field, Form, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, audit_section, state, text
from armillary.console.frame.states import BAD, GOOD, SEVERITY, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id
from armillary.console.language.say import say

LIST: Final = "/traces"
# What is traced, in the order of the form: kind -> what is typed.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "device": say("Device: its name, id, or the first digits"),
        "key": say("Key or certificate: its serial, hex"),
        "advisory": say("Advisory: its id, such as CVE-2026-1234"),
    }
)
# Events that the page has, the newest; the download has all that were read.
EVENTS: Final = 200
_EVENT_KINDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "operation": State(UNKNOWN, say("operation")),
        "boot": State(GOOD, say("boot")),
        "refusal": State(BAD, say("refusal")),
        "update": State(UNKNOWN, say("update")),
        "error": State(BAD, say("error")),
        "finding": State(BAD, say("finding")),
    }
)


def place(kind: str, *names: str) -> str:
    """The address of a trace."""
    return "/".join([LIST, kind, *(quote(each, safe="") for each in names)])


def search_sheet(asked: Mapping[str, str]) -> Sheet:
    """The page that asks what is traced."""
    forms = tuple(
        Field(
            name=kind,
            label=label,
            value=asked.get(kind, ""),
            limits=limits(maxlength=128),
        )
        for kind, label in KINDS.items()
    )
    return Sheet(
        place=say("Traces"),
        title=say("Trace a device, a key or an advisory."),
        detail=say(
            "One answer, from the factory run to this minute: where it was used, by whom, until when, with "
            "the records and audit lines that it rests on. Fill in one of the fields."
        ),
        search=Form(post=LIST, label=say("Trace"), fields=forms),
        within="security",
    )


def device_sheet(found: Mapping[str, Any], name: str, *, has_proof: bool, now: int) -> Sheet:
    """A device's life: what ``GET /devices/{device_id}/trace`` says."""
    known, events = found["device"], found["events"]
    device_id = known["device_id"]
    here = place("device", device_id)
    first, last = (moment(events[0]["at"], now), moment(events[-1]["at"], now)) if events else (None, None)
    told = {"events": counted(len(events), "event"), "name": name}
    says = (
        say("{events} of {name}, from {first} to {last}.", **told, first=first.exact, last=last.relative)
        if first and last
        else say("{events} of {name}.", **told)
    )
    return Sheet(
        place=say("Traces"),
        heading=say("Trace of {name}", name=name),
        title=says,
        crumbs=((say("Traces"), LIST), (name, f"/devices/{device_id}"), (say("Trace"), "")),
        notices=_cut(found["cut"]),
        buttons=downloads(here, has_proof=has_proof),
        facts=(
            (say("Device id"), Cell(ident=short_id(device_id))),
            (say("Chip"), text(known["chip"])),
            (say("Trust tier"), text(known["trust_tier"])),
            (say("Certificates"), text(grouped(len(found["certificates"])))),
        ),
        sections=(
            _events(events, now),
            Section(
                title=say("Certificates"),
                note=say("that it was given for what it proved"),
                columns=(say("Serial"), say("For"), say("Given"), say("Ends")),
                rows=[
                    (
                        Cell(ident=short_id(each["serial"])),
                        text(each["purpose"]),
                        Cell(at=moment(each["given_at"], now)),
                        Cell(at=moment(each["not_after"], now)),
                    )
                    for each in reversed(found["certificates"][-EVENTS:])
                ],
                none=say("It was never given one."),
            ),
            _findings(found["findings"], now),
            *((audit_section(found["audit"][-EVENTS:], now),) if found["audit"] else ()),
        ),
        within="security",
    )


def key_sheet(found: Mapping[str, Any], catalog: str, *, has_proof: bool, now: int) -> Sheet:
    """A key's uses: what ``GET /certificates/{key_serial}/trace`` says; ``catalog`` is its catalog's name or ""."""
    known, counts = found["certificate"], found["counts"]
    ended = known["revoked_at"] is not None or known["not_after"] <= now
    parts = [counted(many, what) for what, many in counts.items()]
    return Sheet(
        place=say("Traces"),
        heading=say("Trace of key {serial}", serial=short_id(known["serial"]).short),
        title=say(
            "The key of this {kind} certificate signed or is held by {parts}.", kind=known["kind"], parts=joined(parts)
        )
        if parts
        else say("The key of this {kind} certificate has signed nothing that is recorded.", kind=known["kind"]),
        crumbs=((say("Traces"), LIST), (say("Key"), ""), (short_id(known["serial"]).short, "")),
        buttons=downloads(place("key", known["serial"]), has_proof=has_proof),
        facts=(
            (say("State"), Cell(state=State(BAD, say("ended")) if ended else State(GOOD, say("in force")))),
            (say("Kind"), text(known["kind"])),
            (
                say("Of"),
                text(
                    known["subject"],
                    reason=say("catalog {catalog}", catalog=catalog) if catalog else say("of the whole service"),
                ),
            ),
            (say("Valid from"), Cell(at=moment(known["not_before"], now))),
            (say("Valid until"), Cell(at=moment(known["not_after"], now))),
            (say("Revoked"), Cell(at=moment(known["revoked_at"], now), text=say("no"))),
            (say("Serial"), Cell(ident=short_id(known["serial"]))),
            (say("Thumbprint"), Cell(ident=short_id(known["thumbprint"]))),
        ),
        sections=(
            Section(
                title=say("Uses"),
                note=say("newest first"),
                columns=(say("What"), say("Which"), say("When"), say("Record")),
                rows=[
                    (
                        text(each["what"]),
                        text(each["name"], href=_use_href(each)),
                        Cell(at=moment(each["at"], now)),
                        Cell(ident=short_id(each["record"])),
                    )
                    for each in reversed(found["uses"])
                ],
                none=say("None."),
            ),
            *((audit_section(found["audit"], now),) if found["audit"] else ()),
        ),
        within="security",
    )


def _use_href(use: Mapping[str, Any]) -> str:
    match use["what"]:
        case "release":
            return f"/releases/{use['record']}"
        case "image":
            catalog = str(use["name"]).partition(": ")[0]
            return f"/images/{quote(catalog, safe='')}/{use['record']}"
        case "device":
            return f"/devices/{use['record']}"
        case _:
            return ""


def _events(events: Sequence[Mapping[str, Any]], now: int) -> Section:
    further = len(events) - EVENTS
    return Section(
        title=say("What happened"),
        note=say("newest first; {further} older ones are in the download", further=grouped(further))
        if further > 0
        else say("newest first"),
        columns=(say("When"), say("Kind"), say("What"), say("Rests on")),
        rows=[
            (
                Cell(at=moment(each["at"], now)),
                state(_EVENT_KINDS, each["kind"]),
                text(sentence(each["says"])),
                text(each["record"], href=_record_href(each["record"])),
            )
            for each in reversed(events[-EVENTS:])
        ],
        none=say("Nothing is known of it."),
    )


def _record_href(record: str) -> str:
    kind, _, name = record.rpartition(" ")
    return f"/findings/{name}" if kind == "finding" else "/audit" if kind == "audit" else ""


def _findings(findings: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title=say("Findings"),
        columns=(say("Finding"), say("Severity"), say("Status"), say("First"), say("Last")),
        rows=[
            (
                text(each["title"], href=f"/findings/{each['finding_id']}"),
                state(SEVERITY, each["severity"]),
                text(each["status"]),
                Cell(at=moment(each["first_seen"], now)),
                Cell(at=moment(each["last_seen"], now)),
            )
            for each in reversed(findings[-EVENTS:])
        ],
        none=say("None names it."),
    )


def downloads(here: str, *, has_proof: bool) -> tuple[Button, ...]:
    """Ways to keep what the page at ``here`` says, and what proves it."""
    ways = [Button(label=say("Download as JSON"), href=f"{here}/trace.json")]
    if has_proof:
        ways.append(Button(label=say("Download the proof"), href=f"{here}/proof.json"))
    return tuple(ways)


def _cut(kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return (
        (("attention", say("Of {kinds} only the newest 1,000 were read.", kinds=joined(list(kinds)))),) if kinds else ()
    )
