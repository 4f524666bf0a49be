# SPDX-License-Identifier: Apache-2.0
"""Rules as pages: the list, one with its conditions, why it fired or did not, its alerts; the form of a simple one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from armillary.console.authored.catalog_choice import catalog_field, catalog_words
from armillary.console.frame import sheet
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Editor, Section, Sheet, next_href, place
from armillary.console.frame.states import ATTENTION, BAD, GOOD, SEVERITY, UNKNOWN, State, state_of
from armillary.console.frame.words import counted, grouped, joined, sentence, span
from armillary.twin.author.shorthand import value_of
from armillary.twin.rule.rule import OPERATORS, SEVERITIES, Aggregate

SWITCH: Mapping[str, State] = MappingProxyType({"on": State(GOOD, "on"), "off": State(UNKNOWN, "off")})
ALERT: Mapping[str, State] = MappingProxyType(
    {
        "open": State(BAD, "open"),
        "over": State(ATTENTION, "over, not acknowledged"),
        "acknowledged": State(GOOD, "acknowledged"),
    }
)
OUTCOME: Mapping[str, State] = MappingProxyType(
    {
        "fired": State(BAD, "fired"),
        "still met": State(ATTENTION, "still met"),
        "not cleared yet": State(ATTENTION, "not cleared yet"),
        "waiting": State(ATTENTION, "waiting"),
        "cooling down": State(ATTENTION, "cooling down"),
        "cleared": State(GOOD, "cleared"),
        "not met": State(GOOD, "not met"),
        "gathered": State(UNKNOWN, "gathered"),
        "ignored": State(UNKNOWN, "ignored"),
    }
)
AGGREGATES = tuple(each.value for each in Aggregate)
# Conditions that the form has room for; more are written as JSON.
FORM_ROWS = 4
DEVICES = 50


def list_sheet(page: Mapping[str, Any], open_alerts: int, *, may_change: bool, now: int) -> Sheet:
    """All rules."""
    items = page["items"]
    on = sum(bool(item["body"].get("enabled", True)) for item in items)
    said = f"{counted(len(items), 'rule')}: {on} on; {counted(open_alerts, 'open alert')}." if items else "No rule yet."
    found = [
        (
            sheet.text(
                item["body"]["name"], href=place("rule", item["id"]), reason=item["body"].get("description", "")
            ),
            sheet.state(SWITCH, "on" if item["body"].get("enabled", True) else "off"),
            sheet.state(SEVERITY, item["body"].get("severity", "medium")),
            sheet.text(conditions_words(item)),
            sheet.text(target_words(item["body"].get("target", {}))),
            sheet.text(catalog_words(item["body"])),
            sheet.when(item["changed_ms"], now),
        )
        for item in items
    ]
    columns = ("Rule", "State", "Severity", "Fires when", "Concerns", "Catalog", "Changed")
    return sheet.list_sheet(
        "Rules",
        columns,
        found,
        path="/rules",
        cursor=page["next"],
        says=said,
        new=Button(label="New rule", href="/rules/new") if may_change else None,
        command="armillary rule create --help",
        detail="A rule looks at what devices send and does something about it: it says so, calls a webhook, sends a "
        "command.",
    )


def rule_sheet(
    document: Mapping[str, Any],
    devices: Sequence[tuple[str, str]],
    alerts: Sequence[Mapping[str, Any]],
    *,
    may_change: bool,
    editor: Editor | None,
    catalogs: Sequence[str],
    now: int,
) -> Sheet:
    """One rule, with (id, name) of ``devices`` that it may concern, and its newest ``alerts``."""
    body, rule_id = document["body"], document["id"]
    is_on = body.get("enabled", True)
    about = Section(
        title="Conditions",
        note=f"{'all' if body.get('match', 'all') == 'all' else 'one'} of them{window_words(body)}",
        columns=("Fires when",),
        rows=[(sheet.text(sentence(each).rstrip(".")),) for each in document["conditions"]],
        none="",
    )
    actions = Section(
        title="Actions",
        columns=("Action", "Kind", "What"),
        rows=[
            (
                sheet.text(each.get("name", "")),
                sheet.text(each["kind"]),
                sheet.code({k: v for k, v in each.items() if k not in ("name", "kind")}),
            )
            for each in body.get("actions", ())
        ],
        none="No actions: creates an alert only.",
    )
    whom = Section(
        title="Why it fired, or did not",
        note="last evaluations of each device since the hub's start",
        columns=("Device", "Trace"),
        rows=[
            (sheet.device(device, {device: name}), sheet.text("Show", href=trace_href(rule_id, device)))
            for device, name in devices
        ],
        none="Look a device up by its id above.",
    )
    switch = Button(
        label="Switch off" if is_on else "Switch on", post=place("rule", rule_id, "disable" if is_on else "enable")
    )
    word = "is on" if is_on else "is off: nothing is evaluated"
    return Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"),),
        title=f"{body['name']} {word}; it concerns {target_words(body.get('target', {}))}.",
        detail=body.get("description", ""),
        buttons=(
            Button(label="Try on the last day", href=place("rule", rule_id, "try")),
            switch,
            Button(label="Delete", href=place("rule", rule_id, "delete"), danger=True),
        )
        if may_change
        else (),
        sections=(about, actions, alerts_section(alerts, dict(devices), may_change=False, now=now), whom),
        facts=(("Catalog", sheet.text(catalog_words(body))),),
        rule_form=form_of(document, catalogs) if may_change else None,
        editor=editor,
        find=place("rule", rule_id, "trace"),
    )


def trace_href(rule_id: str, device_id: str) -> str:
    """Where the trace of a rule for a device is."""
    return f"{place('rule', rule_id, 'trace')}?device={device_id}"


def trace_sheet(rule_name: str, trace: Mapping[str, Any], label: str, now: int) -> Sheet:
    """Why a rule fired or did not for a device."""
    items = trace["items"]
    if trace["unconcerned"]:
        said = f"{rule_name} does not look at {label}: {trace['unconcerned']}."
    elif not items:
        said = f"{rule_name} has not been evaluated for {label} since the hub's start."
    else:
        said = f"{rule_name} on {label}: {state_of(OUTCOME, items[0]['outcome']).word}."
    found = [
        (
            sheet.when(item["now_ms"], now),
            sheet.state(OUTCOME, item["outcome"]),
            Cell(text=evaluation(item), reason=_details(item)),
        )
        for item in items
    ]
    section = Section(
        title="Evaluations",
        note=f"newest first; state now: {trace['state'] or 'none'}",
        columns=("When", "Outcome", "Why"),
        rows=found,
        none="An evaluation comes with the next message of the device, or when it has been silent for long enough.",
    )
    return Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"), (rule_name, place("rule", trace["rule_id"]))),
        title=said,
        detail=evaluation(items[0]) if items else "",
        sections=(section,),
        find=place("rule", trace["rule_id"], "trace"),
    )


def trial_sheet(document: Mapping[str, Any], trial: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    """When a rule would have fired on what is stored."""
    devices = sorted(trial["devices"], key=lambda each: (-each["firings"], each["device_id"]))
    found = [
        (
            sheet.device(each["device_id"], labels),
            sheet.number(grouped(each["firings"])),
            Cell(text=_tried_words(each), reason=_shown(each).get("event") or ""),
        )
        for each in devices[:DEVICES]
    ]
    cut = " There was more to look at than a trial may." if trial["is_cut"] else ""
    section = Section(
        title="Devices",
        note="nothing was kept or done",
        columns=("Device", "Firings", "First firing, or last evaluation"),
        rows=found,
        none="No device that the rule concerns has sent anything.",
    )
    name = document["body"]["name"]
    return Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"), (name, place("rule", document["id"]))),
        title=f"{name} would have fired {counted(trial['firings'], 'time')} in the last day.{cut}",
        notices=tuple(("attention", text) for text in trial["warnings"]),
        sections=(section,),
    )


def _shown(tried: Mapping[str, Any]) -> Mapping[str, Any]:
    """The evaluation to show: the first that fired, else the newest."""
    return next(iter([*tried["fired"], *tried["last"]]), {})


def _tried_words(tried: Mapping[str, Any]) -> str:
    shown = _shown(tried)
    return evaluation(shown) if shown else sentence(str(tried["unconcerned"] or "it was never evaluated"))


def _details(item: Mapping[str, Any]) -> str:
    """What led to an evaluation; what it compared, under machine names, only where no sentence says it."""
    if item["summary"] and item.get("event"):
        return " · ".join([sentence(item["event"]), *item["notes"]])
    more = [each for each in item["conditions"] if each not in item["why"]]
    return " · ".join([item["why"], *more, *item["notes"]])


def evaluation(found: Mapping[str, Any]) -> str:
    """Why an evaluation, or an alert's, came out as it did: what was compared, else what happened."""
    return sentence(str(found.get("summary") or found.get("trace", found).get("why", "")))


def alerts_sheet(
    page: Mapping[str, Any], labels: Mapping[str, str], status: str, *, may_change: bool, now: int
) -> Sheet:
    """Alerts of one status."""
    items = page["items"]
    kind = {"open": "open ", "acknowledged": "acknowledged ", "all": ""}[status]
    more = " or more" if page["next"] else ""
    said = f"{counted(len(items), f'{kind}alert')}{more}." if items else f"No {kind}alert."
    ways = [
        Button(label=word, href=f"/alerts?status={word}") for word in ("open", "acknowledged", "all") if word != status
    ]
    section = alerts_section(items, labels, may_change=may_change, now=now, status=status, cursor=page["next"])
    return Sheet(place="Alerts", title=said, buttons=tuple(ways), sections=(section,), every_s=SEEN_EVERY_S)


def alerts_section(
    items: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    *,
    may_change: bool,
    now: int,
    status: str = "all",
    cursor: str | None = None,
) -> Section:
    """A table of alerts."""
    found = []
    for item in items:
        acknowledged = item["acknowledged_ms"] is not None
        word = "acknowledged" if acknowledged else "over" if item["over_ms"] is not None else "open"
        device, is_gone = item["device_id"], item["rule_is_deleted"]
        row = [
            sheet.when(item["fired_ms"], now),
            sheet.state(SEVERITY, item["severity"]),
            Cell(text=item["rule_name"], reason="deleted rule")
            if is_gone
            else sheet.text(item["rule_name"], href=place("rule", item["rule_id"])),
            sheet.device(device, labels),
            sheet.text(evaluation(item), href="" if is_gone else trace_href(item["rule_id"], device)),
            sheet.state(ALERT, word, f"by {item['acknowledged_by']}" if acknowledged else ""),
        ]
        if may_change:
            post = f"/alerts/{item['number']}/acknowledge"
            row.append(sheet.button("Acknowledge", post, ("status", status)) if not acknowledged else Cell())
        found.append(row)
    columns = ("When", "Severity", "Rule", "Device", "Why", "State", *(("Do",) if may_change else ()))
    return Section(
        title="Alerts",
        columns=columns,
        rows=found,
        none="None.",
        next_href=next_href("/alerts", cursor, {"status": status}),
        sorts=True,
    )


# Words ------------------------------------------------------------------------------------------------------------


def conditions_words(document: Mapping[str, Any]) -> str:
    """All conditions of a rule in one line."""
    word = "and" if document["body"].get("match", "all") == "all" else "or"
    return sentence(joined(list(document["conditions"]), word)).rstrip(".")


def window_words(body: Mapping[str, Any]) -> str:
    """``, over 5 min (sliding)``; "" without a window."""
    window = body.get("window")
    return f", over {span(window['length_s'])} ({window['kind']})" if window else ""


def target_words(target: Mapping[str, Any]) -> str:
    """Which devices a rule concerns."""
    parts = [
        f"{name.replace('_', ' ')} {target[name]}"
        for name in ("template", "product", "device_group")
        if target.get(name)
    ]
    if target.get("devices"):
        parts.append(counted(len(target["devices"]), "named device"))
    if target.get("filters"):
        parts.append(counted(len(target["filters"]), "filter"))
    return joined(parts) if parts else "every device"


def _operand(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"the cloud property {value.get('cloud_property', '')}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# The form ---------------------------------------------------------------------------------------------------------


def new_rule() -> dict[str, Any]:
    """What the form of a new rule begins with."""
    return {"name": "", "severity": "medium", "match": "all", "target": {}, "conditions": [], "actions": []}


# Members of a condition in JSON -> the column of the form that they are typed in.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "aggregate": "aggregate",
        "telemetry": "value or property",
        "property": "value or property",
        "op": "comparison",
        "value": "threshold",
        "clear": "clears at",
    }
)
_PLACE = re.compile(r"conditions\[(\d{1,3})\](?:\.(\w+))?")


def in_words(message: str) -> str:
    """What is wrong with a rule's form, with the form's own words for the place: "condition 1, threshold"."""

    def place(found: re.Match[str]) -> str:
        column = COLUMNS.get(found[2] or "")
        return f"condition {int(found[1]) + 1}" + (f", {column}" if column else "")

    said = _PLACE.sub(place, message)
    return said[:1].upper() + said[1:]


def form_of(document: Mapping[str, Any], catalogs: Sequence[str]) -> dict[str, Any] | None:
    """A rule in the form's fields; None where it says what the form cannot."""
    body = document["body"]
    conditions = body["conditions"]
    simple = len(conditions) <= FORM_ROWS and all(
        (each.get("telemetry") or each.get("property"))
        and not isinstance(each.get("value"), Mapping)
        and not each.get("silent_s")
        for each in conditions
    )
    if not simple:
        return None
    lines = [
        {
            "aggregate": each.get("aggregate") or "",
            "name": each.get("telemetry") or each.get("property"),
            "op": each.get("op", "=="),
            "value": _operand(each.get("value")),
            "clear": "" if each.get("clear") is None else _operand(each["clear"]),
        }
        for each in conditions
    ]
    blank = {"aggregate": "", "name": "", "op": ">", "value": "", "clear": ""}
    window = body.get("window") or {}
    return {
        "post": place("rule", document["id"], "form") if document["id"] else "/rules/new",
        "etag": document["etag"],
        "name": body["name"],
        "severity": body.get("severity", "medium"),
        "severities": SEVERITIES,
        "catalog": catalog_field(body, catalogs, is_new=not document["id"]),
        "template": body.get("target", {}).get("template", ""),
        "match": body.get("match", "all"),
        "window_s": window.get("length_s", ""),
        "lines": [*lines, *[blank] * (FORM_ROWS - len(lines))],
        "aggregates": AGGREGATES,
        "operators": tuple(OPERATORS),
        "is_new": not document["id"],
    }


def rule_of(form: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    """The rule that a form says; what the form has no field for stays as it is in ``body``."""
    conditions = []
    for at in range(FORM_ROWS):
        name = form.get(f"name_{at}", "").strip()
        if not name:
            continue
        which = "property" if name.split(".")[0] in ("reported", "desired", "tags", "cloud") else "telemetry"
        condition: dict[str, Any] = {
            which: name,
            "op": form.get(f"op_{at}", ""),
            "value": value_of(form.get(f"value_{at}", "").strip()),
        }
        if form.get(f"aggregate_{at}"):
            condition["aggregate"] = form[f"aggregate_{at}"]
        if form.get(f"clear_{at}", "").strip():
            condition["clear"] = value_of(form[f"clear_{at}"].strip())
        conditions.append(condition)
    target = {**body.get("target", {}), "template": form.get("template", "").strip()}
    made = {
        **body,
        "name": form.get("name", "").strip(),
        "severity": form.get("severity", ""),
        "match": form.get("match", ""),
        "target": {name: value for name, value in target.items() if value},
        "conditions": conditions,
    }
    window = form.get("window_s", "").strip()
    if window:
        made["window"] = {"kind": "sliding", **(body.get("window") or {}), "length_s": value_of(window)}
    else:
        made.pop("window", None)
    return made
