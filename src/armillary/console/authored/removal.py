# SPDX-License-Identifier: Apache-2.0
"""Deleting what authors made and running jobs: a page that asks first, and then the act, never without the page.

The page's form carries what it said (``seen``). A form without it is led to the page; one whose document or users have
changed since is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from armillary.api.native.platform.jobs import RunBody
from armillary.console.authored import pages_authored as pages_made, pages_removal, read as read_application
from armillary.console.authored.read import ask
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.desk import Desk, Visit, told
from armillary.console.frame.words import counted, grouped
from armillary.console.operations.change import Form, confirmed, permit
from armillary.errors import InvalidArgumentError, NotFoundError

# Devices, alerts and dead letters that are counted; more are said to be "or more".
COUNTED = 1000
CHANGED = "This has changed since the page was opened: look again. Nothing was changed."
# What of a form stands in the address of its page.
ADDRESSED = ("only", "what", "name")
# Parts of a template's draft that are taken away by a button.
PARTS = ("capability", "cloud", "view")


def confirm(desk: Desk, visit: Visit) -> Response:
    """What deleting a rule, group, job or export does, or running a job."""
    kind = _kind(desk, visit)
    return _page(desk, visit, _question(desk, visit, kind, only_failed=visit.query.get("only") == "failed"))


def delete(desk: Desk, visit: Visit, form: Form) -> Response:
    """Delete a rule, group, job or export, as the page said."""
    kind = _kind(desk, visit)
    asked = _question(desk, visit, kind)
    again = _asked_again(desk, visit, asked, form)
    if again is not None:
        return again
    document_id = _document_id(visit)
    desk.sources.application.drop(visit.operator, kind, document_id, form.get("etag", ""), force=bool(asked.word))
    return told(f"/{kind}s", "deleted")


def run(desk: Desk, visit: Visit, form: Form) -> Response:
    """Begin a run of a job, as the page said."""
    kind, only_failed = _kind(desk, visit), form.get("only") == "failed"
    asked = _question(desk, visit, kind, only_failed=only_failed)
    again = _asked_again(desk, visit, asked, form)
    if again is not None:
        return again
    body = RunBody(only="failed" if only_failed else "all")
    ask(desk, visit, "begin_run", job_id=_document_id(visit), body=body)
    return told(pages_made.place(kind, _document_id(visit)), "begun")


def confirm_part(desk: Desk, visit: Visit) -> Response:
    """What taking a capability, cloud property or view away from a template's draft does."""
    permit(desk, visit, "template")
    return _page(desk, visit, _part_question(desk, visit, visit.query))


def part_asked_again(desk: Desk, visit: Visit, form: Form) -> Response | None:
    """The page again, where a form did not come from it as it is now; None where it may be done."""
    return _asked_again(desk, visit, _part_question(desk, visit, form), form)


# Inside -----------------------------------------------------------------------------------------------------------


def _page(desk: Desk, visit: Visit, asked: Confirmation, notice: str = "") -> Response:
    return desk.page(visit, "confirm.html", status=409 if notice else 200, view=asked, notice=notice)


def _asked_again(desk: Desk, visit: Visit, asked: Confirmation, form: Form) -> Response | None:
    shown = dict(asked.hidden)
    if not form.get("seen"):
        query = urlencode([each for each in asked.hidden if each[0] in ADDRESSED])
        return RedirectResponse(asked.post + (f"?{query}" if query else ""), 303)
    if form["seen"] != shown["seen"]:
        return _page(desk, visit, asked, CHANGED)
    confirmed(asked, form)
    return None


def _question(desk: Desk, visit: Visit, kind: str, *, only_failed: bool = False) -> Confirmation:
    verb, document_id = visit.params.get("verb", "delete"), _document_id(visit)
    if verb == "run" and kind == "job":
        return _run_question(desk, visit, document_id, only_failed=only_failed)
    if verb != "delete":
        raise NotFoundError(f"there is no action {verb[:40]!r}", remedy="Use the buttons on the page.")
    if kind == "rule":
        document = ask(desk, visit, "show_rule", rule_id=document_id)
        page = ask(desk, visit, "list_alerts", rule=document_id, status="open", limit=COUNTED)
        return pages_removal.rule_deletion(document, _said(page, "open alert"))
    if kind == "export":
        document = ask(desk, visit, "show_export", export_id=document_id)
        page = ask(desk, visit, "list_dead_letters", export_id=document_id, limit=COUNTED)
        return pages_removal.export_deletion(document, _said(page, "dead letter"))
    uses = ask(desk, visit, f"{kind}_uses", **{f"{kind}_id": document_id})["items"]
    if kind == "job":
        return pages_removal.job_deletion(ask(desk, visit, "show_job", job_id=document_id), uses)
    document = dict(desk.sources.application.document(kind, document_id))
    return pages_removal.group_deletion(document, uses, _size(desk, visit, document_id, None))


def _run_question(desk: Desk, visit: Visit, job_id: str, *, only_failed: bool) -> Confirmation:
    document = ask(desk, visit, "show_job", job_id=job_id)
    body, newest = document["body"], document["run"]
    group = desk.sources.application.document("group", body["group"])
    if not only_failed:
        size = _size(desk, visit, body["group"], body.get("catalog"))
    elif newest is None or not newest["counts"]["failed"]:
        raise InvalidArgumentError("no device failed in the newest run", remedy="Begin an ordinary run.")
    else:
        size = counted(newest["counts"]["failed"], "device")
    return pages_removal.run(document, str(group["body"].get("name")), size, only_failed=only_failed)


def _part_question(desk: Desk, visit: Visit, sent: Mapping[str, str]) -> Confirmation:
    template, what, name = visit.params["name"], sent.get("what", ""), sent.get("name", "")
    if what not in PARTS:
        raise NotFoundError(f"nothing is called {what[:20]!r}", remedy="Use the buttons on the page.")
    draft = ask(desk, visit, "show_template", template_name=template)
    found = {"capability": "capabilities", "cloud": "cloud_properties", "view": "views"}[what]
    if name not in {each["name"] for each in draft[found]}:
        raise NotFoundError(f"the draft has no {what} {name[:64]!r}", remedy="Reload the page.")
    uses = () if what == "view" else ask(desk, visit, "template_uses", template_name=template, value=name)["items"]
    devices = ask(desk, visit, "template_devices", template_name=template, limit=COUNTED)
    versions = read_application.versions_of(desk, visit, template)
    return pages_removal.capability_removal(draft, what, name, uses, _said(devices, "device"), versions)


def _size(desk: Desk, visit: Visit, group_id: str, catalog: str | None) -> str:
    return _said(ask(desk, visit, "group_members", group_id=group_id, catalog=catalog, limit=COUNTED), "device")


def _said(page: Mapping[str, Any], word: str) -> str:
    if page["next"]:
        return f"{grouped(len(page['items']))} or more {word}s"
    return counted(len(page["items"]), word)


def _kind(desk: Desk, visit: Visit) -> str:
    kind = read_application.kind_of(visit)
    permit(desk, visit, kind)
    return kind


def _document_id(visit: Visit) -> str:
    return visit.params.get("rule_id") or visit.params["document_id"]
