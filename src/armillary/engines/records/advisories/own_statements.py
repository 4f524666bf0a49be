# SPDX-License-Identifier: Apache-2.0
"""VEX statements that operators make here: inserted, asked for as of a time, taken back, never deleted."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from armillary.engines.records.advisories.software import portions
from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Page, from_row
from armillary.engines.records.schema.security.statement_rows import OwnStatementRow

_own = schema.own_statement


def _as_row(row: Row[Any]) -> OwnStatementRow:
    return from_row(OwnStatementRow, row, signed=bytes(row.signed))


def add(
    connection: Connection,
    *,
    statement_id: UUID,
    catalog_id: UUID | None,
    vulnerability: str,
    stated_at: int,
    signed: bytes,
    made_by: str,
) -> None:
    """Record a statement."""
    values = {
        "statement_id": statement_id,
        "catalog_id": catalog_id,
        "vulnerability": vulnerability,
        "stated_at": stated_at,
        "signed": signed,
        "made_by": made_by,
    }
    connection.execute(insert(_own).values(values))


def one(connection: Connection, statement_id: UUID) -> OwnStatementRow | None:
    """A statement by its id."""
    return first(connection, select(_own).where(_own.c.statement_id == statement_id), _as_row)


def holding(connection: Connection, names: Collection[str], at: int | None = None) -> list[OwnStatementRow]:
    """Statements about vulnerabilities of these names that hold now, or held at a time; the oldest first."""
    here: ColumnElement[bool] = _own.c.taken_back_at.is_(None)
    if at is not None:
        here = (_own.c.stated_at <= at) & or_(here, _own.c.taken_back_at > at)
    found: list[OwnStatementRow] = []
    for some in portions(sorted(names)):
        query = select(_own).where(_own.c.vulnerability.in_(some), here)
        found += every(connection, query.order_by(_own.c.number), _as_row)
    return found


def names(connection: Connection, catalog_id: UUID | None) -> set[str]:
    """Of which vulnerabilities statements of a catalog and of the whole service hold, or (None) of all catalogs."""
    query = select(_own.c.vulnerability).where(_own.c.taken_back_at.is_(None)).distinct()
    if catalog_id is not None:
        query = query.where(or_(_of(catalog_id), _of(None)))
    return set(connection.execute(query).scalars())


def count(connection: Connection, catalog_id: UUID | None) -> int:
    """How many statements of a catalog, or of the whole service, hold."""
    query = select(func.count()).select_from(_own).where(_own.c.taken_back_at.is_(None), _of(catalog_id))
    return int(connection.execute(query).scalar_one())


def page(
    connection: Connection, catalog_id: UUID | None, *, vulnerability: str | None, limit: int, before: int | None
) -> Page[OwnStatementRow]:
    """Statements of a catalog and those of the whole service, or (None) of all; newest first."""
    query = select(_own)
    if catalog_id is not None:
        query = query.where(or_(_of(catalog_id), _of(None)))
    if vulnerability is not None:
        query = query.where(_own.c.vulnerability == vulnerability)
    return newest_first(connection, query, _own, partial(_as_row), limit=limit, before=before)


def take_back(connection: Connection, statement_id: UUID, *, by: str, reason: str, now: int) -> None:
    """Say that a statement holds no more."""
    values = {"taken_back_at": now, "taken_back_by": by, "taken_back_reason": reason}
    connection.execute(update(_own).where(_own.c.statement_id == statement_id).values(values))


def _of(catalog_id: UUID | None) -> Any:
    return _own.c.catalog_id.is_(None) if catalog_id is None else _own.c.catalog_id == catalog_id
