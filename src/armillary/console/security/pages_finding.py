# SPDX-License-Identifier: Apache-2.0
"""The page of one finding: what was seen, of which devices, what it is about, what to do and what was done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from armillary.console.frame.sheet import Button, Cell, Section, Sheet, act_button, aware_button, device, state, text
from armillary.console.frame.states import SEVERITY
from armillary.console.frame.words import counted, grouped, moment, sentence, short_id
from armillary.console.language.say import say
from armillary.console.releases.pages_images import place as image_place
from armillary.console.security.finding_words import kind_meaning, kind_words
from armillary.console.security.pages_findings import LIST, MOVES, STATUS_WORDS


def finding_sheet(
    found: Mapping[str, Any],
    catalog: str,
    names: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
    *,
    actions: Section | None = None,
    may_act: bool,
    may_report: bool = False,
    now: int,
) -> Sheet:
    """One finding of a ``catalog``, "" for the whole service's; ``names`` of its devices, audit ``lines`` about it."""
    here = f"{LIST}/{found['finding_id']}"
    moves = MOVES.get(found["status"], ()) if may_act else ()
    return Sheet(
        place=say("Findings"),
        heading=found["title"],
        title=sentence(found["title"]),
        detail=sentence(found["cause"]),
        crumbs=((say("Findings"), LIST), (kind_words(found["kind"]), f"{LIST}?kind={found['kind']}")),
        buttons=(
            *(
                Button(label=label, post=here, fields=(("status", status), ("back", here)), primary=number == 0)
                for number, (status, label) in enumerate(moves)
            ),
            *((act_button("finding", found["finding_id"], catalog),) if may_report else ()),
            *((aware_button("finding", found["finding_id"], catalog),) if may_report else ()),
        ),
        facts=(
            (say("Severity"), state(SEVERITY, found["severity"])),
            (say("Status"), text(STATUS_WORDS.get(found["status"], found["status"]))),
            (
                say("Seen"),
                text(say("once") if found["count"] == 1 else say("{count} times", count=grouped(found["count"]))),
            ),
            (say("First"), Cell(at=moment(found["first_seen"], now))),
            (say("Last"), Cell(at=moment(found["last_seen"], now))),
            (say("Catalog"), text(catalog or say("the whole service"))),
            (say("Id"), Cell(ident=short_id(found["finding_id"]))),
        ),
        sections=(
            _next(found),
            _about(found, catalog),
            _devices(found, names),
            *((actions,) if actions is not None else ()),
            *((_done(lines, now),) if lines else ()),
        ),
        within="security",
    )


def _next(found: Mapping[str, Any]) -> Section:
    return Section(
        title=say("What to do"),
        columns=(say("Proposed"), say("What this kind means")),
        rows=[(text(sentence(found["proposed_action"])), text(kind_meaning(found["kind"])))],
        none="",
    )


def _about(found: Mapping[str, Any], catalog: str) -> Section:
    return Section(
        title=say("What it is about"),
        columns=(say("What"), say("Which")),
        rows=[(text(what), cell) for what, cell in _links(found, catalog)],
        none=say("The devices below, and no image, roll-out or advisory."),
    )


def _links(found: Mapping[str, Any], catalog: str) -> Iterator[tuple[str, Cell]]:
    if found["advisory_id"]:
        yield say("Advisory"), text(found["advisory_id"], href=f"/advisories/{quote(found['advisory_id'], safe='')}")
    if found["rollout_id"]:
        yield say("Roll-out"), text(say("the roll-out"), href=f"/updates/{found['rollout_id']}")
    if found["image_id"] and catalog:
        yield say("Image"), text(short_id(found["image_id"]).short, href=image_place(catalog, found["image_id"]))
        if found["kind"] == "application-crashed":
            query = urlencode({"catalog": catalog, "image": found["image_id"]})
            yield say("Crashes"), text(say("its crash groups"), href=f"/crashes?{query}")
    if found["deployment_id"]:
        yield say("Deployment"), Cell(ident=short_id(found["deployment_id"]))
    if found["component_id"]:
        yield say("Component"), Cell(ident=short_id(found["component_id"]))


def _devices(found: Mapping[str, Any], names: Mapping[str, str]) -> Section:
    shown = found["device_ids"]
    further = found["device_count"] - len(shown)
    says = counted(found["device_count"], "device")
    if further:
        says = say("{devices}, {further} more than are named", devices=says, further=grouped(further))
    return Section(
        title=say("Devices"),
        note=says,
        columns=(say("Device"), say("Id")),
        rows=[(device(each, names), Cell(ident=short_id(each))) for each in shown],
        none=say("No device is named."),
    )


def _done(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title=say("What was done"),
        columns=(say("When"), say("What"), say("By"), say("Audit line")),
        rows=[
            (
                Cell(at=moment(each["at"], now)),
                text(each["operation"].rpartition(".")[2]),
                text(each["actor"]),
                text(grouped(each["number"]), href="/audit"),
            )
            for each in lines
        ],
        none="",
    )
