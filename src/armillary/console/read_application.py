# SPDX-License-Identifier: Apache-2.0
"""Rules, alerts, templates, groups, jobs and exports, read: asked of the API's routes, laid out as sheets."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.api.native_rules import TrialBody
from armillary.console import pages_made, pages_rules, pages_templates
from armillary.console import pages_sheet as sheet
from armillary.console.desk import Desk, Visit
from armillary.console.pages_sheet import Editor, Sheet
from armillary.errors import InvalidArgumentError, NotFoundError

LINES = 100
# Devices that a rule's or a template's page names.
DEVICES = 50
ALERTS = 10
DAY_MS = 86_400_000
RUNS = 10
RESULTS = 200
STATUSES = ("open", "acknowledged", "all")
KINDS = ("group", "job", "export")


def show(desk: Desk, visit: Visit, made: Sheet, status: int = 200) -> Response:
    """A sheet in its frame."""
    return desk.page(visit, "sheet.html", status=status, view=made)


def ask(desk: Desk, visit: Visit, question: str, **arguments: Any) -> dict[str, Any]:
    """The answer of an API route."""
    return desk.sources.application.ask(visit.operator, question, **arguments)


def may(desk: Desk, visit: Visit, area: str) -> bool:
    """Whether the operator may change an area."""
    return desk.sources.door.may_change(visit.operator, area)


def kind_of(visit: Visit) -> str:
    """The kind of document that an address is about: its first word, without the s."""
    return visit.here.split("/")[1].removesuffix("s")


# Rules ------------------------------------------------------------------------------------------------------------


def rules(desk: Desk, visit: Visit) -> Response:
    """All rules."""
    page = ask(desk, visit, "list_rules", limit=LINES, after=visit.query.get("after"))
    waiting = ask(desk, visit, "list_alerts", status="open", limit=LINES)
    can = may(desk, visit, "rule")
    return show(desk, visit, pages_rules.list_sheet(page, len(waiting["items"]), may_change=can, now=visit.now))


def new_rule(desk: Desk, visit: Visit) -> Response:
    """The form of a new rule."""
    return rule_form_page(desk, visit, {"id": "", "etag": "", "body": pages_rules.new_rule()}, None)


def rule_form_page(desk: Desk, visit: Visit, document: dict[str, Any], error: InvalidArgumentError | None) -> Response:
    """The form of a rule that is not kept yet, and what was wrong with it."""
    made = Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"),),
        title="New rule" if not document["id"] else f"Change {document['body']['name'] or document['id']}",
        detail="What it does about it, filters, silence and cloud properties are added as JSON once it is there.",
        notices=(("bad", f"{error.message}. {error.remedy} Nothing was changed."),) if error else (),
        rule_form=pages_rules.form_of(document) if may(desk, visit, "rule") else None,
    )
    return show(desk, visit, made, 400 if error else 200)


def rule(desk: Desk, visit: Visit) -> Response:
    """One rule."""
    return rule_page(desk, visit, None, None)


def rule_page(desk: Desk, visit: Visit, typed: str | None, error: InvalidArgumentError | None) -> Response:
    """One rule, and what was wrong with its JSON as it was typed."""
    rule_id = visit.params["rule_id"]
    document = ask(desk, visit, "show_rule", rule_id=rule_id)
    can = may(desk, visit, "rule")
    alerts = ask(desk, visit, "list_alerts", rule=rule_id, status="all", limit=ALERTS)["items"]
    target = document["body"].get("target", {})
    ids = list(target.get("devices", ()))[:DEVICES]
    if target.get("template") and not ids:
        page = ask(desk, visit, "template_devices", template_name=target["template"], limit=DEVICES)
        ids = [each["device_id"] for each in page["items"]]
    labels = desk.sources.application.labels(ids)
    devices = [(each, labels.get(each, each[:12])) for each in ids]
    editor = _editor(document, pages_rules.place(rule_id), typed, error) if can else None
    made = pages_rules.rule_sheet(document, devices, alerts, may_change=can, editor=editor, now=visit.now)
    return show(desk, visit, made, 400 if error else 200)


def trace(desk: Desk, visit: Visit) -> Response:
    """Why a rule fired or did not for a device."""
    rule_id, device_id = visit.params["rule_id"], visit.query.get("device", "").strip().lower()
    document = ask(desk, visit, "show_rule", rule_id=rule_id)
    answer = ask(desk, visit, "rule_trace", rule_id=rule_id, device_id=device_id)
    label = desk.sources.application.labels([answer["device_id"]])[answer["device_id"]]
    return show(desk, visit, pages_rules.trace_sheet(document["body"]["name"], answer, label, visit.now))


def try_rule(desk: Desk, visit: Visit) -> Response:
    """When a rule would have fired in the last day."""
    rule_id, end_ms = visit.params["rule_id"], (visit.now + 1) * 1000
    document = ask(desk, visit, "show_rule", rule_id=rule_id)
    body = TrialBody(start_ms=end_ms - DAY_MS, end_ms=end_ms)
    trial = ask(desk, visit, "try_kept_rule", rule_id=rule_id, body=body)
    labels = desk.sources.application.labels([each["device_id"] for each in trial["devices"]][:DEVICES])
    return show(desk, visit, pages_rules.trial_sheet(document, trial, labels))


def alerts(desk: Desk, visit: Visit) -> Response:
    """Firings of rules."""
    asked = visit.query.get("status", "open")
    status = asked if asked in STATUSES else "open"
    page = ask(desk, visit, "list_alerts", status=status, limit=LINES, after=visit.query.get("after"))
    labels = desk.sources.application.labels(sorted({each["device_id"] for each in page["items"]}))
    can = may(desk, visit, "alert")
    return show(desk, visit, pages_rules.alerts_sheet(page, labels, status, may_change=can, now=visit.now))


# Templates --------------------------------------------------------------------------------------------------------


def templates(desk: Desk, visit: Visit) -> Response:
    """All device templates."""
    page = ask(desk, visit, "list_templates", limit=LINES, after=visit.query.get("after"))
    can = may(desk, visit, "template")
    return show(desk, visit, pages_templates.templates_sheet(page, may_change=can, now=visit.now))


def template(desk: Desk, visit: Visit) -> Response:
    """One device template: its draft, or one of its versions."""
    name, asked = visit.params["name"], visit.query.get("version", "")
    published = versions_of(desk, visit, name)
    version = int(asked) if asked.isdecimal() and len(asked) < 7 else (published[-1] if published else 0)
    if version:
        found = ask(desk, visit, "show_template_version", template_name=name, version=version)
    else:
        found = ask(desk, visit, "show_template", template_name=name)
    page = ask(desk, visit, "template_devices", template_name=name, limit=DEVICES)
    labels = desk.sources.application.labels([each["device_id"] for each in page["items"]])
    devices = [(each["device_id"], labels[each["device_id"]], each["version"]) for each in page["items"]]
    return show(desk, visit, pages_templates.template_sheet(found, devices, may_change=may(desk, visit, "template")))


def versions_of(desk: Desk, visit: Visit, name: str) -> list[int]:
    """Published versions of a template.

    Raises:
        NotFoundError: there is no such template.
    """
    for each in ask(desk, visit, "list_templates", limit=1000)["items"]:
        if each["name"] == name:
            return list(each["versions"])
    raise NotFoundError(f"there is no device template {name[:64]!r}", remedy="Choose one of the list.")


# Groups, jobs, exports --------------------------------------------------------------------------------------------


def groups(desk: Desk, visit: Visit) -> Response:
    """All device groups."""
    page = ask(desk, visit, "list_groups", limit=LINES, after=visit.query.get("after"))
    return show(desk, visit, pages_made.groups_sheet(page, may_change=may(desk, visit, "group"), now=visit.now))


def jobs(desk: Desk, visit: Visit) -> Response:
    """All jobs."""
    page = ask(desk, visit, "list_jobs", limit=LINES, after=visit.query.get("after"))
    return show(desk, visit, pages_made.jobs_sheet(page, may_change=may(desk, visit, "job"), now=visit.now))


def exports(desk: Desk, visit: Visit) -> Response:
    """All data exports."""
    page = ask(desk, visit, "list_exports", limit=LINES, after=visit.query.get("after"))
    return show(desk, visit, pages_made.exports_sheet(page, may_change=may(desk, visit, "export"), now=visit.now))


def made(desk: Desk, visit: Visit) -> Response:
    """One group, job or export."""
    return made_page(desk, visit, None, None)


def made_page(desk: Desk, visit: Visit, typed: str | None, error: InvalidArgumentError | None) -> Response:
    """One group, job or export, and what was wrong with its JSON as it was typed."""
    kind, document_id = kind_of(visit), visit.params["document_id"]
    if document_id == "new":
        return show(desk, visit, _new(desk, visit, kind, typed, error), 400 if error else 200)
    can = may(desk, visit, kind)
    application = desk.sources.application
    if kind == "group":
        document = application.document(kind, document_id)
        members = ask(desk, visit, "group_members", group_id=document_id, limit=LINES)
        labels = application.labels([each["device_id"] for each in members["items"]])
        editor = _editor(document, pages_made.place(kind, document_id), typed, error) if can else None
        page = pages_made.group_sheet(document, members, labels, may_change=can, editor=editor)
    elif kind == "job":
        document = ask(desk, visit, "show_job", job_id=document_id)
        runs = ask(desk, visit, "list_runs", job_id=document_id, limit=RUNS, after=None)["items"]
        number = runs[0]["number"] if runs else None
        results = (
            ask(desk, visit, "list_results", job_id=document_id, number=number, limit=RESULTS)["items"] if runs else []
        )
        labels = application.labels([each["device_id"] for each in results])
        editor = _editor(document, pages_made.place(kind, document_id), typed, error) if can else None
        page = pages_made.job_sheet(document, runs, results, labels, may_change=can, editor=editor, now=visit.now)
    else:
        document = ask(desk, visit, "show_export", export_id=document_id)
        letters = ask(desk, visit, "list_dead_letters", export_id=document_id, limit=LINES)["items"]
        editor = _editor(document, pages_made.place(kind, document_id), typed, error) if can else None
        page = pages_made.export_sheet(document, letters, may_change=can, editor=editor)
    return show(desk, visit, page, 400 if error else 200)


def _new(desk: Desk, visit: Visit, kind: str, typed: str | None, error: InvalidArgumentError | None) -> Sheet:
    can = may(desk, visit, kind)
    text = sheet.pretty(pages_made.EXAMPLES[kind]) if typed is None else typed
    editor = Editor(
        post=f"/{kind}s/new", etag="", text=text, is_new=True, name=visit.query.get("name", ""), error=error
    )
    word = {"group": "device group", "job": "job", "export": "data export"}[kind]
    return Sheet(
        place=f"{kind.capitalize()}s",
        crumbs=((f"{kind.capitalize()}s", f"/{kind}s"),),
        title=f"New {word}",
        detail=f"The same as a file: armillary {kind} create --file",
        editor=editor if can else None,
    )


def _editor(document: dict[str, Any], post: str, typed: str | None, error: InvalidArgumentError | None) -> Editor:
    text = sheet.pretty(document["body"]) if typed is None else typed
    return Editor(post=post, etag=document["etag"], text=text, error=error)
