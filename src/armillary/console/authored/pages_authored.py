# SPDX-License-Identifier: Apache-2.0
"""What authors make besides dashboards and rules, as pages: segments, jobs, data exports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from armillary.console.authored.catalog_choice import catalog_words
from armillary.console.frame import sheet
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, place
from armillary.console.frame.states import ATTENTION, BAD, GOOD, HEALTH, UNKNOWN, State, state_of
from armillary.console.frame.words import counted, grouped, joined, sentence
from armillary.console.language.say import apart, say
from armillary.twin.author.data_export import ExportSource

# A page of a run that is under way is asked for again so often (seconds): devices answer within seconds.
RUNNING_EVERY_S = 3

# Of a job of all catalogs, to an operator of one: its runs are over devices of others, too.
NOT_SHOWN = say("not shown")
RUN: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, say("running")),
        "completed": State(GOOD, say("completed")),
        "cancelled": State(UNKNOWN, say("cancelled")),
        "aborted": State(BAD, say("stopped: too many failed")),
    }
)
RESULT: Mapping[str, State] = MappingProxyType(
    {
        "pending": State(UNKNOWN, say("waits")),
        "running": State(ATTENTION, say("running")),
        "waiting": State(ATTENTION, say("updates itself")),
        "succeeded": State(GOOD, say("succeeded")),
        "failed": State(BAD, say("failed")),
        "skipped": State(UNKNOWN, say("left out")),
    }
)
EXPORT: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, say("running")),
        "waiting": State(ATTENTION, say("waiting, tries again")),
        "stopped": State(BAD, say("stopped")),
        "disabled": State(UNKNOWN, say("off")),
    }
)
SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "eq": "=",
        "ne": "≠",
        "gt": ">",
        "ge": "≥",
        "lt": "<",
        "le": "≤",
        "contains": say("contains"),
        "exists": say("exists"),
    }
)
# Kind of document -> its place, and what is said of one.
PLACES: Mapping[str, str] = MappingProxyType({"group": say("Segments"), "job": say("Jobs"), "export": say("Exports")})
NEW_WORDS: Mapping[str, str] = MappingProxyType(
    {"group": say("New segment"), "job": say("New job"), "export": say("New data export")}
)
_NO_WORDS: Mapping[str, str] = MappingProxyType(
    {"group": say("No segment yet."), "job": say("No job yet."), "export": say("No data export yet.")}
)
# Kind of document -> its noun on the command line.
NOUN: Mapping[str, str] = MappingProxyType({"group": "segment", "job": "job", "export": "export"})


# Source of an export -> what is exported.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        ExportSource.TELEMETRY: say("telemetry"),
        ExportSource.PROPERTIES: say("properties"),
        ExportSource.LIFECYCLE: say("lifecycle"),
        ExportSource.ALERTS: say("alerts"),
        ExportSource.CONNECTIVITY: say("connectivity"),
    }
)


# Segments -----------------------------------------------------------------------------------------------------------


def groups_sheet(page: Mapping[str, Any], *, may_change: bool, now: int, search: str = "") -> Sheet:
    """All segments."""
    items = page["items"]
    found = [
        (
            sheet.text(item["body"]["name"], href=place("group", item["id"]), reason=item["id"]),
            sheet.text(filters_words(item["body"])),
            sheet.text(catalog_words(item["body"])),
            sheet.when(item["changed_ms"], now),
            sheet.text(item["changed_by"]),
        )
        for item in items
    ]
    return _list(
        "group",
        page,
        found,
        (say("Segment"), say("Members"), say("Catalog"), say("Changed"), say("By")),
        may_change=may_change,
        search=search,
    )


def group_sheet(document: Mapping[str, Any], members: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    """One segment and who is in it now."""
    items = members["items"]
    names = list(items[0]["values"]) if items else []
    found = [
        (
            sheet.device(each["device_id"], labels),
            sheet.state(HEALTH, each.get("health")),
            *(sheet.code(each["values"][name]) for name in names),
        )
        for each in items
    ]
    told = {"name": document["body"]["name"], "devices": counted(len(items), "device")}
    return _document_sheet(
        "group",
        document,
        say("{name}: {devices} or more now.", **told) if members["next"] else say("{name}: {devices} now.", **told),
        Section(
            title=say("Devices"),
            columns=(say("Device"), say("Health"), *names),
            rows=found,
            none=say("No devices match."),
        ),
        detail=filters_words(document["body"]),
    )


def filters_words(body: Mapping[str, Any]) -> str:
    """A segment's query in one line."""
    parts = [
        apart([each["field"], SIGNS.get(each["operator"], each["operator"]), *_value(each)], " ")
        for each in body.get("filters", ())
    ]
    if body.get("template"):
        parts.insert(0, say("template {template}", template=body["template"]))
    return joined(parts, "and" if body.get("match", "all") == "all" else "or") or say("every device")


# Jobs -------------------------------------------------------------------------------------------------------------


def jobs_sheet(page: Mapping[str, Any], *, may_change: bool, of_one: bool, now: int, search: str = "") -> Sheet:
    """All jobs, each with its newest run; ``of_one``: to an operator of one catalog, who sees runs of its jobs only."""
    found = []
    for item in page["items"]:
        run = item["run"]
        without = NOT_SHOWN if of_one and item["body"].get("catalog") is None else say("never run")
        found.append(
            (
                sheet.text(
                    item["body"]["name"], href=place("job", item["id"]), reason=action_words(item["body"]["action"])
                ),
                sheet.text(item["body"]["group"], href=place("group", item["body"]["group"])),
                sheet.text(catalog_words(item["body"])),
                sheet.state(RUN, run["state"]) if run else Cell(state=State(UNKNOWN, without)),
                sheet.number(
                    say("{done} of {total}", done=grouped(run["done"]), total=grouped(run["total"])) if run else ""
                ),
                sheet.number(grouped(run["counts"]["failed"]) if run else ""),
                sheet.when(run["started_ms"] if run else None, now),
            )
        )
    columns = (say("Job"), say("Segment"), say("Catalog"), say("Newest run"), say("Done"), say("Failed"), say("Begun"))
    return _list("job", page, found, columns, may_change=may_change, search=search)


def job_sheet(
    document: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]] | None,
    results: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    now: int,
) -> Sheet:
    """One job, its runs, and what became of each device in the newest; None for runs that the operator may not see."""
    body, job_id, newest = document["body"], document["id"], document["run"]
    is_running = newest is not None and newest["state"] == "running"
    run = place("job", job_id, "run")
    buttons = [Button(label=say("Run now"), href=run, primary=True)]
    if newest is not None and newest["counts"]["failed"] > 0:
        buttons.append(Button(label=say("Run for failed"), href=f"{run}?only=failed"))
    if is_running:
        number, post = str(newest["number"]), place("job", job_id, "cancel")
        buttons = [Button(label=say("Cancel run"), post=post, fields=(("number", number),), danger=True)]
    said = say(
        "{name}: {does} on segment {group}.",
        name=body["name"],
        does=action_words(body["action"]),
        group=body["group"],
    )
    if newest:
        counts = apart(
            [
                say("{count} {state}", count=grouped(count), state=RESULT[word].word)
                for word, count in newest["counts"].items()
                if count
            ]
        )
        said = say(
            "{name}: run {number} {state}; {counts}.",
            name=body["name"],
            number=newest["number"],
            state=state_of(RUN, newest["state"]).word,
            counts=counts or say("no device"),
        )
    made = _document_sheet(
        "job",
        document,
        said,
        *((_results_section(results, labels, now), _runs_section(runs, now)) if runs is not None else ()),
        detail=say("It {does} on segment {group}.", does=action_words(body["action"]), group=body["group"])
        if newest
        else "",
        every_s=RUNNING_EVERY_S if is_running else 0,
    )
    return replace(made, buttons=(*buttons, *(made.buttons if not is_running else ())))


def _results_section(results: Sequence[Mapping[str, Any]], labels: Mapping[str, str], now: int) -> Section:
    return Section(
        title=say("Devices of the newest run"),
        columns=(say("Device"), say("State"), say("Attempts"), say("Answer"), say("Changed")),
        rows=[
            (
                sheet.device(each["device_id"], labels),
                sheet.state(RESULT, each["state"]),
                sheet.number(each["attempts"]),
                Cell(
                    text="" if each["answer"] is None else str(each["answer"])[:200],
                    reason="" if each["status"] is None else say("status {status}", status=each["status"]),
                ),
                sheet.when(each["changed_ms"], now),
            )
            for each in results
        ],
        none=say("It was never run."),
    )


def _runs_section(runs: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title=say("Runs"),
        columns=(say("Run"), say("State"), say("Done"), say("Failed"), say("Begun by"), say("Begun")),
        rows=[
            (
                sheet.text(each["number"]),
                sheet.state(RUN, each["state"]),
                sheet.number(say("{done} of {total}", done=grouped(each["done"]), total=grouped(each["total"]))),
                sheet.number(grouped(each["counts"]["failed"])),
                sheet.text(each["begun_by"]),
                sheet.when(each["started_ms"], now),
            )
            for each in runs
        ],
        none=say("None."),
    )


def action_words(action: Mapping[str, Any]) -> str:
    """What a job does, in words."""
    if action["kind"] == "command":
        return say("calls {command}", command=action["command"])
    if action["kind"] == "update":
        package = action.get("package")
        return (
            say("moves to {device_group}", device_group=action["device_group"])
            if package is None
            else say("updates to version {version}", version=package["version"])
        )
    properties = joined(sorted(action["properties"]))
    if "cloud" in action["kind"]:
        return say("sets {properties} (cloud property)", properties=properties)
    return say("sets {properties} (desired)", properties=properties)


# Exports ----------------------------------------------------------------------------------------------------------


def exports_sheet(page: Mapping[str, Any], *, may_change: bool, now: int, search: str = "") -> Sheet:
    """All data exports."""
    found = [
        (
            sheet.text(item["body"]["name"], href=place("export", item["id"]), reason=item["id"]),
            export_state(item),
            sheet.text(SOURCES.get(item["body"]["source"], item["body"]["source"])),
            sheet.text(item["body"]["destination"]["kind"]),
            sheet.text(catalog_words(item["body"])),
            sheet.when(item["changed_ms"], now),
        )
        for item in page["items"]
    ]
    return _list(
        "export",
        page,
        found,
        (say("Export"), say("State"), say("What"), say("Where to"), say("Catalog"), say("Changed")),
        may_change=may_change,
        search=search,
    )


def export_sheet(document: Mapping[str, Any], letters: Sequence[Mapping[str, Any]] | None) -> Sheet:
    """One data export, how it is doing, what was refused for good; None where the operator may not see that."""
    body, word = document["body"], state_of(EXPORT, document["status"]["state"]).word
    status = [(sheet.text(name.replace("_", " ")), sheet.code(value)) for name, value in document["status"].items()]
    return _document_sheet(
        "export",
        document,
        say(
            "{name}: {source} to {kind}, {word}.",
            name=body["name"],
            source=SOURCES.get(body["source"], body["source"]),
            kind=body["destination"]["kind"],
            word=word,
        ),
        Section(
            title=say("How it is doing"),
            columns=(say("What"), say("Value")),
            rows=status,
            none=say("Nothing is known."),
        ),
        *(() if letters is None else (_letters_section(letters),)),
    )


def _letters_section(letters: Sequence[Mapping[str, Any]]) -> Section:
    return Section(
        title=say("Dead letters"),
        columns=(say("Number"), say("Why")),
        rows=[(sheet.text(each["number"]), sheet.text(each.get("error", ""))) for each in letters],
        none=say("Nothing was refused for good."),
    )


def export_state(item: Mapping[str, Any]) -> Cell:
    """How an export is doing."""
    return sheet.state(EXPORT, item["status"]["state"], str(item["status"]["why"] or "")[:200])


# Shared -----------------------------------------------------------------------------------------------------------


def place_of(kind: str) -> str:
    """What the place of all documents of a kind is called."""
    return PLACES[kind]


def _list(
    kind: str,
    page: Mapping[str, Any],
    found: Sequence[Sequence[Cell]],
    columns: tuple[str, ...],
    *,
    may_change: bool,
    search: str,
) -> Sheet:
    count, path = len(found), f"/{kind}s"
    many = {"group": counted(count, "segment"), "job": counted(count, "job"), "export": counted(count, "data export")}
    return sheet.list_sheet(
        place_of(kind),
        columns,
        found,
        path=path,
        cursor=page["next"],
        says=sentence(many[kind]) if found else _NO_WORDS[kind],
        new=Button(label=NEW_WORDS[kind], href=f"{path}/new") if may_change else None,
        command=f"armillary {NOUN[kind]} create --help",
        search=search,
    )


def _document_sheet(
    kind: str, document: Mapping[str, Any], title: str, *sections: Section, detail: str = "", every_s: int = 0
) -> Sheet:
    """The page of one document, with what whoever may change it can do; its forms are added by ``read.py``."""
    name = place_of(kind)
    return Sheet(
        place=name,
        crumbs=((name, f"/{kind}s"),),
        title=title,
        detail=detail,
        buttons=(Button(label=say("Delete"), href=place(kind, document["id"], "delete"), danger=True),),
        sections=sections,
        facts=((say("Catalog"), sheet.text(catalog_words(document["body"]))),),
        every_s=every_s,
    )


def _value(filtered: Mapping[str, Any]) -> list[str]:
    if filtered["operator"] == "exists":
        return [] if filtered.get("value", True) else [say("(not)")]
    return [json.dumps(filtered.get("value"), ensure_ascii=False)]
