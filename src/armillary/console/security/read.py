# SPDX-License-Identifier: Apache-2.0
"""Findings and the seven properties, read: asked of the sources, laid out as pages."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from armillary.console.bulk.kinds import bulk_of
from armillary.console.frame.asking import ask, catalogs, listed, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.security import pages_actions, pages_assessment, pages_finding, pages_findings
from armillary.console.security.pages_findings import Filters

# Audit lines about a finding: it is acknowledged and closed once each.
AUDIT_LINES = 10
# Actions about a finding that its page has.
ACTIONS = 20

# Findings ----------------------------------------------------------------------------------------------------------


def filters_of(visit: Visit, given: Mapping[str, str]) -> Filters:
    """What of findings an address or a form asks for. Raises InvalidArgumentError for a word that there is not."""
    return pages_findings.filters(given, catalogs(visit), whole=visit.operator.catalog is None)


def findings(visit: Visit) -> Response:
    """The inbox: kinds with their counts, and the findings."""
    watch, after = visit.sources.watch, visit.query.get("after")
    chosen = filters_of(visit, visit.query)
    device_id = meant(visit, chosen.device) if chosen.device else None
    named = {"severity": chosen.severity or None, "catalog": chosen.catalog or None}
    page = watch.findings(
        chosen.status, kind=chosen.kind or None, naming=device_id, after=after, limit=LIST_LINES, **named
    )
    counted = [] if device_id or after else watch.kinds(chosen.status, **named)["items"]
    may_act = may(visit, "watch.move")
    names = visit.sources.application.labels(pages_findings.named_devices(page["items"]))
    table = listed(
        visit,
        pages_findings.COLUMNS,
        [
            pages_findings.finding_line(item, names, may_act=may_act, now=visit.now)
            for item in pages_findings.by_severity(page["items"])
        ],
        pages_findings.href(chosen, after=page["next"]) if page["next"] else "",
        more=pages_findings.EXPORTED,
    )
    view = {
        "heads": table.heads,
        "sentence": pages_findings.inbox_sentence(page, counted, chosen),
        "chosen": chosen,
        "statuses": pages_findings.statuses(chosen),
        "search": pages_findings.search_form(chosen, catalogs(visit)),
        "kinds": pages_findings.kind_lines(counted, chosen, may_act=may_act, now=visit.now),
        "lines": table.rows,
        "next_href": table.next_href,
    }
    return visit.page("findings.html", view=view, bar=table.bar, bulk=bulk_of(visit, "findings"))


def finding(visit: Visit) -> Response:
    """One finding."""
    found = visit.sources.watch.finding(visit.params["finding_id"])
    owners = {str(each["catalog_id"]): str(each["name"]) for each in visit.sources.settings.catalog_names()}
    names = visit.sources.application.labels(found["device_ids"])
    done = ask(visit, "list_actions", state=None, finding_id=found["finding_id"], limit=ACTIONS, after=None)["items"]
    lines = []
    if may(visit, "settings.audit_lines"):
        about = visit.sources.settings.audit_lines(after=None, limit=AUDIT_LINES, target=found["finding_id"])
        lines = about["items"]
    made = pages_finding.finding_sheet(
        found,
        owners.get(str(found["catalog_id"]), ""),
        names,
        lines,
        actions=pages_actions.about_section(done, visit.now),
        may_act=may(visit, "watch.move"),
        may_report=may(visit, "begin_case"),
        now=visit.now,
    )
    return show(visit, made)


# The seven properties ----------------------------------------------------------------------------------------------


def assessment(visit: Visit) -> Response:
    """All devices that the operator speaks for, or those of one catalog."""
    names, asked = catalogs(visit), visit.query.get("catalog", "")
    only = names[0] if visit.operator.catalog is not None and names else ""
    catalog = asked if asked in names else only
    found = ask(visit, "assess_fleet", catalog=catalog or None)
    return show(visit, pages_assessment.fleet_sheet(found, catalog, names))


def device(visit: Visit) -> Response:
    """One device."""
    found = visit.sources.fleet.device(visit.params["device_id"])
    answers = ask(visit, "assess_device", device_id=found["device_id"])
    return show(visit, pages_assessment.device_sheet(answers, found["name"]))
