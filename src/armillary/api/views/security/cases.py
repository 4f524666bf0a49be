# SPDX-License-Identifier: Apache-2.0
"""A case as the API shows it: its entries, and each stage with the time when it is due and what remains."""

from __future__ import annotations

from typing import Any

from armillary.api.http.documents import as_document, as_page
from armillary.engines.records.schema.rows import Page
from armillary.regulation.case import REFERENCE, CaseEntry, StageStanding
from armillary.regulation.clocks import AWARE
from armillary.service.cases.cases import Case

Document = dict[str, Any]


def case(found: Case, now: int) -> Document:
    """A case with its entries."""
    return {**_head(found, now), "entries": [_entry(each) for each in found.entries]}


def cases(page: Page[Case], now: int) -> Document:
    """A page of cases without their entries."""
    return as_page(page, lambda each: _head(each, now))


def _head(found: Case, now: int) -> Document:
    standing, row = found.standing, found.row
    due = standing.next_due
    return {
        "case_id": str(row.case_id),
        "kind": row.kind,
        "title": row.title,
        "catalog": found.catalog,
        "product": found.product,
        "state": "open" if standing.closed_at is None else "closed",
        "aware_at": standing.aware_at,
        "recorded_at": found.entries[0].recorded_at,
        "recorded_by": found.entries[0].actor,
        "fix_available_at": standing.fix_at,
        "closed_at": standing.closed_at,
        "about": [
            {"subject": each.subject, "id": each.reference}
            for each in found.entries
            if each.kind in (AWARE, REFERENCE) and each.subject
        ],
        "stages": [_stage(each, now) for each in standing.stages],
        "next_stage": None if due is None else due.stage,
        "next_due_at": None if due is None else due.due_at,
        "remaining_s": None if due is None else due.remaining_s(now),
        "as_of": now,
    }


def _stage(found: StageStanding, now: int) -> Document:
    document: Document = as_document(found)
    return {**document, "remaining_s": found.remaining_s(now)}


def _entry(found: CaseEntry) -> Document:
    document: Document = as_document(found)
    return document
