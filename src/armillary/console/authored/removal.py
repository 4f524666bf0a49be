# SPDX-License-Identifier: Apache-2.0
"""Deleting what authors made and running jobs: a page that asks first, and then the act, never without the page."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.authored import pages_removal
from armillary.console.authored.read import kind_of
from armillary.console.frame.action_checks import Form, asked_again
from armillary.console.frame.asking import ask
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.sheet import place
from armillary.console.frame.words import counted, counted_page
from armillary.errors import InvalidArgumentError, NotFoundError

# Devices, alerts and dead letters that are counted; more are said to be "or more".
COUNTED = 1000


def question(visit: Visit) -> Confirmation:
    """What deleting a rule, group, job or export does, or running a job."""
    return _question(visit, kind_of(visit), only_failed=visit.query.get("only") == "failed")


def delete(visit: Visit, form: Form) -> Response:
    """Delete a rule, group, job or export, as the page said."""
    kind = kind_of(visit)
    asked = _question(visit, kind)
    again = asked_again(visit, asked, form)
    if again is not None:
        return again
    document_id = _document_id(visit)
    visit.sources.application.drop(kind, document_id, form.get("etag", ""), force=bool(asked.word))
    return done(f"/{kind}s", "deleted")


def run(visit: Visit, form: Form) -> Response:
    """Begin a run of a job, as the page said."""
    kind, only_failed = kind_of(visit), form.get("only") == "failed"
    asked = _question(visit, kind, only_failed=only_failed)
    again = asked_again(visit, asked, form)
    if again is not None:
        return again
    ask(visit, "begin_run", job_id=_document_id(visit), only_failed=only_failed)
    return done(place(kind, _document_id(visit)), "begun")


# Inside -----------------------------------------------------------------------------------------------------------


def _question(visit: Visit, kind: str, *, only_failed: bool = False) -> Confirmation:
    verb, document_id = visit.params.get("verb", "delete"), _document_id(visit)
    if verb == "run" and kind == "job":
        return _run_question(visit, document_id, only_failed=only_failed)
    if verb != "delete":
        raise NotFoundError(f"there is no action {verb[:40]!r}", remedy="Use the buttons on the page.")
    if kind == "rule":
        document = ask(visit, "show_rule", rule_id=document_id)
        page = ask(visit, "list_alerts", rule=document_id, status="open", limit=COUNTED)
        return pages_removal.rule_deletion(document, counted_page(page, "open alert"))
    if kind == "export":
        document = ask(visit, "show_export", export_id=document_id)
        page = ask(visit, "list_dead_letters", export_id=document_id, limit=COUNTED)
        return pages_removal.export_deletion(document, counted_page(page, "dead letter"))
    uses = ask(visit, f"{kind}_uses", **{f"{kind}_id": document_id})["items"]
    if kind == "job":
        return pages_removal.job_deletion(ask(visit, "show_job", job_id=document_id), uses)
    document = dict(visit.sources.application.document(kind, document_id))
    return pages_removal.group_deletion(document, uses, _size(visit, document_id, None))


def _run_question(visit: Visit, job_id: str, *, only_failed: bool) -> Confirmation:
    document = ask(visit, "show_job", job_id=job_id)
    body, newest = document["body"], document["run"]
    group = visit.sources.application.document("group", body["group"])
    if not only_failed:
        size = _size(visit, body["group"], body.get("catalog"))
    elif newest is None or not newest["counts"]["failed"]:
        raise InvalidArgumentError("no device failed in the newest run", remedy="Begin an ordinary run.")
    else:
        size = counted(newest["counts"]["failed"], "device")
    return pages_removal.run(document, str(group["body"].get("name")), size, only_failed=only_failed)


def _size(visit: Visit, group_id: str, catalog: str | None) -> str:
    return counted_page(ask(visit, "group_members", group_id=group_id, catalog=catalog, limit=COUNTED), "device")


def _document_id(visit: Visit) -> str:
    return visit.params.get("rule_id") or visit.params["document_id"]
