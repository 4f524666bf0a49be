# SPDX-License-Identifier: Apache-2.0
"""Rules as pages: the list, one with its conditions, why it fired or did not, its alerts; the form of a simple one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from armillary.console.alerts.pages_alerts import line_of
from armillary.console.alerts.query import AlertQuery
from armillary.console.authored.catalog_choice import catalog_words
from armillary.console.authored.pages_trial import TrialChart
from armillary.console.frame import sheet
from armillary.console.frame.sheet import Bulk, Button, Cell, Editor, Section, Sheet, place, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, SEVERITY, UNKNOWN, State, state_of
from armillary.console.frame.words import counted, grouped, joined, sentence, span

SWITCH: Mapping[str, State] = MappingProxyType({"on": State(GOOD, "on"), "off": State(UNKNOWN, "off")})
OUTCOME: Mapping[str, State] = MappingProxyType(
    {
        "fired": State(BAD, "fired"),
        "still met": State(ATTENTION, "still met"),
        "not cleared yet": State(ATTENTION, "not cleared yet"),
        "waiting": State(ATTENTION, "waiting"),
        "cooling down": State(ATTENTION, "cooling down"),
        "quiet": State(ATTENTION, "quiet"),
        "cleared": State(GOOD, "cleared"),
        "not met": State(GOOD, "not met"),
        "gathered": State(UNKNOWN, "gathered"),
        "ignored": State(UNKNOWN, "ignored"),
    }
)
DEVICES = 50


def list_sheet(
    page: Mapping[str, Any], open_alerts: int, *, may_change: bool, now: int, bulk: Bulk | None = None
) -> Sheet:
    """All rules."""
    items = page["items"]
    on = sum(bool(item["body"].get("enabled", True)) for item in items)
    said = f"{counted(len(items), 'rule')}: {on} on; {counted(open_alerts, 'open alert')}." if items else "No rule yet."
    found = [
        (
            Cell(
                text=item["body"]["name"],
                href=place("rule", item["id"]),
                reason=item["body"].get("description", ""),
                pick=item["id"],
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
        bulk=bulk,
    )


def rule_sheet(
    document: Mapping[str, Any],
    devices: Sequence[tuple[str, str]],
    alerts: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    *,
    may_change: bool,
    editor: Editor | None,
    rule_form: Mapping[str, Any] | None,
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
        notices=tuple(("attention", f"{each}.") for each in document.get("unreachable", ())),
        title=f"{body['name']} {word}; it concerns {target_words(body.get('target', {}))}.",
        detail=body.get("description", ""),
        buttons=(
            Button(label="Try on the last day", href=place("rule", rule_id, "try")),
            *((Button(label="Notifications", href="/notification-channels"),) if document.get("unreachable") else ()),
            switch,
            Button(label="Delete", href=place("rule", rule_id, "delete"), danger=True),
        )
        if may_change
        else (),
        sections=(about, actions, alerts_section(alerts, labels, rule_id, now), whom),
        facts=(("Catalog", sheet.text(catalog_words(body))), ("Quiet times", sheet.text(quiet_words(body)))),
        rule_form=rule_form,
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


def trial_sheet(
    document: Mapping[str, Any],
    trial: Mapping[str, Any],
    labels: Mapping[str, str],
    stretch: str = "the last day",
    *,
    chart: TrialChart | None = None,
    links: tuple[tuple[str, str, bool], ...] = (),
) -> Sheet:
    """When a rule would have fired on what is stored of ``stretch``; ``links`` are devices whose chart can be seen."""
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
        plot=chart,
    )
    name = document["body"]["name"]
    return Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"), (name, place("rule", document["id"]))),
        title=f"{name} would have fired {counted(trial['firings'], 'time')} in {stretch}.{cut}",
        notices=tuple(("attention", text) for text in trial["warnings"]),
        links=links,
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


def alerts_section(items: Sequence[Mapping[str, Any]], labels: Mapping[str, str], rule_id: str, now: int) -> Section:
    """The newest alerts of a rule."""
    lines = [line_of(each, labels, now) for each in items]
    rows = [
        (
            Cell(at=each.fired, text="never"),
            text(each.reason, href=each.href),
            Cell(state=each.severity),
            Cell(state=each.state, reason=each.note),
            text(each.device, href=each.device_href),
        )
        for each in lines
    ]
    columns = ("Fired", "Reason", "Severity", "State", "Device")
    all_href = AlertQuery(rule=rule_id, status="all").address()
    return Section(
        title="Alerts", note="newest first", columns=columns, rows=rows, none="None yet.", next_href=all_href
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


def quiet_words(body: Mapping[str, Any]) -> str:
    """When a rule does not fire."""
    quiet = body.get("quiet")
    return f"{joined(list(quiet['times']))}, {quiet['zone']}" if quiet else "none"


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
