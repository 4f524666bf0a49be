# SPDX-License-Identifier: Apache-2.0
"""Alerts as pages: the list in words, one with its history, those of a device, the question before many. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.alerts.query import STATES, AlertQuery
from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Cell, Section, Sheet, device_href, next_href, place, text, when
from armillary.console.frame.states import ATTENTION, BAD, GOOD, SEVERITIES, SEVERITY, UNKNOWN, State, state_of
from armillary.console.frame.times import around, range_fields
from armillary.console.frame.values import is_number
from armillary.console.frame.words import Moment, counted, grouped, joined, moment, sentence, short_id, span
from armillary.console.language.say import apart, say, shaped
from armillary.engines.rules.alerts import MAX_NOTE_CHARACTERS

LIST: Final = "/alerts"
# Where many are acknowledged.
MANY: Final = "/acknowledge-alerts"
# What became of an action of a firing.
DELIVERY: Final[Mapping[str, State]] = MappingProxyType(
    {
        "done": State(GOOD, say("delivered")),
        "waiting": State(ATTENTION, say("waiting")),
        "dead": State(BAD, say("failed")),
    }
)
# Kind of what is told without an action of the rule.
CHOSEN: Final = "chosen-channels"
# Kind of an action -> what it does, before whom.
TOLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": say("E-mail to"),
        "webhook": say("Webhook to"),
        "command": say("Command"),
        "job": say("Job"),
        "quarantine": say("Quarantine of the device asked for"),
        "channel": say("Notification channel"),
        CHOSEN: say("Notification channels that chose alerts"),
    }
)
_ORDINARY: Final = ("info", "low", "medium")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """One alert in a table."""

    number: int
    href: str
    reason: str
    severity: State
    state: State
    note: str
    rule: str
    rule_href: str
    device: str
    device_href: str
    device_id: str
    fired: Moment | None
    lasted: str
    is_open: bool


# Columns of the table -> what they are sorted by.
COLUMNS: Final[Mapping[str, Callable[[AlertLine], object]]] = MappingProxyType(
    {
        say("Reason"): lambda line: line.reason,
        say("Severity"): lambda line: line.severity,
        say("State"): lambda line: line.state,
        say("Device"): lambda line: line.device,
        say("Rule"): lambda line: line.rule,
        say("Fired"): lambda line: line.fired,
    }
)


# What the exported list has besides.
EXPORTED: Final[Mapping[str, Callable[[AlertLine], object]]] = MappingProxyType(
    {
        "Duration": lambda line: line.lasted,
        "Acknowledged": lambda line: line.note,
        "Device id": lambda line: line.device_id,
        "Alert": lambda line: line.number,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPage:
    """The list; ``matching`` is the number of open alerts that match all filters but the state."""

    sentence: str
    detail: str
    here: str
    status: str
    states: tuple[tuple[str, str, bool], ...]
    filters: tuple[Field, ...]
    hidden: tuple[tuple[str, str], ...]
    clear_href: str
    lines: tuple[AlertLine, ...]
    next_href: str
    problem: str
    may_change: bool
    matching: int
    all_href: str
    note_limit: int = MAX_NOTE_CHARACTERS


def standing(item: Mapping[str, Any]) -> State:
    """The state of an alert: acknowledged, or open with what its conditions are now."""
    if item["acknowledged_ms"] is not None:
        return State(GOOD, say("acknowledged"))
    return State(BAD, say("open, active")) if item["over_ms"] is None else State(ATTENTION, say("open, cleared"))


def why(item: Mapping[str, Any]) -> str:
    """Why it fired, in short: what was compared, else what happened."""
    return str(item.get("reason") or item.get("summary") or sentence(str(item["trace"].get("why", ""))).rstrip("."))


def lasted(item: Mapping[str, Any], now: int) -> str:
    """For how long its conditions were met, or have been."""
    if item["over_ms"] is None:
        return say("for {span}", span=span(max(now - item["fired_ms"] / 1000, 0)))
    return say("lasted {span}", span=span(max((item["over_ms"] - item["fired_ms"]) / 1000, 0)))


def headline(*parts: str) -> str:
    """Parts of a headline with commas between; with dots where one of them has a comma itself, as names may."""
    return apart(parts, " · " if any("," in each for each in parts) else ", ")


def overview_sentence(overview: Mapping[str, Any], label: str, now: int) -> str:
    """The first line: "3 open, 1 critical: Temperature 30.5 °C > 25 °C, Freezer 2, for 4 min."."""
    if not overview["open"]:
        return say("No open alerts.")
    grave = [
        say("{count} {severity}", count=grouped(count), severity=SEVERITY[word].word)
        for word, count in overview["severities"].items()
        if word not in _ORDINARY
    ]
    counts = apart([say("{count} open", count=grouped(overview["open"])), *grave])
    gravest = overview["gravest"]
    if gravest is None:
        return sentence(counts)
    gravest_said = headline(why(gravest), label, lasted(gravest, now))
    return say("{counts}: {gravest}.", counts=counts, gravest=gravest_said)


def line_of(item: Mapping[str, Any], labels: Mapping[str, str], now: int) -> AlertLine:
    """One alert as a table shows it."""
    by = (
        say("by {acknowledged_by}", acknowledged_by=item["acknowledged_by"])
        if item["acknowledged_ms"] is not None
        else ""
    )
    return AlertLine(
        number=item["number"],
        href=f"{LIST}/{item['number']}",
        reason=why(item),
        severity=state_of(SEVERITY, item["severity"]),
        state=standing(item),
        note=apart([each for each in (by, item.get("note", "")) if each], ": "),
        rule=item["rule_name"],
        rule_href="" if item["rule_is_deleted"] else place("rule", item["rule_id"]),
        device=labels.get(item["device_id"]) or short_id(item["device_id"]).short,
        device_href=device_href(item["device_id"]),
        device_id=item["device_id"],
        fired=moment(item["fired_ms"] // 1000, now),
        lasted=lasted(item, now),
        is_open=item["acknowledged_ms"] is None,
    )


def alerts_page(
    query: AlertQuery,
    page: Mapping[str, Any],
    overview: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    rules: Sequence[tuple[str, str]],
    groups: Sequence[tuple[str, str]],
    matching: int,
    problem: str,
    may_change: bool,
    now: int,
) -> AlertsPage:
    """The list; ``rules`` and ``groups`` are (id, name) to filter by."""
    gravest = overview["gravest"]
    label = "" if gravest is None else labels.get(gravest["device_id"], "")
    lines = tuple(line_of(each, labels, now) for each in page["items"])
    return AlertsPage(
        sentence=overview_sentence(overview, label, now),
        detail=""
        if lines or query.is_narrowed
        else say("Rules say when a value is out of bounds; each firing is listed here."),
        here=query.address(),
        status=query.status,
        states=tuple((words, query.address(status=state), state == query.status) for state, words in STATES.items()),
        filters=_filters(query, rules, groups),
        hidden=tuple(query.given().items()),
        clear_href=AlertQuery(status=query.status).address() if query.is_narrowed else "",
        lines=lines,
        next_href=next_href(LIST, page["next"], query.given()),
        problem=problem,
        may_change=may_change,
        matching=matching,
        all_href=query.address(MANY),
    )


def _filters(
    query: AlertQuery, rules: Sequence[tuple[str, str]], groups: Sequence[tuple[str, str]]
) -> tuple[Field, ...]:
    def known(chosen: str, found: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        there = any(value == chosen for value, _ in found)
        return tuple(found) if not chosen or there else (*found, (chosen, say("{chosen} (deleted)", chosen=chosen)))

    def choice(name: str, label: str, none: str, found: Sequence[tuple[str, str]]) -> Field:
        value = getattr(query, name)
        return Field(name=name, label=label, kind="select", value=value, choices=(("", none), *known(value, found)))

    words = [(each, shaped(SEVERITY[each].word, str.capitalize)) for each in reversed(SEVERITIES)]
    return (
        choice("severity", say("Severity"), say("Any"), words),
        choice("rule", say("Rule"), say("Any"), rules),
        choice("group", say("Segment"), say("Any"), groups),
        Field(
            name="device",
            label=say("Device"),
            value=query.device,
            limits=limits(maxlength=128, placeholder=say("name or id")),
        ),
        *range_fields(say("Fired"), query.range, query.start, query.end),
    )


def alert_sheet(item: Mapping[str, Any], label: str, *, may_change: bool, now: int) -> Sheet:
    """One alert: what was compared, and its history."""
    line = line_of(item, {item["device_id"]: label}, now)
    trace = item["trace"]
    compared = Section(
        title=say("What was compared"),
        columns=(say("Condition"),),
        rows=[(text(each),) for each in trace.get("conditions", ())],
        none=say("Nothing: the rule fired by what happened."),
        note=say("under the machine names of the values"),
    )
    history = Section(
        title=say("History"),
        note=say("times in UTC on the pointer"),
        columns=(say("When"), say("What"), say("Result")),
        rows=_history(item, now),
        none="",
    )
    form = Form(
        post=f"{LIST}/{item['number']}/acknowledge",
        label=say("Acknowledge"),
        title=say("Acknowledge"),
        about=say("says that somebody takes care of it; the rule goes on"),
        fields=(
            Field(
                name="note",
                label=say("Note"),
                hint=say("optional; everybody who sees the alert sees it"),
                limits=limits(maxlength=MAX_NOTE_CHARACTERS),
            ),
        ),
        hidden=(("back", line.href),),
        primary=True,
    )
    rule = (
        Cell(text=item["rule_name"], reason=say("deleted rule"))
        if not line.rule_href
        else text(line.rule, href=line.rule_href)
    )
    trace_href = f"{line.rule_href}/trace?device={item['device_id']}"
    return Sheet(
        place=say("Alerts"),
        heading=say("Alert {number}", number=item["number"]),
        title=say("{alert}.", alert=headline(line.reason, line.device, line.lasted)),
        detail=sentence(str(item.get("summary") or trace.get("why", ""))),
        crumbs=((say("Alerts"), LIST), (say("Alert {number}", number=item["number"]), "")),
        facts=(
            (say("Severity"), Cell(state=line.severity)),
            (say("State"), Cell(state=line.state, reason=line.note)),
            (say("Rule"), rule),
            (say("Device"), text(line.device, href=line.device_href)),
            (say("Values"), text(say("Chart around this time"), href=chart_href(item))),
            *(
                ((say("Evaluations"), text(say("Why it fired, or did not"), href=trace_href)),)
                if line.rule_href
                else ()
            ),
            (say("Catalog"), text(item["catalog"] or say("none"))),
        ),
        sections=(history, compared),
        forms=(form,) if may_change and line.is_open else (),
        every_s=SEEN_EVERY_S,
    )


def chart_href(item: Mapping[str, Any]) -> str:
    """The chart of what an alert compared, from before it fired until after it was over, or fired."""
    over_ms = item["over_ms"]
    shown = around(item["fired_ms"] // 1000, None if over_ms is None else over_ms // 1000)
    every = item["trace"].get("compared") or ()
    drawn = [each["name"] for each in every if not each["silent_s"] and is_number(each["left"])]
    metric = {"metric": drawn[0]} if drawn else {}
    device_id = quote(item["device_id"].partition("/")[0], safe="")
    return f"/devices/{device_id}/values?{urlencode({**metric, **shown})}"


def _history(item: Mapping[str, Any], now: int) -> list[tuple[Cell, ...]]:
    """What happened, oldest first: fired, told, acknowledged, cleared."""
    at = item["at_ms"]
    measured = (
        ""
        if abs(item["fired_ms"] - at) < 1000
        else say("measured {span} before", span=span((item["fired_ms"] - at) / 1000))
    )
    found: list[tuple[int, tuple[Cell, ...]]] = [
        (item["fired_ms"], (text(say("Fired"), reason=measured), Cell(state=state_of(SEVERITY, item["severity"]))))
    ]
    for each in item["deliveries"]:
        tries = counted(each["attempts"], "attempt") if each["attempts"] > 1 else ""
        reason = apart([part for part in (each["error"], tries) if part])
        told = apart([part for part in (TOLD.get(each["kind"], each["kind"]), each["to"]) if part], " ")
        state = Cell(state=state_of(DELIVERY, each["state"]), reason=reason)
        action = "" if each["kind"] == CHOSEN else say("action {action}", action=each["action"])
        found.append((max(each["changed_ms"], item["fired_ms"]), (text(told, reason=action), state)))
    if not item["deliveries"]:
        found.append(
            (
                item["fired_ms"],
                (text(say("Nobody was told: the rule had no actions")), Cell(state=State(UNKNOWN, say("alert only")))),
            )
        )
    if item["over_ms"] is not None:
        found.append(
            (
                item["over_ms"],
                (text(say("Cleared: its conditions were no longer met")), Cell(state=State(GOOD, say("cleared")))),
            )
        )
    if item["acknowledged_ms"] is not None:
        by = text(
            say("Acknowledged by {acknowledged_by}", acknowledged_by=item["acknowledged_by"]), reason=item["note"]
        )
        found.append((item["acknowledged_ms"], (by, Cell(state=State(GOOD, say("acknowledged"))))))
    return [(when(at_ms, now), *cells) for at_ms, cells in sorted(found, key=lambda each: each[0])]


def many_confirmation(query: AlertQuery, count: int, up_to: int, seen: str) -> Confirmation:
    """What acknowledging all that match does."""
    what = counted(count, "open alert")
    filters = joined([f"{name} {value}" for name, value in query.given().items() if name != "status"])
    last = grouped(up_to)
    return Confirmation(
        title=say("Acknowledge {alerts}?", alerts=what),
        touches=touching(
            say("{alerts} with {filters}, up to number {last}.", alerts=what, filters=filters, last=last)
            if filters
            else say("{alerts}, up to number {last}.", alerts=what, last=last),
            say("Each says who acknowledged it, and the reason below."),
            say("Alerts that fire from now on; the rules go on."),
            say("Cannot be undone: they stay acknowledged."),
        ),
        label=say("Acknowledge"),
        post=MANY,
        back=query.address(),
        reason=True,
        hidden=(*query.given().items(), ("up_to", str(up_to)), ("count", str(count)), ("seen", seen)),
    )


def device_section(
    items: Sequence[Mapping[str, Any]], device_id: str, *, more: bool, now: int, anchor: str = "alerts"
) -> Section:
    """Open alerts of one device, for its page; ``more``: there are further ones."""
    lines = [line_of(each, {}, now) for each in items]
    rows = [
        (
            text(each.reason, href=each.href),
            Cell(state=each.severity),
            Cell(state=each.state),
            Cell(at=each.fired, text=say("never")),
            text(each.rule, href=each.rule_href),
        )
        for each in lines
    ]
    count = say("{count} or more", count=grouped(len(rows))) if more else grouped(len(rows))
    return Section(
        title=say("Alerts"),
        note=say("{count} open, newest first", count=count) if rows else "",
        columns=(say("Reason"), say("Severity"), say("State"), say("Fired"), say("Rule")),
        rows=rows,
        none=say("No open alerts of this device."),
        next_href=AlertQuery(device=device_id, status="all").address(),
        anchor=anchor,
    )
