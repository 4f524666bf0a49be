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
from armillary.console.frame.words import counted, counted_page, grouped, moment, sentence, short_id, size
from armillary.console.language.say import say
from armillary.console.security.pages_crashes import LIST as CRASHES

LIST: Final = "/crash-dumps"
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Device": "device",
        "Signal": "signal",
        "Has": "stack",
        "Crashed": "crashed_at",
        "Received": "received_at",
        "Size": "size",
        "Image": "image",
    }
)
# Days for which dumps may be kept.
MAX_DAYS: Final = 366
_STACKS: Final[Mapping[str, str]] = MappingProxyType(
    {"none": say("no stack"), "scrubbed": say("stack with pointers alone"), "full": say("the whole stack")}
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
        place=say("Crash dumps"),
        title=say("Older crash dumps.")
        if is_part
        else sentence(counted_page(page, "crash dump"))
        if items
        else say("No crash dump is kept: no device group collects any, or nothing has crashed."),
        detail=say(
            "A device sends them only while its group consents. They are sealed to a key of the group, and "
            "end by themselves; the page of a device group turns them on."
        ),
        crumbs=((say("Crashes"), CRASHES), (say("Crash dumps"), "")),
        sections=(
            Section(
                title=say("Crash dumps"),
                note=say("newest first"),
                columns=(
                    say("Dump"),
                    say("Device"),
                    say("Signal"),
                    say("Has"),
                    say("Crashed"),
                    say("Received"),
                    say("Size"),
                    say("Image"),
                ),
                rows=[_row(each, labels, now, may_read=may_read) for each in items],
                none=say("None."),
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
        place=say("Crash dumps"),
        heading=say("Crash dump {dump_id}", dump_id=short_id(found["dump_id"]).short),
        title=say(
            "{cause} on {device_id}.",
            cause=found["cause"],
            device_id=labels.get(found["device_id"], found["device_id"][:12]),
        ),
        detail=say("That you read it is in the audit log."),
        crumbs=((say("Crashes"), CRASHES), (say("Crash dumps"), LIST), (short_id(found["dump_id"]).short, "")),
        buttons=(
            Button(label=say("Download"), href=f"{here}/content.cbor"),
            Button(label=say("Delete"), href=f"{here}/delete", danger=True),
        ),
        facts=(
            (say("Device"), device(found["device_id"], labels)),
            (say("Has"), text(_STACKS.get(found["stack"], found["stack"]))),
            (say("Machine"), text(found["machine"])),
            (say("Fault"), text(str(found["fault"]) or say("none"))),
            (say("Boot"), text(grouped(found["boot_count"]))),
            (say("Crashed, says the device"), Cell(at=moment(found["crashed_at"], now))),
            (say("Received"), Cell(at=moment(found["received_at"], now))),
            (say("Size"), text(size(found["size"]))),
            (say("Image"), Cell(ident=short_id(found["image_id"]))),
        ),
        sections=(
            Section(
                title=say("Frames"),
                note=say("innermost first"),
                columns=(say("Frame"), say("Function"), say("Module"), say("Offset"), say("Build")),
                rows=[_frame(at, each) for at, each in enumerate(found["frames"])],
                none=say("None could be found."),
            ),
            _places(say("Registers"), say("Register"), "name", found["registers"], ""),
            _places(
                say("Pointers on the stack"),
                say("At"),
                "address",
                found["pointers"],
                say("of {stack_bytes}", stack_bytes=size(found["stack_bytes"])),
            ),
            Section(
                title=say("Modules"),
                columns=(say("Module"), say("Begins"), say("Ends"), say("Build")),
                rows=[
                    (
                        text(each["name"]),
                        Cell(text=each["begin"], code=True),
                        Cell(text=each["end"], code=True),
                        Cell(ident=short_id(each["build_id"])) if each["build_id"] else text(say("none")),
                    )
                    for each in found["modules"]
                ],
                none=say("None."),
            ),
        ),
        within="security",
    )


def group_sheet(found: Mapping[str, Any], named: Sequence[str], *, may_set: bool) -> Sheet:
    """What a device group collects; ``named`` are its catalog, product and name."""
    here, name = group_place(*named), " / ".join(named[1:])
    collecting = State(ATTENTION, say("collects crash dumps")) if found["is_on"] else State(GOOD, say("collects none"))
    fields = (
        Field(
            name="is_on",
            label=say("Crash dumps"),
            kind="select",
            value="on" if found["is_on"] else "off",
            choices=(("off", say("none: what waits on devices is deleted")), ("on", say("collect them"))),
        ),
        Field(
            name="stacks",
            label=say("Stacks"),
            kind="select",
            value=found["stacks"],
            choices=(("scrubbed", say("pointers alone")), ("full", say("all of it: what the application worked on"))),
        ),
        Field(
            name="days",
            label=say("Kept for"),
            kind="number",
            unit=say("days"),
            value=str(found["days"]),
            limits=limits(min=1, max=MAX_DAYS),
        ),
    )
    erase = Button(label=say("Erase all"), href=f"{here}/erase", danger=True)
    return Sheet(
        place=say("Crash dumps"),
        heading=say("Crash dumps of {name}", name=name),
        title=say(
            "{group} {collects}; {dumps}, {size}.",
            group=name,
            collects=collecting.word,
            dumps=counted(found["dumps"], "dump"),
            size=size(found["size"]),
        ),
        detail=say("Consent reaches each device at its next check-in, and so does its end."),
        crumbs=((say("Crash dumps"), LIST), (name, "")),
        buttons=(erase,) if may_set else (),
        facts=(
            (say("Collects"), Cell(state=collecting)),
            (say("Stacks"), text(_STACKS.get(found["stacks"], found["stacks"]))),
            (say("Kept for"), text(counted(found["days"], "day"))),
            (say("Data stay in"), text(say("the EU") if found["data_boundary"] == "EU" else say("no stated region"))),
        ),
        forms=(Form(post=here, label=say("Set"), title=say("What it collects"), fields=fields),) if may_set else (),
        within="security",
    )


def delete_confirmation(dump_id: str) -> Confirmation:
    """What deleting a dump does."""
    return Confirmation(
        title=say("Delete this crash dump?"),
        touches=touching(
            say("One crash dump."),
            say("Its contents are gone."),
            say("The crash's group and its counts."),
            say("This cannot be undone."),
        ),
        label=say("Delete"),
        danger=True,
        post=place(dump_id, "delete"),
        back=LIST,
    )


def erase_confirmation(found: Mapping[str, Any], named: Sequence[str]) -> Confirmation:
    """What erasing all dumps of a group does."""
    return Confirmation(
        title=say("Erase all crash dumps of {group}?", group=" / ".join(named[1:])),
        touches=touching(
            say("{dumps} and the key that opens them.", dumps=counted(found["dumps"], "dump")),
            say("They cannot be read any more, in copies of the database neither."),
            say("Crash groups and their counts; what it collects from now on gets a new key."),
            say("This cannot be undone."),
        ),
        label=say("Erase"),
        danger=True,
        word="erase",
        wide=say("This is for good."),
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
    build = Cell(ident=short_id(each["build_id"])) if each["build_id"] else text(say("none"))
    return (text(say("frame {at}", at=at)), named, text(each["module"]), Cell(text=each["offset"], code=True), build)


def _places(title: str, column: str, name: str, places: Sequence[Mapping[str, Any]], note: str) -> Section:
    return Section(
        title=title,
        note=note,
        columns=(column, say("Value"), say("Leads to")),
        rows=[
            (
                Cell(text=each[name], code=True),
                Cell(text=each["value"], code=True),
                text(each["at"] or say("outside of modules")),
            )
            for each in places
        ],
        none=say("None."),
    )
