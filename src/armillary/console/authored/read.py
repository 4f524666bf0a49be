# SPDX-License-Identifier: Apache-2.0
"""Rules, alerts, templates, groups, jobs and exports, read: asked of the API's routes, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.api.native.platform.rules import TrialBody
from armillary.console.authored import (
    pages_authored as pages_made,
    pages_authored_forms as pages_made_forms,
    pages_rules,
)
from armillary.console.device.device_name import meant
from armillary.console.device_templates import pages_templates
from armillary.console.frame import sheet
from armillary.console.frame.desk import Desk, Visit
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Editor, Sheet
from armillary.console.frame.sort import sorted_sheet
from armillary.errors import InvalidArgumentError, NotFoundError

LINES = 100
# Devices that a rule's or a template's page names.
DEVICES = 50
ALERTS = 10
DAY_MS = 86_400_000
RUNS = 10
RESULTS = 200
# Groups and templates that a form offers.
CHOICES = 1000
STATUSES = ("open", "acknowledged", "all")
KINDS = ("group", "job", "export")


def show(desk: Desk, visit: Visit, made: Sheet, status: int = 200) -> Response:
    """A sheet in its frame."""
    return desk.page(visit, "sheet.html", status=status, view=sorted_sheet(made, visit.here))


def ask(desk: Desk, visit: Visit, question: str, **arguments: Any) -> dict[str, Any]:
    """The answer of an API route."""
    return desk.sources.application.ask(visit.operator, question, **arguments)


def may(desk: Desk, visit: Visit, area: str) -> bool:
    """Whether the operator may change an area."""
    return desk.sources.door.may_change(visit.operator, area)


def catalogs(desk: Desk) -> list[str]:
    """Names of all catalogs."""
    return [each["name"] for each in desk.sources.house.catalog_names()]


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
        notices=(("bad", f"{pages_rules.in_words(error.message)}. Correct it below. Nothing was changed."),)
        if error
        else (),
        rule_form=pages_rules.form_of(document, catalogs(desk)) if may(desk, visit, "rule") else None,
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
    made = pages_rules.rule_sheet(
        document, devices, alerts, may_change=can, editor=editor, catalogs=catalogs(desk), now=visit.now
    )
    return show(desk, visit, made, 400 if error else 200)


def trace(desk: Desk, visit: Visit) -> Response:
    """Why a rule fired or did not for a device."""
    rule_id, device_id = visit.params["rule_id"], meant(desk, visit, visit.query.get("device", ""))
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


def made_page(
    desk: Desk,
    visit: Visit,
    typed: str | None,
    error: InvalidArgumentError | None,
    sent: Mapping[str, str] | None = None,
) -> Response:
    """One group, job or export, and what was wrong with its JSON or its form as it was typed.

    Args:
        desk: Of the console.
        visit: Of the operator.
        typed: The JSON that was refused.
        error: Why it, or the form, was refused.
        sent: The form that was refused.
    """
    kind, document_id = kind_of(visit), visit.params["document_id"]
    status = 400 if error else 200
    if document_id == "new":
        return show(desk, visit, _new(desk, visit, kind, typed, error, sent), status)
    can = may(desk, visit, kind)
    application = desk.sources.application
    question = {"group": None, "job": "show_job", "export": "show_export"}[kind]
    document = (
        application.document(kind, document_id)
        if question is None
        else ask(desk, visit, question, **{f"{kind}_id": document_id})
    )
    post = pages_made.place(kind, document_id)
    forms: tuple[Form, ...] = ()
    editor = None
    if can:
        forms = _forms(desk, visit, kind, document["body"], f"{post}/form", document["etag"], error, sent)
        editor = _editor(document, post, typed, None if sent is not None else error)
    if kind == "group":
        members = ask(desk, visit, "group_members", group_id=document_id, limit=LINES)
        labels = application.labels([each["device_id"] for each in members["items"]])
        page = pages_made.group_sheet(document, members, labels, may_change=can, forms=forms, editor=editor)
    elif kind == "job":
        runs = ask(desk, visit, "list_runs", job_id=document_id, limit=RUNS, after=None)["items"]
        number = runs[0]["number"] if runs else None
        results = (
            ask(desk, visit, "list_results", job_id=document_id, number=number, limit=RESULTS)["items"] if runs else []
        )
        labels = application.labels([each["device_id"] for each in results])
        page = pages_made.job_sheet(
            document, runs, results, labels, may_change=can, forms=forms, editor=editor, now=visit.now
        )
    else:
        letters = ask(desk, visit, "list_dead_letters", export_id=document_id, limit=LINES)["items"]
        page = pages_made.export_sheet(document, letters, may_change=can, forms=forms, editor=editor)
    return show(desk, visit, page, status)


def _new(
    desk: Desk,
    visit: Visit,
    kind: str,
    typed: str | None,
    error: InvalidArgumentError | None,
    sent: Mapping[str, str] | None,
) -> Sheet:
    can = may(desk, visit, kind)
    variants = pages_made_forms.VARIANTS[kind]
    chosen = (sent or {}).get("variant") or visit.query.get("kind", "")
    variant = chosen if chosen in variants else next(iter(variants), "")
    body = pages_made_forms.begin(kind, variant)
    names = catalogs(desk)
    body["catalog"] = names[0] if len(names) == 1 else None  # seen by whoever writes JSON
    path = f"/{kind}s/new"
    editor = Editor(
        post=path,
        etag="",
        text=sheet.pretty(body) if typed is None else typed,
        is_new=True,
        name=visit.query.get("name", ""),
        error=None if sent is not None else error,
    )
    return Sheet(
        place=f"{kind.capitalize()}s",
        crumbs=((f"{kind.capitalize()}s", f"/{kind}s"),),
        title=f"New {pages_made.WORD[kind]}",
        detail=f"The same as a file: armillary {kind} create --file",
        links=tuple((words, f"{path}?kind={each}", each == variant) for each, words in variants.items()),
        forms=_forms(desk, visit, kind, body, f"{path}/form", "", error, sent) if can else (),
        editor=editor if can else None,
    )


def _forms(
    desk: Desk,
    visit: Visit,
    kind: str,
    body: Mapping[str, Any],
    post: str,
    etag: str,
    error: InvalidArgumentError | None,
    sent: Mapping[str, str] | None,
) -> tuple[Form, ...]:
    found = pages_made_forms.form(
        kind,
        body,
        post=post,
        etag=etag if sent is None else sent.get("etag", ""),
        groups=[
            (each["id"], each["body"]["name"])
            for each in (ask(desk, visit, "list_groups", limit=CHOICES, after=None)["items"] if kind != "group" else ())
        ],
        catalogs=catalogs(desk),
        templates=[
            each["name"]
            for each in (ask(desk, visit, "list_templates", limit=CHOICES)["items"] if kind == "group" else ())
        ],
        sent=sent,
        error=None if sent is None else error,
    )
    return () if found is None else (found,)


def _editor(document: Mapping[str, Any], post: str, typed: str | None, error: InvalidArgumentError | None) -> Editor:
    text = sheet.pretty(document["body"]) if typed is None else typed
    return Editor(post=post, etag=document["etag"], text=text, error=error)
