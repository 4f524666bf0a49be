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
from armillary.console.frame.words import counted, grouped, joined

# A page of a run that is under way is asked for again so often (seconds): devices answer within seconds.
RUNNING_EVERY_S = 3

# Of a job of all catalogs, to an operator of one: its runs are over devices of others, too.
NOT_SHOWN = "not shown"
RUN: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, "running"),
        "completed": State(GOOD, "completed"),
        "cancelled": State(UNKNOWN, "cancelled"),
        "aborted": State(BAD, "stopped: too many failed"),
    }
)
RESULT: Mapping[str, State] = MappingProxyType(
    {
        "pending": State(UNKNOWN, "waits"),
        "running": State(ATTENTION, "running"),
        "waiting": State(ATTENTION, "updates itself"),
        "succeeded": State(GOOD, "succeeded"),
        "failed": State(BAD, "failed"),
        "skipped": State(UNKNOWN, "left out"),
    }
)
EXPORT: Mapping[str, State] = MappingProxyType(
    {
        "running": State(GOOD, "running"),
        "waiting": State(ATTENTION, "waiting, tries again"),
        "stopped": State(BAD, "stopped"),
        "disabled": State(UNKNOWN, "off"),
    }
)
SIGNS: Mapping[str, str] = MappingProxyType(
    {"eq": "=", "ne": "≠", "gt": ">", "ge": "≥", "lt": "<", "le": "≤", "contains": "contains", "exists": "exists"}
)
WORD: Mapping[str, str] = MappingProxyType({"group": "segment", "job": "job", "export": "data export"})
# Kind of document -> its noun on the command line.
NOUN: Mapping[str, str] = MappingProxyType({"group": "segment", "job": "job", "export": "export"})


# Segments -----------------------------------------------------------------------------------------------------------


def groups_sheet(page: Mapping[str, Any], *, may_change: bool, now: int) -> Sheet:
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
    return _list("group", page, found, ("Segment", "Members", "Catalog", "Changed", "By"), may_change=may_change)


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
    more = " or more" if members["next"] else ""
    return _document_sheet(
        "group",
        document,
        f"{document['body']['name']}: {counted(len(items), 'device')}{more} now.",
        Section(title="Devices", columns=("Device", "Health", *names), rows=found, none="No devices match."),
        detail=filters_words(document["body"]),
    )


def filters_words(body: Mapping[str, Any]) -> str:
    """A segment's query in one line."""
    parts = [
        f"{each['field']} {SIGNS.get(each['operator'], each['operator'])} {_value(each)}".strip()
        for each in body.get("filters", ())
    ]
    if body.get("template"):
        parts.insert(0, f"template {body['template']}")
    return joined(parts, "and" if body.get("match", "all") == "all" else "or") or "every device"


# Jobs -------------------------------------------------------------------------------------------------------------


def jobs_sheet(page: Mapping[str, Any], *, may_change: bool, of_one: bool, now: int) -> Sheet:
    """All jobs, each with its newest run; ``of_one``: to an operator of one catalog, who sees runs of its jobs only."""
    found = []
    for item in page["items"]:
        run = item["run"]
        without = NOT_SHOWN if of_one and item["body"].get("catalog") is None else "never run"
        found.append(
            (
                sheet.text(
                    item["body"]["name"], href=place("job", item["id"]), reason=action_words(item["body"]["action"])
                ),
                sheet.text(item["body"]["group"], href=place("group", item["body"]["group"])),
                sheet.text(catalog_words(item["body"])),
                sheet.state(RUN, run["state"]) if run else Cell(state=State(UNKNOWN, without)),
                sheet.number(f"{grouped(run['done'])} of {grouped(run['total'])}" if run else ""),
                sheet.number(grouped(run["counts"]["failed"]) if run else ""),
                sheet.when(run["started_ms"] if run else None, now),
            )
        )
    columns = ("Job", "Segment", "Catalog", "Newest run", "Done", "Failed", "Begun")
    return _list("job", page, found, columns, may_change=may_change)


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
    buttons = [Button(label="Run now", href=run, primary=True)]
    if newest is not None and newest["counts"]["failed"] > 0:
        buttons.append(Button(label="Run for failed", href=f"{run}?only=failed"))
    if is_running:
        number, post = str(newest["number"]), place("job", job_id, "cancel")
        buttons = [Button(label="Cancel run", post=post, fields=(("number", number),), danger=True)]
    said = f"{body['name']}: {action_words(body['action'])} on segment {body['group']}."
    if newest:
        counts = ", ".join(f"{grouped(count)} {RESULT[word].word}" for word, count in newest["counts"].items() if count)
        said = f"{body['name']}: run {newest['number']} {state_of(RUN, newest['state']).word}; {counts or 'no device'}."
    made = _document_sheet(
        "job",
        document,
        said,
        *((_results_section(results, labels, now), _runs_section(runs, now)) if runs is not None else ()),
        detail=f"It {action_words(body['action'])} on segment {body['group']}." if newest else "",
        every_s=RUNNING_EVERY_S if is_running else 0,
    )
    return replace(made, buttons=(*buttons, *(made.buttons if not is_running else ())))


def _results_section(results: Sequence[Mapping[str, Any]], labels: Mapping[str, str], now: int) -> Section:
    return Section(
        title="Devices of the newest run",
        columns=("Device", "State", "Attempts", "Answer", "Changed"),
        rows=[
            (
                sheet.device(each["device_id"], labels),
                sheet.state(RESULT, each["state"]),
                sheet.number(each["attempts"]),
                Cell(
                    text="" if each["answer"] is None else str(each["answer"])[:200],
                    reason="" if each["status"] is None else f"status {each['status']}",
                ),
                sheet.when(each["changed_ms"], now),
            )
            for each in results
        ],
        none="It was never run.",
    )


def _runs_section(runs: Sequence[Mapping[str, Any]], now: int) -> Section:
    return Section(
        title="Runs",
        columns=("Run", "State", "Done", "Failed", "Begun by", "Begun"),
        rows=[
            (
                sheet.text(each["number"]),
                sheet.state(RUN, each["state"]),
                sheet.number(f"{grouped(each['done'])} of {grouped(each['total'])}"),
                sheet.number(grouped(each["counts"]["failed"])),
                sheet.text(each["begun_by"]),
                sheet.when(each["started_ms"], now),
            )
            for each in runs
        ],
        none="None.",
    )


def action_words(action: Mapping[str, Any]) -> str:
    """What a job does, in words."""
    if action["kind"] == "command":
        return f"calls {action['command']}"
    if action["kind"] == "update":
        package = action.get("package")
        return f"moves to {action['device_group']}" if package is None else f"updates to version {package['version']}"
    return (
        f"sets {joined(sorted(action['properties']))} ({'cloud property' if 'cloud' in action['kind'] else 'desired'})"
    )


# Exports ----------------------------------------------------------------------------------------------------------


def exports_sheet(page: Mapping[str, Any], *, may_change: bool, now: int) -> Sheet:
    """All data exports."""
    found = [
        (
            sheet.text(item["body"]["name"], href=place("export", item["id"]), reason=item["id"]),
            export_state(item),
            sheet.text(item["body"]["source"]),
            sheet.text(item["body"]["destination"]["kind"]),
            sheet.text(catalog_words(item["body"])),
            sheet.when(item["changed_ms"], now),
        )
        for item in page["items"]
    ]
    return _list(
        "export", page, found, ("Export", "State", "What", "Where to", "Catalog", "Changed"), may_change=may_change
    )


def export_sheet(document: Mapping[str, Any], letters: Sequence[Mapping[str, Any]] | None) -> Sheet:
    """One data export, how it is doing, what was refused for good; None where the operator may not see that."""
    body, word = document["body"], state_of(EXPORT, document["status"]["state"]).word
    status = [(sheet.text(name.replace("_", " ")), sheet.code(value)) for name, value in document["status"].items()]
    return _document_sheet(
        "export",
        document,
        f"{body['name']}: {body['source']} to {body['destination']['kind']}, {word}.",
        Section(title="How it is doing", columns=("What", "Value"), rows=status, none="Nothing is known."),
        *(() if letters is None else (_letters_section(letters),)),
    )


def _letters_section(letters: Sequence[Mapping[str, Any]]) -> Section:
    return Section(
        title="Dead letters",
        columns=("Number", "Why"),
        rows=[(sheet.text(each["number"]), sheet.text(each.get("error", ""))) for each in letters],
        none="Nothing was refused for good.",
    )


def export_state(item: Mapping[str, Any]) -> Cell:
    """How an export is doing."""
    return sheet.state(EXPORT, item["status"]["state"], str(item["status"]["why"] or "")[:200])


# Shared -----------------------------------------------------------------------------------------------------------


def place_of(kind: str) -> str:
    """What the place of all documents of a kind is called."""
    return f"{NOUN[kind].capitalize()}s"


def _list(
    kind: str, page: Mapping[str, Any], found: Sequence[Sequence[Cell]], columns: tuple[str, ...], *, may_change: bool
) -> Sheet:
    word, path = WORD[kind], f"/{kind}s"
    return sheet.list_sheet(
        place_of(kind),
        columns,
        found,
        path=path,
        cursor=page["next"],
        says=f"{counted(len(found), word)}." if found else f"No {word} yet.",
        new=Button(label=f"New {word}", href=f"{path}/new") if may_change else None,
        command=f"armillary {NOUN[kind]} create --help",
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
        buttons=(Button(label="Delete", href=place(kind, document["id"], "delete"), danger=True),),
        sections=sections,
        facts=(("Catalog", sheet.text(catalog_words(document["body"]))),),
        every_s=every_s,
    )


def _value(filtered: Mapping[str, Any]) -> str:
    if filtered["operator"] == "exists":
        return "" if filtered.get("value", True) else "(not)"
    return json.dumps(filtered.get("value"), ensure_ascii=False)
