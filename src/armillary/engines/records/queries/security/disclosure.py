# SPDX-License-Identifier: Apache-2.0
"""Reports of vulnerabilities with what was done about each, and how strangers are asked to report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.engines.records.schema.security import disclosure_tables
from armillary.engines.records.schema.security.disclosure_rows import PolicyRow, ReportEntryRow, ReportRow

_policy, _report, _entry = (
    disclosure_tables.disclosure_policy,
    disclosure_tables.vulnerability_report,
    disclosure_tables.vulnerability_report_entry,
)
_ONLY: Final = 1  # id of the one row


def policy(connection: Connection) -> PolicyRow | None:
    """How strangers are asked to report; None where nobody said."""
    return first(connection, select(_policy).where(_policy.c.policy_id == _ONLY), partial(from_row, PolicyRow))


def put_policy(connection: Connection, row: PolicyRow | None) -> None:
    """Replace it; None for nothing."""
    connection.execute(delete(_policy).where(_policy.c.policy_id == _ONLY))
    if row is not None:
        connection.execute(insert(_policy).values(to_row(_policy, row, policy_id=_ONLY)))


def add(connection: Connection, made: ReportRow) -> ReportRow:
    """Record a report; its number is given by the database, which refuses a reference the second time."""
    values = to_row(_report, made)
    del values["number"]
    connection.execute(insert(_report).values(values))
    found = one(connection, made.reference)
    if found is None:
        raise AssertionError("a report written in this transaction is not there")
    return found


def change(connection: Connection, number: int, values: Mapping[str, object]) -> None:
    """Set columns of a report."""
    connection.execute(update(_report).where(_report.c.number == number).values(dict(values)))


def one(connection: Connection, reference: str) -> ReportRow | None:
    """The report of a reference."""
    return first(connection, select(_report).where(_report.c.reference == reference), _as_report)


def page(
    connection: Connection, catalog_id: UUID | None, *, state: str | None, limit: int, before: int | None
) -> Page[ReportRow]:
    """Reports of a catalog (None: of everybody), newest first; ``state`` only those, ``open`` all but closed ones."""
    query = select(_report)
    if catalog_id is not None:
        query = query.where(_report.c.catalog_id == catalog_id)
    if state == "open":
        query = query.where(_report.c.state != "closed")
    elif state is not None:
        query = query.where(_report.c.state == state)
    return newest_first(connection, query, _report, _as_report, limit=limit, before=before)


def open_reports(connection: Connection) -> tuple[ReportRow, ...]:
    """Every report that is not closed, oldest first."""
    return every(connection, select(_report).where(_report.c.state != "closed").order_by(_report.c.number), _as_report)


def counts(connection: Connection) -> dict[str, int]:
    """State -> how many reports are in it."""
    query = select(_report.c.state, func.count()).group_by(_report.c.state)
    return {state: int(number) for state, number in connection.execute(query)}


def add_entry(connection: Connection, report_number: int, entry: ReportEntryRow) -> None:
    """Add what was done about a report; the first one to have its number stays."""
    connection.execute(insert(_entry).values(to_row(_entry, entry, report_number=report_number)))


def entries(connection: Connection, report_number: int) -> tuple[ReportEntryRow, ...]:
    """What was done about a report, in its order."""
    query = select(_entry).where(_entry.c.report_number == report_number).order_by(_entry.c.number)
    return every(connection, query, lambda row: from_row(ReportEntryRow, row, sealed=bytes(row.sealed)))


def _as_report(row: Row[Any]) -> ReportRow:
    return from_row(ReportRow, row, sealed=bytes(row.sealed))
