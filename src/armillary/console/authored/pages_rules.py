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
from armillary.console.language.say import apart, say, shaped

_TARGETS: Mapping[str, str] = MappingProxyType(
    {"template": say("template"), "product": say("product"), "device_group": say("device group")}
)
SWITCH: Mapping[str, State] = MappingProxyType({"on": State(GOOD, say("on")), "off": State(UNKNOWN, say("off"))})
OUTCOME: Mapping[str, State] = MappingProxyType(
    {
        "fired": State(BAD, say("fired")),
        "still met": State(ATTENTION, say("still met")),
        "not cleared yet": State(ATTENTION, say("not cleared yet")),
        "waiting": State(ATTENTION, say("waiting")),
        "cooling down": State(ATTENTION, say("cooling down")),
        "quiet": State(ATTENTION, say("quiet")),
        "cleared": State(GOOD, say("cleared")),
        "not met": State(GOOD, say("not met")),
        "gathered": State(UNKNOWN, say("gathered")),
        "ignored": State(UNKNOWN, say("ignored")),
    }
)
DEVICES = 50


def list_sheet(
    page: Mapping[str, Any],
    open_alerts: int,
    *,
    may_change: bool,
    now: int,
    bulk: Bulk | None = None,
    search: str = "",
) -> Sheet:
    """All rules, or those that have ``search`` in their name or id."""
    items = page["items"]
    on = sum(bool(item["body"].get("enabled", True)) for item in items)
    said = (
        say(
            "{rules}: {on} on; {alerts}.",
            rules=counted(len(items), "rule"),
            on=on,
            alerts=counted(open_alerts, "open alert"),
        )
        if items
        else say("No rule yet.")
    )
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
    columns = (
        say("Rule"),
        say("State"),
        say("Severity"),
        say("Fires when"),
        say("Concerns"),
        say("Catalog"),
        say("Changed"),
    )
    return sheet.list_sheet(
        say("Rules"),
        columns,
        found,
        path="/rules",
        cursor=page["next"],
        says=said,
        new=Button(label=say("New rule"), href="/rules/new") if may_change else None,
        command="armillary rule create --help",
        detail=say(
            "A rule looks at what devices send and does something about it: it says so, calls a webhook, "
            "sends a command."
        ),
        bulk=bulk,
        search=search,
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
    word = say("is on") if is_on else say("is off: nothing is evaluated")
    return Sheet(
        place=say("Rules"),
        crumbs=((say("Rules"), "/rules"),),
        notices=tuple(("attention", sentence(each)) for each in document.get("unreachable", ())),
        title=say(
            "{name} {word}; it concerns {target}.",
            name=body["name"],
            word=word,
            target=target_words(body.get("target", {})),
        ),
        detail=body.get("description", ""),
        buttons=_buttons(document, is_on=is_on) if may_change else (),
        sections=(
            _conditions(document),
            _actions(body),
            alerts_section(alerts, labels, rule_id, now),
            _whom(rule_id, devices),
        ),
        facts=((say("Catalog"), sheet.text(catalog_words(body))), (say("Quiet times"), sheet.text(quiet_words(body)))),
        rule_form=rule_form,
        editor=editor,
        find=place("rule", rule_id, "trace"),
    )


def _conditions(document: Mapping[str, Any]) -> Section:
    body = document["body"]
    return Section(
        title=say("Conditions"),
        note=apart(
            [
                say("all of them") if body.get("match", "all") == "all" else say("one of them"),
                *([window_words(body)] if body.get("window") else []),
            ]
        ),
        columns=(say("Fires when"),),
        rows=[(sheet.text(sentence(each).rstrip(".")),) for each in document["conditions"]],
        none="",
    )


def _actions(body: Mapping[str, Any]) -> Section:
    return Section(
        title=say("Actions"),
        columns=(say("Action"), say("Kind"), say("What")),
        rows=[
            (
                sheet.text(each.get("name", "")),
                sheet.text(each["kind"]),
                sheet.code({k: v for k, v in each.items() if k not in ("name", "kind")}),
            )
            for each in body.get("actions", ())
        ],
        none=say("No actions: creates an alert only."),
    )


def _whom(rule_id: str, devices: Sequence[tuple[str, str]]) -> Section:
    return Section(
        title=say("Why it fired, or did not"),
        note=say("last evaluations of each device since the hub's start"),
        columns=(say("Device"), say("Trace")),
        rows=[
            (sheet.device(device, {device: name}), sheet.text(say("Show"), href=trace_href(rule_id, device)))
            for device, name in devices
        ],
        none=say("Look a device up by its id above."),
    )


def _buttons(document: Mapping[str, Any], *, is_on: bool) -> tuple[Button, ...]:
    """What whoever may change a rule can do with it."""
    rule_id = document["id"]
    switch = Button(
        label=say("Switch off") if is_on else say("Switch on"),
        post=place("rule", rule_id, "disable" if is_on else "enable"),
    )
    return (
        Button(label=say("Try on the last day"), href=place("rule", rule_id, "try")),
        *((Button(label=say("Notifications"), href="/notification-channels"),) if document.get("unreachable") else ()),
        switch,
        Button(label=say("Delete"), href=place("rule", rule_id, "delete"), danger=True),
    )


def trace_href(rule_id: str, device_id: str) -> str:
    """Where the trace of a rule for a device is."""
    return f"{place('rule', rule_id, 'trace')}?device={device_id}"


def trace_sheet(rule_name: str, trace: Mapping[str, Any], label: str, now: int) -> Sheet:
    """Why a rule fired or did not for a device."""
    items = trace["items"]
    if trace["unconcerned"]:
        said = say(
            "{rule} does not look at {label}: {unconcerned}.",
            rule=rule_name,
            label=label,
            unconcerned=trace["unconcerned"],
        )
    elif not items:
        said = say("{rule} has not been evaluated for {label} since the hub's start.", rule=rule_name, label=label)
    else:
        said = say(
            "{rule} on {label}: {outcome}.",
            rule=rule_name,
            label=label,
            outcome=state_of(OUTCOME, items[0]["outcome"]).word,
        )
    found = [
        (
            sheet.when(item["now_ms"], now),
            sheet.state(OUTCOME, item["outcome"]),
            Cell(text=evaluation(item), reason=_details(item)),
        )
        for item in items
    ]
    section = Section(
        title=say("Evaluations"),
        note=say("newest first; state now: {state}", state=trace["state"] or say("none")),
        columns=(say("When"), say("Outcome"), say("Why")),
        rows=found,
        none=say(
            "An evaluation comes with the next message of the device, or when it has been silent for long enough."
        ),
    )
    return Sheet(
        place=say("Rules"),
        crumbs=((say("Rules"), "/rules"), (rule_name, place("rule", trace["rule_id"]))),
        title=said,
        detail=evaluation(items[0]) if items else "",
        sections=(section,),
        find=place("rule", trace["rule_id"], "trace"),
    )


def trial_sheet(
    document: Mapping[str, Any],
    trial: Mapping[str, Any],
    labels: Mapping[str, str],
    stretch: str = say("the last day"),
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
    section = Section(
        title=say("Devices"),
        note=say("nothing was kept or done"),
        columns=(say("Device"), say("Firings"), say("First firing, or last evaluation")),
        rows=found,
        none=say("No device that the rule concerns has sent anything."),
        plot=chart,
    )
    name, times = document["body"]["name"], counted(trial["firings"], "time")
    says = say("{name} would have fired {times} in {stretch}.", name=name, times=times, stretch=stretch)
    return Sheet(
        place=say("Rules"),
        crumbs=((say("Rules"), "/rules"), (name, place("rule", document["id"]))),
        title=say("{says} There was more to look at than a trial may.", says=says) if trial["is_cut"] else says,
        notices=tuple(("attention", text) for text in trial["warnings"]),
        links=links,
        sections=(section,),
    )


def _shown(tried: Mapping[str, Any]) -> Mapping[str, Any]:
    """The evaluation to show: the first that fired, else the newest."""
    return next(iter([*tried["fired"], *tried["last"]]), {})


def _tried_words(tried: Mapping[str, Any]) -> str:
    shown = _shown(tried)
    return evaluation(shown) if shown else sentence(str(tried["unconcerned"] or say("it was never evaluated")))


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
            Cell(at=each.fired, text=say("never")),
            text(each.reason, href=each.href),
            Cell(state=each.severity),
            Cell(state=each.state, reason=each.note),
            text(each.device, href=each.device_href),
        )
        for each in lines
    ]
    columns = (say("Fired"), say("Reason"), say("Severity"), say("State"), say("Device"))
    all_href = AlertQuery(rule=rule_id, status="all").address()
    return Section(
        title=say("Alerts"),
        note=say("newest first"),
        columns=columns,
        rows=rows,
        none=say("None yet."),
        next_href=all_href,
    )


# Words ------------------------------------------------------------------------------------------------------------


def conditions_words(document: Mapping[str, Any]) -> str:
    """All conditions of a rule in one line."""
    word = "and" if document["body"].get("match", "all") == "all" else "or"
    return shaped(sentence(joined(list(document["conditions"]), word)), lambda said: said.rstrip("."))


def window_words(body: Mapping[str, Any]) -> str:
    """``over 5 min (sliding)``."""
    window = body["window"]
    return say("over {length} ({kind})", length=span(window["length_s"]), kind=window["kind"])


def quiet_words(body: Mapping[str, Any]) -> str:
    """When a rule does not fire."""
    quiet = body.get("quiet")
    return apart([joined(list(quiet["times"])), quiet["zone"]]) if quiet else say("none")


def target_words(target: Mapping[str, Any]) -> str:
    """Which devices a rule concerns."""
    parts: list[str] = [
        say("{what} {name}", what=word, name=target[what]) for what, word in _TARGETS.items() if target.get(what)
    ]
    if target.get("devices"):
        parts.append(counted(len(target["devices"]), "named device"))
    if target.get("filters"):
        parts.append(counted(len(target["filters"]), "filter"))
    return joined(parts) if parts else say("every device")
