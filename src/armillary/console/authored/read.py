# SPDX-License-Identifier: Apache-2.0
"""Rules, groups, jobs and exports, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.responses import Response

from armillary.console.authored import (
    pages_authored as pages,
    pages_authored_forms as forms_of,
    pages_rules,
    rule_builder,
    segment_builder,
)
from armillary.console.authored.pages_trial import trial_links
from armillary.console.authored.rule_builder import owners
from armillary.console.authored.trial import chart_of
from armillary.console.bulk.kinds import bulk_of
from armillary.console.frame import sheet
from armillary.console.frame.asking import ask, catalogs, found_text, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Editor, Sheet, place
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError

LINES = 100
# Devices that a rule's page names.
DEVICES = 50
ALERTS = 10
DAY_MS = 86_400_000
RUNS = 10
RESULTS = 200
# Segments that a form offers.
CHOICES = 1000
KINDS = ("group", "job", "export")


@dataclass(frozen=True, slots=True)
class Refused:
    """What was sent and refused, with why: the JSON that was typed, or the form."""

    error: InvalidArgumentError
    json: str | None = None
    form: Mapping[str, str] | None = None


def kind_of(visit: Visit) -> str:
    """The kind of document that an address is about: its first word, without the s."""
    return visit.here.split("/")[1].removesuffix("s")


# Rules ------------------------------------------------------------------------------------------------------------


def rules(visit: Visit) -> Response:
    """All rules."""
    search = found_text(visit)
    page = ask(visit, "list_rules", limit=LINES, after=visit.query.get("after"), search=search)
    waiting = ask(visit, "list_alerts", status="open", limit=LINES)
    can = may(visit, "rule")
    return show(
        visit,
        pages_rules.list_sheet(
            page, len(waiting["items"]), may_change=can, now=visit.now, bulk=bulk_of(visit, "rules"), search=search
        ),
    )


def new_rule(visit: Visit) -> Response:
    """The form of a new rule."""
    return rule_builder.form_page(visit, rule_builder.new_document(), rule_builder.begun())


def rule(visit: Visit) -> Response:
    """One rule."""
    return rule_page(visit, None)


def rule_page(visit: Visit, refused: Refused | None) -> Response:
    """One rule, and what was wrong with its JSON."""
    rule_id = visit.params["rule_id"]
    document = ask(visit, "show_rule", rule_id=rule_id)
    can = may(visit, "rule", document["body"])
    alerts = ask(visit, "list_alerts", rule=rule_id, status="all", limit=ALERTS)["items"]
    target = document["body"].get("target", {})
    ids = list(target.get("devices", ()))[:DEVICES]
    if target.get("template") and not ids:
        page = ask(visit, "template_devices", template_name=target["template"], limit=DEVICES)
        ids = [each["device_id"] for each in page["items"]]
    labels = visit.sources.application.labels(sorted({*ids, *(each["device_id"] for each in alerts)}))
    devices = [(each, labels.get(each, each[:12])) for each in ids]
    editor = _editor(document, place("rule", rule_id), refused) if can else None
    made = pages_rules.rule_sheet(
        document,
        devices,
        alerts,
        labels,
        may_change=can,
        editor=editor,
        rule_form=rule_builder.builder(visit, document) if can else None,
        now=visit.now,
    )
    return show(visit, made, 400 if refused else 200)


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
    trial = ask(visit, "try_kept_rule", rule_id=rule_id, start_ms=end_ms - DAY_MS, end_ms=end_ms)
    labels = visit.sources.application.labels([each["device_id"] for each in trial["devices"]][:DEVICES])
    drawn, chart = chart_of(visit, document["body"], trial, labels, visit.query.get("chart_of", ""))
    links = trial_links(trial, labels, drawn, place("rule", rule_id, "try"))
    return show(visit, pages_rules.trial_sheet(document, trial, labels, chart=chart, links=links))


# Groups, jobs, exports --------------------------------------------------------------------------------------------


def _listed(visit: Visit, kind: str, laid_out: Callable[..., Sheet]) -> Response:
    """The page that lists all documents of a kind."""
    search = found_text(visit)
    found = ask(visit, f"list_{kind}s", limit=LINES, after=visit.query.get("after"), search=search)
    return show(visit, laid_out(found, may_change=may(visit, kind), now=visit.now, search=search))


def groups(visit: Visit) -> Response:
    """Segments."""
    return _listed(visit, "group", pages.groups_sheet)


def jobs(visit: Visit) -> Response:
    """Jobs."""
    return _listed(visit, "job", partial(pages.jobs_sheet, of_one=visit.operator.catalog is not None))


def exports(visit: Visit) -> Response:
    """Data exports."""
    return _listed(visit, "export", pages.exports_sheet)


def authored(visit: Visit) -> Response:
    """One group, job or export."""
    return authored_page(visit, None)


def authored_page(visit: Visit, refused: Refused | None) -> Response:
    """One group, job or export, or a new one, and what was wrong with what was sent."""
    kind, document_id = kind_of(visit), visit.params["document_id"]
    new = document_id == "new"
    document, page = _new(visit, kind, refused) if new else _found(visit, kind, document_id)
    post = place(kind, document_id)
    if not may(visit, kind, document["body"]):
        page = replace(page, buttons=())
    else:
        editor = _editor(document, post, refused)
        if new:
            editor = replace(editor, is_new=True, name=visit.query.get("name", ""))
        page = replace(page, forms=_forms(visit, kind, document, f"{post}/form", refused), editor=editor)
        if kind == "group":
            page = replace(page, rule_form=segment_builder.builder(visit, document))
    return show(visit, page, 400 if refused else 200)


def _found(visit: Visit, kind: str, document_id: str) -> tuple[Mapping[str, Any], Sheet]:
    application = visit.sources.application
    if kind == "group":
        document: Mapping[str, Any] = application.document(kind, document_id)
        members = ask(visit, "group_members", group_id=document_id, limit=LINES)
        labels = application.labels([each["device_id"] for each in members["items"]])
        return document, pages.group_sheet(document, members, labels)
    document = ask(visit, f"show_{kind}", **{f"{kind}_id": document_id})
    # What one of all catalogs does is not shown to who speaks for one: it is done to others' devices as well.
    is_theirs = visit.operator.catalog is None or document["body"].get("catalog") is not None
    if kind == "export":
        letters = ask(visit, "list_dead_letters", export_id=document_id, limit=LINES)["items"] if is_theirs else None
        return document, pages.export_sheet(document, letters)
    runs = ask(visit, "list_runs", job_id=document_id, limit=RUNS)["items"] if is_theirs else None
    number = runs[0]["number"] if runs else None
    results = ask(visit, "list_results", job_id=document_id, number=number, limit=RESULTS)["items"] if runs else []
    labels = application.labels([each["device_id"] for each in results])
    return document, pages.job_sheet(document, runs, results, labels, visit.now)


def _new(visit: Visit, kind: str, refused: Refused | None) -> tuple[Mapping[str, Any], Sheet]:
    variants = forms_of.VARIANTS.get(kind, {})
    chosen = ((refused and refused.form) or {}).get("variant") or visit.query.get("kind", "")
    variant = chosen if chosen in variants else next(iter(variants), "")
    body = forms_of.begin(kind, variant)
    names = catalogs(visit)
    body["catalog"] = names[0] if len(names) == 1 else None  # seen by whoever writes JSON
    page = Sheet(
        place=pages.place_of(kind),
        crumbs=((pages.place_of(kind), f"/{kind}s"),),
        title=pages.NEW_WORDS[kind],
        detail=say("The same as a file: armillary {noun} create --file", noun=pages.NOUN[kind]),
        links=tuple((words, f"/{kind}s/new?kind={each}", each == variant) for each, words in variants.items()),
    )
    return {"body": body, "etag": ""}, page


def _forms(
    visit: Visit, kind: str, document: Mapping[str, Any], post: str, refused: Refused | None
) -> tuple[Form, ...]:
    if kind == "group":
        return ()
    groups = ask(visit, "list_groups", limit=CHOICES, after=None)["items"]
    sent = refused.form if refused else None
    found = forms_of.form(
        kind,
        document["body"],
        post=post,
        etag=document["etag"] if sent is None else sent.get("etag", ""),
        groups=[(each["id"], each["body"]["name"]) for each in groups],
        catalogs=owners(visit),
        sent=sent,
        error=refused.error if refused and sent is not None else None,
    )
    return () if found is None else (found,)


def _editor(document: Mapping[str, Any], post: str, refused: Refused | None) -> Editor:
    typed = refused.json if refused else None
    text = sheet.pretty(document["body"]) if typed is None else typed
    return Editor(
        post=post, etag=document["etag"], text=text, error=refused.error if refused and refused.form is None else None
    )
