# SPDX-License-Identifier: Apache-2.0
"""Crash dumps: which were sent, one with names for its addresses, and what a device group collects. Pure.

What was in a device's memory may belong to a person: who reads a dump is in the audit log, and erasing is for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, device, next_href, number, text
from armillary.console.frame.states import ATTENTION, GOOD, State
from armillary.console.frame.words import counted, counted_page, grouped, moment, short_id, size
from armillary.console.security.pages_crashes import LIST as CRASHES

LIST: Final = "/crash-dumps"
# Days for which dumps may be kept.
MAX_DAYS: Final = 366
_STACKS: Final[Mapping[str, str]] = MappingProxyType(
    {"none": "no stack", "scrubbed": "stack with pointers alone", "full": "the whole stack"}
)


def place(dump_id: str, *more: str) -> str:
    """The address of a dump, or of something below it."""
    return "/".join([LIST, quote(dump_id, safe=""), *more])


def group_place(catalog: str, product: str, group: str, *more: str) -> str:
    """The address of what a device group collects."""
    return "/".join(["/crash-dump-groups", *(quote(each, safe="") for each in (catalog, product, group)), *more])


def list_sheet(page: Mapping[str, Any], labels: Mapping[str, str], *, may_read: bool, is_part: bool, now: int) -> Sheet:
    """A page of dumps; ``labels`` of their devices, ``may_read``: whether one may be opened."""
    items = page["items"]
    return Sheet(
        place="Crash dumps",
        title="Older crash dumps."
        if is_part
        else f"{counted_page(page, 'crash dump')}."
        if items
        else "No crash dump is kept: no device group collects any, or nothing has crashed.",
        detail="A device sends them only while its group consents. They are sealed to a key of the group, and end by "
        "themselves; the page of a device group turns them on.",
        crumbs=(("Crashes", CRASHES), ("Crash dumps", "")),
        sections=(
            Section(
                title="Crash dumps",
                note="newest first",
                columns=("Dump", "Device", "Signal", "Has", "Crashed", "Received", "Size", "Image"),
                rows=[_row(each, labels, now, may_read=may_read) for each in items],
                none="None.",
                next_href=next_href(LIST, page["next"]),
                sorts=True,
            ),
        ),
        within="security",
    )


def dump_sheet(found: Mapping[str, Any], labels: Mapping[str, str], now: int) -> Sheet:
    """One dump that is read, with names by the symbols that were uploaded."""
    here = place(found["dump_id"])
    return Sheet(
        place="Crash dumps",
        heading=f"Crash dump {short_id(found['dump_id']).short}",
        title=f"{found['cause']} on {labels.get(found['device_id'], found['device_id'][:12])}.",
        detail="That you read it is in the audit log.",
        crumbs=(("Crashes", CRASHES), ("Crash dumps", LIST), (short_id(found["dump_id"]).short, "")),
        buttons=(
            Button(label="Download", href=f"{here}/content.cbor"),
            Button(label="Delete", href=f"{here}/delete", danger=True),
        ),
        facts=(
            ("Device", device(found["device_id"], labels)),
            ("Has", text(_STACKS.get(found["stack"], found["stack"]))),
            ("Machine", text(found["machine"])),
            ("Fault", text(str(found["fault"]) or "none")),
            ("Boot", text(grouped(found["boot_count"]))),
            ("Crashed, says the device", Cell(at=moment(found["crashed_at"], now))),
            ("Received", Cell(at=moment(found["received_at"], now))),
            ("Size", text(size(found["size"]))),
            ("Image", Cell(ident=short_id(found["image_id"]))),
        ),
        sections=(
            Section(
                title="Frames",
                note="innermost first",
                columns=("Frame", "Function", "Module", "Offset", "Build"),
                rows=[_frame(at, each) for at, each in enumerate(found["frames"])],
                none="None could be found.",
            ),
            _places("Registers", "Register", "name", found["registers"], ""),
            _places("Pointers on the stack", "At", "address", found["pointers"], f"of {size(found['stack_bytes'])}"),
            Section(
                title="Modules",
                columns=("Module", "Begins", "Ends", "Build"),
                rows=[
                    (
                        text(each["name"]),
                        Cell(text=each["begin"], code=True),
                        Cell(text=each["end"], code=True),
                        Cell(ident=short_id(each["build_id"])) if each["build_id"] else text("none"),
                    )
                    for each in found["modules"]
                ],
                none="None.",
            ),
        ),
        within="security",
    )


def group_sheet(found: Mapping[str, Any], named: Sequence[str], *, may_set: bool) -> Sheet:
    """What a device group collects; ``named`` are its catalog, product and name."""
    here, name = group_place(*named), " / ".join(named[1:])
    collecting = State(ATTENTION, "collects crash dumps") if found["is_on"] else State(GOOD, "collects none")
    fields = (
        Field(
            name="is_on",
            label="Crash dumps",
            kind="select",
            value="on" if found["is_on"] else "off",
            choices=(("off", "none: what waits on devices is deleted"), ("on", "collect them")),
        ),
        Field(
            name="stacks",
            label="Stacks",
            kind="select",
            value=found["stacks"],
            choices=(("scrubbed", "pointers alone"), ("full", "all of it: what the application worked on")),
        ),
        Field(
            name="days",
            label="Kept for",
            kind="number",
            unit="days",
            value=str(found["days"]),
            limits=limits(min=1, max=MAX_DAYS),
        ),
    )
    erase = Button(label="Erase all", href=f"{here}/erase", danger=True)
    return Sheet(
        place="Crash dumps",
        heading=f"Crash dumps of {name}",
        title=f"{name} {collecting.word}; {counted(found['dumps'], 'dump')}, {size(found['size'])}.",
        detail="Consent reaches each device at its next check-in, and so does its end.",
        crumbs=(("Crash dumps", LIST), (name, "")),
        buttons=(erase,) if may_set else (),
        facts=(
            ("Collects", Cell(state=collecting)),
            ("Stacks", text(_STACKS.get(found["stacks"], found["stacks"]))),
            ("Kept for", text(counted(found["days"], "day"))),
            ("Data stay in", text("the EU" if found["data_boundary"] == "EU" else "no stated region")),
        ),
        forms=(Form(post=here, label="Set", title="What it collects", fields=fields),) if may_set else (),
        within="security",
    )


def delete_confirmation(dump_id: str) -> Confirmation:
    """What deleting a dump does."""
    return Confirmation(
        title="Delete this crash dump?",
        touches=touching(
            "One crash dump.", "Its contents are gone.", "The crash's group and its counts.", "This cannot be undone."
        ),
        label="Delete",
        danger=True,
        post=place(dump_id, "delete"),
        back=LIST,
    )


def erase_confirmation(found: Mapping[str, Any], named: Sequence[str]) -> Confirmation:
    """What erasing all dumps of a group does."""
    return Confirmation(
        title=f"Erase all crash dumps of {' / '.join(named[1:])}?",
        touches=touching(
            f"{counted(found['dumps'], 'dump')} and the key that opens them.",
            "They cannot be read any more, in copies of the database neither.",
            "Crash groups and their counts; what it collects from now on gets a new key.",
            "This cannot be undone.",
        ),
        label="Erase",
        danger=True,
        word="erase",
        wide="This is for good.",
        post=group_place(*named, "erase"),
        back=group_place(*named),
    )


def _row(each: Mapping[str, Any], labels: Mapping[str, str], now: int, *, may_read: bool) -> tuple[Cell, ...]:
    return (
        text(short_id(each["dump_id"]).short, href=place(each["dump_id"]) if may_read else ""),
        device(each["device_id"], labels),
        number(each["signal"]),
        text(_STACKS.get(each["stack"], each["stack"])),
        Cell(at=moment(each["crashed_at"], now)),
        Cell(at=moment(each["received_at"], now)),
        number(size(each["size"])),
        Cell(ident=short_id(each["image_id"])),
    )


def _frame(at: int, each: Mapping[str, Any]) -> tuple[Cell, ...]:
    named = Cell(text=each["function"], code=True) if each["function"] else text("armillary crash symbols add")
    build = Cell(ident=short_id(each["build_id"])) if each["build_id"] else text("none")
    return (text(f"frame {at}"), named, text(each["module"]), Cell(text=each["offset"], code=True), build)


def _places(title: str, column: str, name: str, places: Sequence[Mapping[str, Any]], note: str) -> Section:
    return Section(
        title=title,
        note=note,
        columns=(column, "Value", "Leads to"),
        rows=[
            (
                Cell(text=each[name], code=True),
                Cell(text=each["value"], code=True),
                text(each["at"] or "outside of modules"),
            )
            for each in places
        ],
        none="None.",
    )
