# SPDX-License-Identifier: Apache-2.0
"""Rules, alerts, groups, jobs and exports, read: asked of the API's routes, laid out as sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from armillary.api.native.platform.rules import TrialBody
from armillary.console.authored import pages_authored as pages, pages_authored_forms as forms_of, pages_rules
from armillary.console.frame import sheet
from armillary.console.frame.acting import permit
from armillary.console.frame.asking import ask, catalogs, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Editor, Sheet, place
from armillary.errors import InvalidArgumentError

LINES = 100
# Devices that a rule's page names.
DEVICES = 50
ALERTS = 10
DAY_MS = 86_400_000
RUNS = 10
RESULTS = 200
# Groups and templates that a form offers.
CHOICES = 1000
STATUSES = ("open", "acknowledged", "all")
KINDS = ("group", "job", "export")


def kind_of(visit: Visit) -> str:
    """The kind of document that an address is about: its first word, without the s."""
    return visit.here.split("/")[1].removesuffix("s")


def permitted_kind(visit: Visit) -> str:
    """The same, where the operator may change such documents. Raises PermissionDeniedError."""
    kind = kind_of(visit)
    permit(visit, kind)
    return kind


# Rules ------------------------------------------------------------------------------------------------------------


def rules(visit: Visit) -> Response:
    """All rules."""
    page = ask(visit, "list_rules", limit=LINES, after=visit.query.get("after"))
    waiting = ask(visit, "list_alerts", status="open", limit=LINES)
    can = may(visit, "rule")
    return show(visit, pages_rules.list_sheet(page, len(waiting["items"]), may_change=can, now=visit.now))


def new_rule(visit: Visit) -> Response:
    """The form of a new rule."""
    return rule_form_page(visit, {"id": "", "etag": "", "body": pages_rules.new_rule()}, None)


def rule_form_page(visit: Visit, document: dict[str, Any], error: InvalidArgumentError | None) -> Response:
    """The form of a rule that is not kept yet, and what was wrong with it."""
    made = Sheet(
        place="Rules",
        crumbs=(("Rules", "/rules"),),
        title="New rule" if not document["id"] else f"Change {document['body']['name'] or document['id']}",
        detail="What it does about it, filters, silence and cloud properties are added as JSON once it is there.",
        notices=(("bad", f"{pages_rules.in_words(error.message)}. Correct it below. Nothing was changed."),)
        if error
        else (),
        rule_form=pages_rules.form_of(document, catalogs(visit)) if may(visit, "rule") else None,
    )
    return show(visit, made, 400 if error else 200)


def rule(visit: Visit) -> Response:
    """One rule."""
    return rule_page(visit, None, None)


def rule_page(visit: Visit, typed: str | None, error: InvalidArgumentError | None) -> Response:
    """One rule, and what was wrong with its JSON as it was typed."""
    rule_id = visit.params["rule_id"]
    document = ask(visit, "show_rule", rule_id=rule_id)
    can = may(visit, "rule")
    alerts = ask(visit, "list_alerts", rule=rule_id, status="all", limit=ALERTS)["items"]
    target = document["body"].get("target", {})
    ids = list(target.get("devices", ()))[:DEVICES]
    if target.get("template") and not ids:
        page = ask(visit, "template_devices", template_name=target["template"], limit=DEVICES)
        ids = [each["device_id"] for each in page["items"]]
    labels = visit.sources.application.labels(ids)
    devices = [(each, labels.get(each, each[:12])) for each in ids]
    editor = _editor(document, place("rule", rule_id), typed, error) if can else None
    made = pages_rules.rule_sheet(
        document, devices, alerts, may_change=can, editor=editor, catalogs=catalogs(visit), now=visit.now
    )
    return show(visit, made, 400 if error else 200)


def trace(visit: Visit) -> Response:
    """Why a rule fired or did not for a device."""
    rule_id, device_id = visit.params["rule_id"], meant(visit, visit.query.get("device", ""))
    document = ask(visit, "show_rule", rule_id=rule_id)
    answer = ask(visit, "rule_trace", rule_id=rule_id, device_id=device_id)
    label = visit.sources.application.labels([answer["device_id"]])[answer["device_id"]]
    return show(visit, pages_rules.trace_sheet(document["body"]["name"], answer, label, visit.now))


def try_rule(visit: Visit) -> Response:
    """When a rule would have fired in the last day."""
    rule_id, end_ms = visit.params["rule_id"], (visit.now + 1) * 1000
    document = ask(visit, "show_rule", rule_id=rule_id)
    body = TrialBody(start_ms=end_ms - DAY_MS, end_ms=end_ms)
    trial = ask(visit, "try_kept_rule", rule_id=rule_id, body=body)
    labels = visit.sources.application.labels([each["device_id"] for each in trial["devices"]][:DEVICES])
    return show(visit, pages_rules.trial_sheet(document, trial, labels))


def alerts(visit: Visit) -> Response:
    """Firings of rules."""
    asked = visit.query.get("status", "open")
    status = asked if asked in STATUSES else "open"
    page = ask(visit, "list_alerts", status=status, limit=LINES, after=visit.query.get("after"))
    labels = visit.sources.application.labels(sorted({each["device_id"] for each in page["items"]}))
    can = may(visit, "alert")
    return show(visit, pages_rules.alerts_sheet(page, labels, status, may_change=can, now=visit.now))


# Groups, jobs, exports --------------------------------------------------------------------------------------------


def _listing(kind: str, laid_out: Callable[..., Sheet]) -> Callable[[Visit], Response]:
    """The page that lists all documents of a kind."""

    def page(visit: Visit) -> Response:
        found = ask(visit, f"list_{kind}s", limit=LINES, after=visit.query.get("after"))
        return show(visit, laid_out(found, may_change=may(visit, kind), now=visit.now))

    return page


groups = _listing("group", pages.groups_sheet)
jobs = _listing("job", pages.jobs_sheet)
exports = _listing("export", pages.exports_sheet)


def authored(visit: Visit) -> Response:
    """One group, job or export."""
    return authored_page(visit, None, None)


def authored_page(
    visit: Visit, typed: str | None, error: InvalidArgumentError | None, sent: Mapping[str, str] | None = None
) -> Response:
    """One group, job or export, and what was wrong with its JSON or its form as it was typed.

    Args:
        visit: Of the operator.
        typed: The JSON that was refused.
        error: Why it, or the form, was refused.
        sent: The form that was refused.
    """
    kind, document_id = kind_of(visit), visit.params["document_id"]
    status = 400 if error else 200
    if document_id == "new":
        return show(visit, _new(visit, kind, typed, error, sent), status)
    can = may(visit, kind)
    application = visit.sources.application
    question = {"group": None, "job": "show_job", "export": "show_export"}[kind]
    document = (
        application.document(kind, document_id)
        if question is None
        else ask(visit, question, **{f"{kind}_id": document_id})
    )
    post = place(kind, document_id)
    forms: tuple[Form, ...] = ()
    editor = None
    if can:
        forms = _forms(visit, kind, document["body"], f"{post}/form", document["etag"], error, sent)
        editor = _editor(document, post, typed, None if sent is not None else error)
    if kind == "group":
        members = ask(visit, "group_members", group_id=document_id, limit=LINES)
        labels = application.labels([each["device_id"] for each in members["items"]])
        page = pages.group_sheet(document, members, labels, may_change=can, forms=forms, editor=editor)
    elif kind == "job":
        runs = ask(visit, "list_runs", job_id=document_id, limit=RUNS, after=None)["items"]
        number = runs[0]["number"] if runs else None
        results = ask(visit, "list_results", job_id=document_id, number=number, limit=RESULTS)["items"] if runs else []
        labels = application.labels([each["device_id"] for each in results])
        page = pages.job_sheet(
            document, runs, results, labels, may_change=can, forms=forms, editor=editor, now=visit.now
        )
    else:
        letters = ask(visit, "list_dead_letters", export_id=document_id, limit=LINES)["items"]
        page = pages.export_sheet(document, letters, may_change=can, forms=forms, editor=editor)
    return show(visit, page, status)


def _new(
    visit: Visit, kind: str, typed: str | None, error: InvalidArgumentError | None, sent: Mapping[str, str] | None
) -> Sheet:
    can = may(visit, kind)
    variants = forms_of.VARIANTS[kind]
    chosen = (sent or {}).get("variant") or visit.query.get("kind", "")
    variant = chosen if chosen in variants else next(iter(variants), "")
    body = forms_of.begin(kind, variant)
    names = catalogs(visit)
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
        title=f"New {pages.WORD[kind]}",
        detail=f"The same as a file: armillary {kind} create --file",
        links=tuple((words, f"{path}?kind={each}", each == variant) for each, words in variants.items()),
        forms=_forms(visit, kind, body, f"{path}/form", "", error, sent) if can else (),
        editor=editor if can else None,
    )


def _forms(
    visit: Visit,
    kind: str,
    body: Mapping[str, Any],
    post: str,
    etag: str,
    error: InvalidArgumentError | None,
    sent: Mapping[str, str] | None,
) -> tuple[Form, ...]:
    found = forms_of.form(
        kind,
        body,
        post=post,
        etag=etag if sent is None else sent.get("etag", ""),
        groups=[
            (each["id"], each["body"]["name"])
            for each in (ask(visit, "list_groups", limit=CHOICES, after=None)["items"] if kind != "group" else ())
        ],
        catalogs=catalogs(visit),
        templates=[
            each["name"] for each in (ask(visit, "list_templates", limit=CHOICES)["items"] if kind == "group" else ())
        ],
        sent=sent,
        error=None if sent is None else error,
    )
    return () if found is None else (found,)


def _editor(document: Mapping[str, Any], post: str, typed: str | None, error: InvalidArgumentError | None) -> Editor:
    text = sheet.pretty(document["body"]) if typed is None else typed
    return Editor(post=post, etag=document["etag"], text=text, error=error)
