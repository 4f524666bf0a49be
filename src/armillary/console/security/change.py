# SPDX-License-Identifier: Apache-2.0
"""Findings, changed: as the API does it, under the operator's name."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.frame.action_checks import CHANGED, Form, confirmed
from armillary.console.frame.asking import confirm
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.security import pages_findings, read
from armillary.errors import InvalidArgumentError, NotFoundError


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
