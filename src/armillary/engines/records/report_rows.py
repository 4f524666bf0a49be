# SPDX-License-Identifier: Apache-2.0
"""What devices told: error reports, update outcomes, and the requests that were refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Table, delete, func, select

from armillary.engines.records import schema
from armillary.engines.records.rows import ErrorReportRow, Outcome, Page, Refusal

_device = schema.device


def error_reports(
    connection: Connection,
    *,
    catalog_id: UUID | None,
    device_id: str | None,
    event_type: str | None,
    limit: int,
    before: int | None,
) -> Page[ErrorReportRow]:
    """Error reports, newest first."""
    table = schema.error_report
    query = _with_device(table)
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    if event_type is not None:
        query = query.where(table.c.event_type == event_type)
    rows, cursor = _newest(connection, query, table, limit, before)
    return Page(tuple(_as_report(row) for row in rows), cursor)


def error_reports_since(connection: Connection, number: int, *, limit: int) -> list[ErrorReportRow]:
    """Error reports after row ``number``, oldest first."""
    table = schema.error_report
    query = _with_device(table).where(table.c.number > number).order_by(table.c.number).limit(limit)
    return [_as_report(row) for row in connection.execute(query)]


def outcomes(
    connection: Connection, *, device_id: str | None, deployment_id: UUID | None, limit: int, before: int | None
) -> Page[Outcome]:
    """Update outcomes, newest first."""
    table = schema.outcome
    query = _with_device(table)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    if deployment_id is not None:
        query = query.where(table.c.deployment_id == deployment_id)
    rows, cursor = _newest(connection, query, table, limit, before)
    return Page(tuple(_as_outcome(row) for row in rows), cursor)


def outcomes_since(connection: Connection, number: int, *, limit: int) -> list[Outcome]:
    """Update outcomes after row ``number``, oldest first."""
    table = schema.outcome
    query = _with_device(table).where(table.c.number > number).order_by(table.c.number).limit(limit)
    return [_as_outcome(row) for row in connection.execute(query)]


def refusals(connection: Connection, *, device_id: str | None, limit: int, before: int | None) -> Page[Refusal]:
    """Refused requests, newest first."""
    table = schema.refusal
    query: Select[Any] = select(table)
    if device_id is not None:
        query = query.where(table.c.device_id == device_id)
    rows, cursor = _newest(connection, query, table, limit, before)
    return Page(tuple(_as_refusal(row) for row in rows), cursor)


def refusals_since(connection: Connection, number: int, *, limit: int) -> list[Refusal]:
    """Refused requests after row ``number``, oldest first."""
    table = schema.refusal
    query = select(table).where(table.c.number > number).order_by(table.c.number).limit(limit)
    return [_as_refusal(row) for row in connection.execute(query)]


def prune(connection: Connection, *, before: int) -> int:
    """Delete error reports and refusals received before a time; returns how many."""
    removed = connection.execute(delete(schema.error_report).where(schema.error_report.c.received_at < before)).rowcount
    return removed + connection.execute(delete(schema.refusal).where(schema.refusal.c.at < before)).rowcount


def newest_number(connection: Connection, table_name: str) -> int:
    """The highest row number of ``error_report``, ``outcome``, ``refusal`` or ``check_in``; 0 when empty."""
    table = schema.metadata.tables[table_name]
    return int(connection.execute(select(func.coalesce(func.max(table.c.number), 0))).scalar_one())


def _with_device(table: Table) -> Select[Any]:
    return select(table, _device.c.device_id, _device.c.catalog_id).join(
        _device, _device.c.number == table.c.device_number
    )


def _newest(
    connection: Connection, query: Select[Any], table: Table, limit: int, before: int | None
) -> tuple[list[Row[Any]], str | None]:
    if before is not None:
        query = query.where(table.c.number < before)
    rows = connection.execute(query.order_by(table.c.number.desc()).limit(limit + 1)).all()
    return list(rows[:limit]), str(rows[limit - 1].number) if len(rows) > limit else None


def _as_report(row: Row[Any]) -> ErrorReportRow:
    return ErrorReportRow(
        number=row.number,
        device_id=row.device_id,
        catalog_id=row.catalog_id,
        boot_count=row.boot_count,
        sequence=row.sequence,
        event_category=row.event_category,
        event_class=row.event_class,
        event_type=row.event_type,
        description=row.description,
        component_id=row.component_id,
        image_id=row.image_id,
        count=row._mapping["count"],  # noqa: SLF001 - a row is a tuple, and "count" a method of tuples
        start=row.start_at,
        end=row.end_at,
        received_at=row.received_at,
    )


def _as_outcome(row: Row[Any]) -> Outcome:
    return Outcome(
        number=row.number,
        device_id=row.device_id,
        offer_id=row.offer_id,
        deployment_id=row.deployment_id,
        image_id=row.image_id,
        component_id=row.component_id,
        outcome=row.outcome,
        reason=row.reason,
        at=row.at,
        received_at=row.received_at,
    )


def _as_refusal(row: Row[Any]) -> Refusal:
    return Refusal(
        number=row.number,
        device_id=row.device_id,
        at=row.at,
        code=row.code,
        message=row.message,
        count=row._mapping["count"],  # noqa: SLF001 - a row is a tuple, and "count" a method of tuples
    )
