# SPDX-License-Identifier: Apache-2.0
"""What is published about disclosure, and reports of vulnerabilities, as JSON-able dicts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import as_page
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.disclosure_rows import ReportRow
from armillary.service.disclosure.policies import Policy
from armillary.service.disclosure.reports import ReadReport, Report

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def policy(service: SecurityService) -> Document:
    """The policy in force, ``is_published``, ``reports`` by state, and ``refused`` since the start."""
    disclosure = service.disclosure
    found = disclosure.policies.current
    shown = asdict(found or Policy())
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()},
        "is_published": found is not None,
        "signed_until": None if found is None else found.signed_until,
        "reports": disclosure.reports.counts(),
        "refused": disclosure.reports.rate.refused,
    }


def receipt(service: SecurityService, row: ReportRow) -> Document:
    """What whoever handed in a report is given: its ``reference``, and the times that are published."""
    promise = (service.disclosure.policies.current or Policy()).promise
    return {"reference": row.reference, "received_at": row.received_at, **asdict(promise)}


def report(found: Report) -> Document:
    """A report without what it says; ``due_action`` is what its writer must hear, by ``due_at``."""
    row, due = found.row, found.due
    return {
        "reference": row.reference,
        "state": row.state,
        "received_at": row.received_at,
        "acknowledged_at": row.acknowledged_at,
        "told_at": row.told_at,
        "closed_at": row.closed_at,
        "due_action": None if due is None else due.action,
        "due_at": None if due is None else due.due_at,
        "due_state": None if due is None else due.state,
        "catalog": found.catalog,
        "product": found.product,
    }


def reports(page: Page[Report]) -> Document:
    """A page of reports."""
    return as_page(page, report)


def read_report(found: ReadReport) -> Document:
    """A report with what it says (``submission``) and what was done about it (``notes``)."""
    return {
        **report(found.report),
        "submission": asdict(found.submission),
        "notes": [asdict(each) for each in found.notes],
    }
