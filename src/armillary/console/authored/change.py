# SPDX-License-Identifier: Apache-2.0
"""Rules, groups, jobs and exports, changed: through operations that write the audit line."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.authored import pages_authored_forms as forms_of, read, removal, rule_builder, segment_builder
from armillary.console.authored.catalog_choice import with_catalog
from armillary.console.frame.action_checks import Form, number_of, verb_of
from armillary.console.frame.asking import ask
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.sheet import parsed, place
from armillary.console.frame.words import slug
from armillary.errors import InvalidArgumentError, NotFoundError


def make_rule(visit: Visit, form: Form) -> Response:
    """Make a rule of the form, or do what another of its buttons says."""
    return rule_builder.sent(visit, rule_builder.new_document(), form)


def change_rule(visit: Visit, form: Form) -> Response:
    """Keep the form of a rule, or do what another of its buttons says."""
    return rule_builder.sent(visit, ask(visit, "show_rule", rule_id=visit.params["rule_id"]), form)


def keep_rule(visit: Visit, form: Form) -> Response:
    """Keep the JSON of a rule."""
    rule_id, text = visit.params["rule_id"], form.get("body", "")
    try:
        visit.sources.application.keep("rule", rule_id, parsed(text), form.get("etag", ""))
    except InvalidArgumentError as error:
        return read.rule_page(visit, read.Refused(error, json=text))
    return done(place("rule", rule_id), "kept")


def switch_rule(visit: Visit, form: Form) -> Response:
    """Switch a rule on or off, or delete it."""
    rule_id, verb = visit.params["rule_id"], visit.params["verb"]
    if verb == "delete":
        return removal.delete(visit, form)
    verb_of(visit, ("enable", "disable"), "rules", "rule's page")
    ask(visit, "switch_rule", rule_id=rule_id, enabled=verb == "enable")
    return done(place("rule", rule_id), "kept")


def keep_json(visit: Visit, form: Form) -> Response:
    """Keep the JSON of a group, a job or an export."""
    kind, document_id, text = read.kind_of(visit), visit.params["document_id"], form.get("body", "")
    is_new = document_id == "new"
    try:
        body: dict[str, Any] = parsed(text)
        if is_new:
            document_id = slug(form.get("id", "") or str(body.get("name", kind)), frozenset())
        visit.sources.application.keep(kind, document_id, body, form.get("etag", ""))
    except InvalidArgumentError as error:
        return read.authored_page(visit, read.Refused(error, json=text))
    return done(place(kind, document_id), "created" if is_new else "kept")


def keep_form(visit: Visit, form: Form) -> Response:
    """Keep the form of a group, a job or an export, or make one of it; what it has no field for stays."""
    kind, document_id = read.kind_of(visit), visit.params["document_id"]
    is_new = document_id == "new"
    if kind == "group":
        document = {"id": "", "etag": "", "body": {}}
        return segment_builder.sent(
            visit, document if is_new else visit.sources.application.document(kind, document_id), form
        )
    try:
        if is_new:
            variant = form.get("variant", "")
            variants = forms_of.VARIANTS[kind]
            if variants and variant not in variants:
                raise NotFoundError(f"there is no kind {variant[:40]!r} of {kind}", remedy="Choose one of the list.")
            body = forms_of.document_of(kind, forms_of.begin(kind, variant), form)
            body = with_catalog(body, form, is_new=True)
            taken = frozenset(each["id"] for each in ask(visit, f"list_{kind}s", limit=1000)["items"])
            document_id = slug(str(body.get("name", kind)), taken)
            etag = ""
        else:
            before = visit.sources.application.document(kind, document_id)
            body = with_catalog(forms_of.document_of(kind, before["body"], form), form, is_new=False)
            etag = form.get("etag", "")
        visit.sources.application.keep(kind, document_id, body, etag)
    except InvalidArgumentError as error:
        return read.authored_page(visit, read.Refused(error, form=form))
    return done(place(kind, document_id), "created" if is_new else "kept")


def act(visit: Visit, form: Form) -> Response:
    """Delete a group, a job or an export, or keep its form; begin or cancel a job's run."""
    kind, document_id, verb = read.kind_of(visit), visit.params["document_id"], visit.params["verb"]
    if verb == "delete":
        return removal.delete(visit, form)
    if verb == "form":
        return keep_form(visit, form)
    verb_of(visit, ("run", "cancel") if kind == "job" else ())
    if verb == "run":
        return removal.run(visit, form)
    ask(visit, "cancel_run", job_id=document_id, number=number_of(form, "run", "page"))
    return done(place(kind, document_id), "cancelled")
