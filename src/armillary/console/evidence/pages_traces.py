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

LIST: Final = "/traces"
# What is traced, in the order of the form: kind -> what is typed.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "device": "Device: its name, id, or the first digits",
        "key": "Key or certificate: its serial, hex",
        "advisory": "Advisory: its id, such as CVE-2026-1234",
    }
)
# Events that the page has, the newest; the download has all that were read.
EVENTS: Final = 200
_EVENT_KINDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "operation": State(UNKNOWN, "operation"),
        "boot": State(GOOD, "boot"),
        "refusal": State(BAD, "refusal"),
        "update": State(UNKNOWN, "update"),
        "error": State(BAD, "error"),
        "finding": State(BAD, "finding"),
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
        place="Traces",
        title="Trace a device, a key or an advisory.",
        detail="One answer, from the factory run to this minute: where it was used, by whom, until when, with the "
        "records and audit lines that it rests on. Fill in one of the fields.",
        search=Form(post=LIST, label="Trace", fields=forms),
        within="security",
    )


def device_sheet(found: Mapping[str, Any], name: str, *, has_proof: bool, now: int) -> Sheet:
    """A device's life: what ``GET /devices/{device_id}/trace`` says."""
    known, events = found["device"], found["events"]
    device_id = known["device_id"]
    here = place("device", device_id)
    first, last = (moment(events[0]["at"], now), moment(events[-1]["at"], now)) if events else (None, None)
    says = f"{counted(len(events), 'event')} of {name}"
    if first and last:
        says += f", from {first.exact} to {last.relative}"
    return Sheet(
        place="Traces",
        heading=f"Trace of {name}",
        title=f"{says}.",
        crumbs=(("Traces", LIST), (name, f"/devices/{device_id}"), ("Trace", "")),
        notices=_cut(found["cut"]),
        buttons=downloads(here, has_proof=has_proof),
        facts=(
            ("Device id", Cell(ident=short_id(device_id))),
            ("Chip", text(known["chip"])),
            ("Trust tier", text(known["trust_tier"])),
            ("Certificates", text(grouped(len(found["certificates"])))),
        ),
        sections=(
            _events(events, now),
            Section(
                title="Certificates",
                note="that it was given for what it proved",
                columns=("Serial", "For", "Given", "Ends"),
                rows=[
                    (
                        Cell(ident=short_id(each["serial"])),
                        text(each["purpose"]),
                        Cell(at=moment(each["given_at"], now)),
                        Cell(at=moment(each["not_after"], now)),
                    )
                    for each in reversed(found["certificates"][-EVENTS:])
                ],
                none="It was never given one.",
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
        place="Traces",
        heading=f"Trace of key {short_id(known['serial']).short}",
        title=f"The key of this {known['kind']} certificate signed or is held by {joined(parts)}."
        if parts
        else f"The key of this {known['kind']} certificate has signed nothing that is recorded.",
        crumbs=(("Traces", LIST), ("Key", ""), (short_id(known["serial"]).short, "")),
        buttons=downloads(place("key", known["serial"]), has_proof=has_proof),
        facts=(
            ("State", Cell(state=State(BAD, "ended") if ended else State(GOOD, "in force"))),
            ("Kind", text(known["kind"])),
            ("Of", text(known["subject"], reason=f"catalog {catalog}" if catalog else "of the whole service")),
            ("Valid from", Cell(at=moment(known["not_before"], now))),
            ("Valid until", Cell(at=moment(known["not_after"], now))),
            ("Revoked", Cell(at=moment(known["revoked_at"], now), text="no")),
            ("Serial", Cell(ident=short_id(known["serial"]))),
            ("Thumbprint", Cell(ident=short_id(known["thumbprint"]))),
        ),
        sections=(
            Section(
                title="Uses",
                note="newest first",
                columns=("What", "Which", "When", "Record"),
                rows=[
                    (
                        text(each["what"]),
                        text(each["name"], href=_use_href(each)),
                        Cell(at=moment(each["at"], now)),
                        Cell(ident=short_id(each["record"])),
                    )
                    for each in reversed(found["uses"])
                ],
                none="None.",
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
        title="What happened",
        note="newest first" + (f"; {grouped(further)} older ones are in the download" if further > 0 else ""),
        columns=("When", "Kind", "What", "Rests on"),
        rows=[
            (
                Cell(at=moment(each["at"], now)),
                state(_EVENT_KINDS, each["kind"]),
                text(sentence(each["says"])),
                text(each["record"], href=_record_href(each["record"])),
            )
            for each in reversed(events[-EVENTS:])
        ],
        none="Nothing is known of it.",
    )


def _record_href(record: str) -> str:
    kind, _, name = record.rpartition(" ")
    return f"/findings/{name}" if kind == "finding" else "/audit" if kind == "audit" else ""


def _findings(findings: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title="Findings",
        columns=("Finding", "Severity", "Status", "First", "Last"),
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
        none="None names it.",
    )


def downloads(here: str, *, has_proof: bool) -> tuple[Button, ...]:
    """Ways to keep what the page at ``here`` says, and what proves it."""
    ways = [Button(label="Download as JSON", href=f"{here}/trace.json")]
    if has_proof:
        ways.append(Button(label="Download the proof", href=f"{here}/proof.json"))
    return tuple(ways)


def _cut(kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return (("attention", f"Of {joined(list(kinds))} only the newest 1,000 were read."),) if kinds else ()
