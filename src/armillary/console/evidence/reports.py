# SPDX-License-Identifier: Apache-2.0
"""Vulnerability reports, read and dealt with: as the API does it, under the operator's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from armillary.console.evidence import pages_reports
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, catalogs, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.sheet import LIST_LINES
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

_REFUSED = (ConflictError, InvalidArgumentError, NotFoundError)


def reports(visit: Visit) -> Response:
    """The inbox."""
    wanted, after = visit.query.get("state", "open"), visit.query.get("after")
    asked = wanted if wanted in (*pages_reports.STATES, "open", "") else "open"
    page = ask(visit, "list_reports", state=asked or None, limit=LIST_LINES, after=after)
    policy = ask(visit, "show_disclosure") if may(visit, "show_disclosure") else None
    return show(visit, pages_reports.list_sheet(page, policy, asked=asked, is_part=bool(after), now=visit.now))


def report(visit: Visit) -> Response:
    """One report; that it was read is audited."""
    return _page(visit)


def act(visit: Visit, form: Form) -> Response:
    """Acknowledge a report, work on it, tell its writer, fix, close or reopen it."""
    reference, note = visit.params["reference"], form.get("note", "").strip()
    try:
        ask(visit, "act_on_report", reference=reference, action=form.get("action", ""), note=note)
    except _REFUSED as error:
        return _page(visit, form, ("actions", wrong_of(error)))
    return done(pages_reports.place(reference), "report-changed")


def assign(visit: Visit, form: Form) -> Response:
    """Give a report to the catalog and product that it concerns."""
    reference, product = visit.params["reference"], form.get("product", "").strip() or None
    try:
        ask(visit, "assign_report", reference=reference, owner=form.get("catalog", ""), product=product)
    except _REFUSED as error:
        return _page(visit, form, ("assign", wrong_of(error)))
    return done(pages_reports.place(reference), "report-changed")


def _page(
    visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: tuple[str, Wrong] | None = None
) -> Response:
    found = ask(visit, "read_report", reference=visit.params["reference"])
    made = pages_reports.report_sheet(
        found,
        catalogs(visit),
        sent=sent,
        wrong=wrong,
        may_act=may(visit, "act_on_report"),
        may_assign=may(visit, "assign_report"),
        may_report=may(visit, "begin_case"),
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)
