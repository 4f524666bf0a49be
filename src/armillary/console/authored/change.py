# SPDX-License-Identifier: Apache-2.0
"""Rules, alerts, templates, groups, jobs and exports, changed: through the API's own routes, with its audit line."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.authored import (
    pages_authored as pages_made,
    pages_authored_forms as pages_made_forms,
    pages_rules,
    read as read_application,
    removal,
)
from armillary.console.authored.catalog_choice import with_catalog
from armillary.console.authored.read import ask
from armillary.console.dashboards.pages_dashboard import slug
from armillary.console.frame.desk import Desk, Visit, told
from armillary.console.frame.sheet import parsed
from armillary.console.operations.change import Form, permit
from armillary.errors import InvalidArgumentError, NotFoundError


def make_rule(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make a rule of the form."""
    permit(desk, visit, "rule")
    body = pages_rules.rule_of(form, pages_rules.new_rule())
    chosen = {"id": "", "etag": "", "body": {**body, "catalog": form.get("catalog")}}  # as it is shown again
    taken = frozenset(each["id"] for each in ask(desk, visit, "list_rules", limit=1000)["items"])
    rule_id = slug(body["name"] or "rule", taken)
    try:
        body = with_catalog(body, form, is_new=True)
        desk.sources.application.keep(visit.operator, "rule", rule_id, body, "")
    except InvalidArgumentError as error:
        return read_application.rule_form_page(desk, visit, chosen, error)
    return told(pages_rules.place(rule_id), "created")


def change_rule(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep the form of a rule; what it has no field for stays."""
    permit(desk, visit, "rule")
    document = ask(desk, visit, "show_rule", rule_id=visit.params["rule_id"])
    body = with_catalog(pages_rules.rule_of(form, document["body"]), form, is_new=False)
    try:
        desk.sources.application.keep(visit.operator, "rule", document["id"], body, form.get("etag", ""))
    except InvalidArgumentError as error:
        return read_application.rule_form_page(desk, visit, {**document, "body": body}, error)
    return told(pages_rules.place(document["id"]), "kept")


def keep_rule(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep the JSON of a rule."""
    permit(desk, visit, "rule")
    rule_id, text = visit.params["rule_id"], form.get("body", "")
    try:
        desk.sources.application.keep(visit.operator, "rule", rule_id, parsed(text), form.get("etag", ""))
    except InvalidArgumentError as error:
        return read_application.rule_page(desk, visit, text, error)
    return told(pages_rules.place(rule_id), "kept")


def switch_rule(desk: Desk, visit: Visit, form: Form) -> Response:
    """Switch a rule on or off, or delete it."""
    permit(desk, visit, "rule")
    rule_id, verb = visit.params["rule_id"], visit.params["verb"]
    if verb == "delete":
        return removal.delete(desk, visit, form)
    if verb not in ("enable", "disable"):
        raise NotFoundError(f"rules have no action {verb!r}", remedy="Use the buttons on the rule's page.")
    ask(desk, visit, f"{verb}_rule", rule_id=rule_id)
    return told(pages_rules.place(rule_id), "kept")


def acknowledge(desk: Desk, visit: Visit, form: Form) -> Response:
    """Note that somebody has taken notice of an alert."""
    permit(desk, visit, "alert")
    number = visit.params["number"]
    if not number.isdecimal() or len(number) > 15:
        raise NotFoundError("no such alert", remedy="Reload the list.")
    ask(desk, visit, "acknowledge_alert", number=int(number))
    status = form.get("status", "")
    return told(f"/alerts?status={status}" if status in read_application.STATUSES else "/alerts", "acknowledged-alert")


def publish_template(desk: Desk, visit: Visit, _form: Form) -> Response:
    """Publish a template's draft."""
    permit(desk, visit, "template")
    ask(desk, visit, "publish_template", template_name=visit.params["name"])
    return told(pages_made.place("template", visit.params["name"]), "published")


def keep_made(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep the JSON of a group, a job or an export."""
    kind, document_id, text = _kind(desk, visit), visit.params["document_id"], form.get("body", "")
    is_new = document_id == "new"
    try:
        body: dict[str, Any] = parsed(text)
        if is_new:
            document_id = slug(form.get("id", "") or str(body.get("name", kind)), frozenset())
        desk.sources.application.keep(visit.operator, kind, document_id, body, form.get("etag", ""))
    except InvalidArgumentError as error:
        return read_application.made_page(desk, visit, text, error)
    return told(pages_made.place(kind, document_id), "created" if is_new else "kept")


def keep_form(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep the form of a group, a job or an export, or make one of it; what it has no field for stays."""
    kind, document_id = _kind(desk, visit), visit.params["document_id"]
    is_new = document_id == "new"
    try:
        if is_new:
            variant = form.get("variant", "")
            variants = pages_made_forms.VARIANTS[kind]
            if variants and variant not in variants:
                raise NotFoundError(f"there is no kind {variant[:40]!r} of {kind}", remedy="Choose one of the list.")
            body = pages_made_forms.document_of(kind, pages_made_forms.begin(kind, variant), form)
            body = with_catalog(body, form, is_new=True)
            taken = frozenset(each["id"] for each in ask(desk, visit, f"list_{kind}s", limit=1000)["items"])
            document_id = slug(str(body.get("name", kind)), taken)
            etag = ""
        else:
            before = desk.sources.application.document(kind, document_id)
            body = with_catalog(pages_made_forms.document_of(kind, before["body"], form), form, is_new=False)
            etag = form.get("etag", "")
        desk.sources.application.keep(visit.operator, kind, document_id, body, etag)
    except InvalidArgumentError as error:
        return read_application.made_page(desk, visit, None, error, form)
    return told(pages_made.place(kind, document_id), "created" if is_new else "kept")


def act_on_made(desk: Desk, visit: Visit, form: Form) -> Response:
    """Delete a group, a job or an export, or keep its form; begin or cancel a job's run."""
    kind, document_id, verb = _kind(desk, visit), visit.params["document_id"], visit.params["verb"]
    if verb == "delete":
        return removal.delete(desk, visit, form)
    if verb == "form":
        return keep_form(desk, visit, form)
    if kind != "job" or verb not in ("run", "cancel"):
        raise NotFoundError(f"there is no action {verb!r}", remedy="Use the buttons on the page.")
    if verb == "run":
        return removal.run(desk, visit, form)
    number = form.get("number", "")
    if not number.isdecimal() or len(number) > 15:
        raise NotFoundError("no such run", remedy="Reload the page.")
    ask(desk, visit, "cancel_run", job_id=document_id, number=int(number))
    return told(pages_made.place(kind, document_id), "cancelled")


def _kind(desk: Desk, visit: Visit) -> str:
    kind = read_application.kind_of(visit)
    permit(desk, visit, kind)
    return kind
