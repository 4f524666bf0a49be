# SPDX-License-Identifier: Apache-2.0
"""The tabs of a device, read: overview, live values, alerts, commands, software, update, containment, log, history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from armillary.console.alerts.pages_alerts import device_section
from armillary.console.device import (
    change,
    commands,
    device_data,
    device_template,
    device_twin,
    pages_device,
    pages_device_data,
    pages_device_life as life,
    pages_device_log as logs,
    pages_device_sections as sections,
    pages_hub,
)
from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_device_update import update_sheet
from armillary.console.device.subject import Subject, catalog_of, found_of, named, show_tab
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, may, shown_range
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Section, Sheet
from armillary.console.frame.times import RANGES, asked_range, choice_of
from armillary.console.frame.values import exact_text
from armillary.console.frame.words import counted, grouped, joined, moment
from armillary.console.language.say import known, say, say_count
from armillary.errors import InvalidArgumentError
from armillary.twin.template.value_names import from_fields

# Lines of one device's records on its page; the API pages through all of them.
RECORD_LINES = 50
# Alerts of the overview.
FEW_ALERTS = 5
# Alerts of its tab; all are on the page of alerts.
ALERT_LINES = 50
# Rules that are looked through for bounds of a chart.
RULES = 200


def overview_sections(visit: Visit, subject: Subject) -> tuple[Section, ...]:
    """What the overview of every device has: open alerts, then last values."""
    shown = []
    if subject.alerts:
        more = len(subject.alerts) > FEW_ALERTS
        found = device_section(subject.alerts[:FEW_ALERTS], subject.device_id, more=more, now=visit.now)
        shown.append(replace(found, next_href=""))  # its tab has the rest
    called = visit.sources.hub.called(subject.device_id)
    shown.append(sections.values(pages_hub.value_lines(subject.values, called, "", visit.now), subject.device_id))
    return tuple(shown)


def overview(visit: Visit, subject: Subject) -> Response:
    """Can I trust this one, and why?"""
    found, now, device_id = subject.found, visit.now, subject.device_id
    records = visit.sources.fleet.records(device_id, limit=RECORD_LINES)
    last = records["check_ins"][0] if records["check_ins"] else None
    opened = [each for each in records["findings"] if each["status"] == "open"]
    allowed = {verb: may(visit, f"fleet.{verb}") for verb in life.VERBS}
    ways = [
        Button(label=each.label, href=each.href, danger=each.danger, refused=each.refused)
        for each in life.actions(found, allowed, visit.operator.role, now)
    ]
    checks = sections.appraisal(
        pages_device.steps(last), moment(last["at"], now) if last else None, pages_device.without_steps(found)
    )
    shared = overview_sections(visit, subject)
    said = ask(visit, "show_cellular_status", device_id=device_id)["status"]
    modem = (sections.cellular(said, found, now),) if said else ()
    found_wrong = (sections.findings(opened),) if opened else ()
    offer = life.offer(found, now)
    made = Sheet(
        place=say("Fleet"),
        title=subject.verdict.sentence,
        detail=subject.verdict.detail,
        buttons=(*ways, *_elsewhere(device_id, offer)),
        notices=(("attention", offer.sentence),) if offer else (),
        facts=sections.facts(pages_device.facts(found, now, connected=visit.sources.hub.connected(device_id))),
        sections=(*found_wrong, *shared[:-1], checks, *modem, shared[-1])
        if subject.proves
        else (*found_wrong, *shared, *modem, checks),
        forms=(life.name_form(device_id, found["name"], is_named=found["is_named"]),)
        if may(visit, "name_device")
        else (),
        every_s=SEEN_EVERY_S,
    )
    return show_tab(visit, subject, made)


def _elsewhere(device_id: str, offer: life.Offer | None) -> tuple[Button, ...]:
    """Pages about the device that are no tabs of it."""
    return (
        *((Button(label=say("Offers that wait"), href=offer.href),) if offer else ()),
        Button(label=say("Seven properties"), href=place(device_id, "assessment")),
        Button(label=say("Trace"), href=f"/traces/device/{device_id}"),
    )


def values(visit: Visit, subject: Subject) -> Response:
    """What it sends now, and over time."""
    called = visit.sources.hub.called(subject.device_id)
    metric = pages_hub.chosen_metric(subject.values, visit.query.get("metric", ""))
    lines = pages_hub.value_lines(subject.values, called, metric, visit.now)
    shown, problem = shown_range(visit)
    stale = sum(line.stale for line in lines)
    said = say_count(len(lines), "It sends {n} value.", "It sends {n} values.", n=grouped(len(lines)))
    if stale:
        said = say_count(
            len(lines),
            "It sends {n} value, {stale} of them stale.",
            "It sends {n} values, {stale} of them stale.",
            n=grouped(len(lines)),
            stale=stale,
        )
    if not lines:
        said = say("It has sent nothing yet.")
    name = from_fields(called(metric))
    bounds = _thresholds(visit, subject.device_id, catalog_of(visit, subject.found), metric) if metric else []
    view = {
        "head": subject.head,
        "sentence": said,
        "thresholds": say("Rules: {names}.", names=joined([each["label"] for each in bounds])) if bounds else "",
        "last_values": lines,
        "metric": metric,
        "metric_name": name.display_name if metric else "",
        "ranges": choice_of(
            place(subject.device_id, "values"),
            visit.query,
            shown,
            visit.now,
            default=pages_hub.DEFAULT_RANGE,
            kept={"metric": metric} if metric else {},
            problem=problem,
        ),
        "is_fixed": shown.is_fixed,
        "range_query": urlencode(shown.given),
        "series_href": place(subject.device_id, "series"),
        "live_href": place(subject.device_id, "live"),
    }
    return visit.page("device_values.html", view=view, status=400 if problem else 200)


def series(visit: Visit) -> Response:
    """Points of one metric for the chart."""
    asked, metric = visit.query.get("range", pages_hub.DEFAULT_RANGE), visit.query.get("metric", "")
    if asked not in RANGES or not metric:
        raise InvalidArgumentError(
            f"range: expected one of {', '.join(RANGES)} and a metric", remedy="Use the buttons on the page."
        )
    begin, end = asked_range(visit.query, visit.now).bounds(visit.now + 1, RANGES[pages_hub.DEFAULT_RANGE])
    start_ms, end_ms = begin * 1000, end * 1000
    found = found_of(visit, visit.params["device_id"])
    device_id = found["device_id"]
    points = visit.sources.hub.series(device_id, metric, start_ms, end_ms, pages_hub.MAX_POINTS)
    name = from_fields(visit.sources.hub.called(device_id)(metric))
    bounds = _thresholds(visit, device_id, catalog_of(visit, found), metric)
    return JSONResponse(pages_hub.chart(name, points, start_ms, end_ms) | {"thresholds": bounds})


def point_event(item: dict[str, Any], called: dict[str, Any]) -> dict[str, Any]:
    """A live point as the chart takes it, with the text that the table shows; ``called`` says what its metric is."""
    return {**item, "text": exact_text(item["value"], from_fields(called))}


def alerts(visit: Visit, subject: Subject) -> Response:
    """What rules found about it."""
    found = ask(visit, "list_alerts", limit=ALERT_LINES, status="all", of_device=subject.device_id)
    items = found["items"]
    is_open = sum(each["acknowledged_ms"] is None for each in items)
    said = say_count(is_open, "{n} open alert.", "{n} open alerts.", n=grouped(is_open))
    if not is_open:
        said = say("No open alert.")
    elif found["next"]:
        said = say_count(is_open, "{n} open alert or more.", "{n} open alerts or more.", n=grouped(is_open))
    section = device_section(items, subject.device_id, more=found["next"] is not None, now=visit.now)
    made = Sheet(
        place=say("Alerts"),
        title=said,
        detail="" if items else say("A rule that its values meet makes one."),
        buttons=(
            Button(label=say("Filter and acknowledge"), href=f"/alerts?{urlencode({'device': subject.device_id})}"),
        ),
        sections=(replace(section, next_href="", note=say("newest first, acknowledged ones too")),),
        every_s=SEEN_EVERY_S,
    )
    return show_tab(visit, subject, made)


def commands_page(visit: Visit, subject: Subject) -> Response:
    """What people had it do, and a form to have it do something."""
    template = ask(visit, "show_device_template", device_id=subject.device_id)
    names = commands.names_of(visit, template)
    lines = commands.sent_before(visit, subject.device_id)
    return show_tab(
        visit,
        subject,
        pages_device_data.commands_sheet(
            subject.device_id, names, lines, may_call=may(visit, "application.call"), now=visit.now
        ),
    )


def software(visit: Visit, subject: Subject) -> Response:
    """What it runs."""
    found = subject.found
    kept = visit.sources.fleet.software(found)
    lines = pages_device.applications(found, kept["images"], visit.now)
    running = (
        say("OS {os_version}", os_version=found["os_version"])
        if found["os_version"]
        else say("an OS that is not known")
    )
    made = Sheet(
        place=say("Software"),
        title=say(
            "It has {running} and {applications}.",
            running=running,
            applications=counted(len(lines), "application"),
        ),
        detail=known(kept["deployment"]["reason"]),
        sections=(
            sections.applications(lines, say("as the device said at its last check-in")),
            sections.components(
                pages_device.components(found, kept["releases"]),
                found["os_version"],
                sees_releases=may(visit, "list_releases"),
            ),
        ),
        every_s=SEEN_EVERY_S,
    )
    return show_tab(visit, subject, made)


def update(visit: Visit, subject: Subject) -> Response:
    """Where its update stands."""
    standing = ask(visit, "update_status", device_id=subject.device_id)
    return show_tab(visit, subject, update_sheet(standing, visit.now, may_ask=may(visit, "check_now")))


def check_now(visit: Visit, form: Form) -> Response:  # noqa: ARG001 - the form has nothing but its token
    """Have the device check in now."""
    found = ask(visit, "check_now", device_id=visit.params["device_id"])
    return done(place(found["device_id"], "update"), "asked-to-check-in")


def containment(visit: Visit, subject: Subject) -> Response:
    """What contains its applications."""
    applications = (
        ask(visit, "show_containment", device_id=subject.device_id)["applications"] if subject.attests else ()
    )
    made = Sheet(
        place=say("Containment"),
        title=pages_device.enforcement_sentence(subject.found),
        detail=say("What an application may do is what its manifest asks for; these hold it to that."),
        sections=(sections.containment(pages_device.mechanisms(subject.found)), sections.held(applications)),
    )
    return show_tab(visit, subject, made)


def log(visit: Visit, subject: Subject) -> Response:
    """Where a request for its log stands, and what it says went wrong."""
    if not subject.attests:
        return show_tab(visit, subject, logs.no_log_sheet())
    standing = ask(visit, "show_device_log", device_id=subject.device_id)
    records = visit.sources.fleet.records(subject.device_id, limit=RECORD_LINES)
    errors = sections.reports(pages_device.reports(records["error_reports"], visit.now))
    may_ask, may_read = may(visit, "ask_device_log"), may(visit, "read_device_log")
    return show_tab(visit, subject, logs.log_sheet(standing, errors, visit.now, may_ask=may_ask, may_read=may_read))


def log_lines(visit: Visit, subject: Subject) -> Response:
    """The newest lines of its log; that they were read is audited."""
    found = ask(visit, "read_device_log", device_id=subject.device_id)
    return show_tab(visit, subject, logs.lines_sheet(found, visit.now))


def log_file(visit: Visit) -> Response:
    """All lines that it sent, as a file; that they were read is audited."""
    found = ask(visit, "read_device_log", device_id=visit.params["device_id"])
    content = "".join(f"{line}\n" for line in found["lines"])
    headers = {"Content-Disposition": 'attachment; filename="device-log.txt"'}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


def ask_log(visit: Visit, form: Form) -> Response:  # noqa: ARG001 - the form has nothing but its token
    """Ask the device for its log."""
    found = ask(visit, "ask_device_log", device_id=visit.params["device_id"])
    return done(place(found["device_id"], "log"), "asked-for-log")


def history(visit: Visit, subject: Subject) -> Response:
    """Its check-ins, refusals and updates."""
    records = visit.sources.fleet.records(subject.device_id, limit=RECORD_LINES)
    lines = pages_device.history(records["check_ins"], records["refusals"], records["outcomes"], visit.now)
    said = say_count(len(lines), "{n} entry, newest first.", "{n} entries, newest first.", n=grouped(len(lines)))
    if not lines:
        said = say("It has never checked in.")
    made = Sheet(place=say("History"), title=said, sections=(sections.history(lines),), every_s=SEEN_EVERY_S)
    return show_tab(visit, subject, made)


def _thresholds(visit: Visit, device_id: str, catalog: str | None, metric: str) -> list[dict[str, Any]]:
    if not may(visit, "list_rules"):
        return []
    template = ask(visit, "show_device_template", device_id=device_id)
    rules = ask(visit, "list_rules", limit=RULES).get("items", [])
    own = [each for each in rules if each["body"].get("catalog") in (None, catalog)]
    name = from_fields(visit.sources.hub.called(device_id)(metric))
    cloud = template.get("cloud_properties") or {}
    return sections.thresholds(own, name, template.get("template") or "", cloud, device_id)


# Addresses; ``console/application.py`` puts them into its tables -----------------------------------------------------

_ONE: Final = "/devices/{device_id}"
_HUB: Final = "/hub-devices/{device_id}"
_OF_ALL: Final = (
    ("values", values),
    ("alerts", alerts),
    ("data", device_data.page),
    ("twin", device_twin.page),
    ("commands", commands_page),
    ("log", log),
)
_OF_ATTESTING: Final = (
    ("software", software),
    ("update", update),
    ("containment", containment),
    ("history", history),
)
_OF_EACH: Final[tuple[tuple[str, Changer, Change], ...]] = (
    ("twin/review", device_twin.review, "patch_device_twin"),
    ("twin/send", device_twin.send, "patch_device_twin"),
    ("twin/cloud", device_twin.keep_cloud, "set_cloud_properties"),
    ("template", device_template.give, "set_device_template"),
    ("template/review", device_template.review, "set_device_template"),
    ("command", device_data.send, "application.call"),
    ("name", change.name_device, "name_device"),
)

READ: Final[tuple[tuple[str, Reader], ...]] = (
    (_ONE, named("", overview)),
    *((f"{root}/series", series) for root in (_ONE, _HUB)),
    *((f"{root}/{tab}", named(tab, page)) for root in (_ONE, _HUB) for tab, page in _OF_ALL),
    *((f"{_ONE}/{tab}", named(tab, page)) for tab, page in _OF_ATTESTING),
    (f"{_ONE}/log/lines", named("log", log_lines)),
    (f"{_ONE}/log/lines.txt", log_file),
)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    *((f"{root}/{rest}", action, allowed) for root in (_ONE, _HUB) for rest, action, allowed in _OF_EACH),
    (f"{_ONE}/check-now", check_now, "check_now"),
    (f"{_ONE}/log/ask", ask_log, "ask_device_log"),
    (f"{_ONE}/{{verb}}", change.change_device, change.of_verb),
)
