# SPDX-License-Identifier: Apache-2.0
"""Findings and statements about advisories, changed: as the API does it, under the operator's name."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.frame.action_checks import CHANGED, Form, confirmed, reason_of
from armillary.console.frame.asking import ask, confirm, sent_catalog
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.security import pages_advisories, pages_findings, pages_statements, read, read_advisories
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError


def move_finding(visit: Visit, form: Form) -> Response:
    """Acknowledge or close a finding."""
    status = form.get("status", "")
    if status not in ("acknowledged", "closed"):
        raise InvalidArgumentError(
            f"status: expected acknowledged or closed, got {status[:20]!r}", remedy="Use the buttons on the page."
        )
    visit.sources.watch.move(visit.params["finding_id"], status)
    return done(form.get("back", "/findings"), status)


def kind_question(visit: Visit) -> Confirmation:
    """What acknowledging all open findings of a kind touches."""
    return _asked(visit, read.filters_of(visit, visit.query))


def acknowledge_kind(visit: Visit, form: Form) -> Response:
    """Acknowledge the open findings of a kind that the page counted; what came since stays open."""
    chosen = read.filters_of(visit, form)
    asked = _asked(visit, chosen)
    seen = dict(asked.hidden)
    if any(form.get(name, "") != seen[name] for name in ("findings", "up_to")):
        return confirm(visit, asked, CHANGED)
    confirmed(asked, form)
    visit.sources.watch.acknowledge_kind(
        visit.params["finding_kind"],
        up_to=int(seen["up_to"]),
        severity=chosen.severity or None,
        catalog=chosen.catalog or None,
    )
    return done(asked.back, "acknowledged-kind")


def _asked(visit: Visit, chosen: pages_findings.Filters) -> Confirmation:
    kind = visit.params["finding_kind"]
    named = {"severity": chosen.severity or None, "catalog": chosen.catalog or None}
    for each in visit.sources.watch.kinds("open", **named)["items"]:
        if each["kind"] == kind:
            return pages_findings.kind_confirmation(each, chosen)
    raise NotFoundError(f"no finding of the kind {kind[:40]!r} is open", remedy="Reload the list of findings.")


def make_statement(visit: Visit, form: Form) -> Response:
    """State how an image, product or release stands to an advisory."""
    catalog, subject = sent_catalog(visit, form), form.get("subject", "")
    said = {name: form.get(name, "").strip() for name in ("status", "justification", "component", "author", "reason")}
    advisory_id, named = visit.params["advisory_id"], form.get("named", "").strip()
    try:
        ask(
            visit,
            "make_statement",
            advisory_id=advisory_id,
            catalog=catalog,
            subject=subject if subject in pages_statements.SUBJECTS else "image",
            named=named,
            said=said,
        )
    except (ConflictError, InvalidArgumentError, NotFoundError) as error:
        return read_advisories.advisory_page(visit, form, wrong_of(error))
    return done(f"{pages_advisories.place(advisory_id)}#{pages_statements.ANCHOR}", "stated")


def take_back_question(visit: Visit) -> Confirmation:
    """What taking a statement back does."""
    return pages_statements.take_back_confirmation(_statement(visit))


def take_back(visit: Visit, form: Form) -> Response:
    """Take a statement back."""
    found = _statement(visit)
    asked = pages_statements.take_back_confirmation(found)
    confirmed(asked, form)
    named = {"statement_id": found["statement_id"], "catalog": found["catalog"]}
    ask(visit, "take_back_statement", **named, reason=reason_of(form))
    return done(asked.back, "taken-back")


def _statement(visit: Visit) -> dict[str, Any]:
    return ask(visit, "show_statement", statement_id=visit.params["advisory_statement"])
