# SPDX-License-Identifier: Apache-2.0
"""Cases that must be reported, and their entries: entries are added, and nothing here changes or deletes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, update

from armillary.engines.records import ordered
from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.engines.records.schema.security import case_tables
from armillary.engines.records.schema.security.case_rows import CaseRow
from armillary.regulation.case import CORRECTION, CaseEntry
from armillary.regulation.clocks import AWARE

_case, _entry = case_tables.reported_case, case_tables.reported_case_entry
# Since when somebody has been aware: the earliest time that was stated.
_AWARE_AT = (
    select(func.min(_entry.c.stated_at))
    .where(_entry.c.case_number == _case.c.number, _entry.c.kind.in_((AWARE, CORRECTION)))
    .correlate(_case)
    .scalar_subquery()
)
# Word of an order -> what cases are sorted by (``order_words.CASES``); open ones before those that are closed.
ORDERS: Final[Mapping[str, ordered.Order]] = MappingProxyType(
    {
        "title": ordered.by_text(_case.c.title),
        "kind": ordered.by_text(_case.c.kind),
        "state": ordered.by_number(_case.c.closed_at, absent=0),
        "aware_at": ordered.by_number(_AWARE_AT),
    }
)


def add(connection: Connection, made: CaseRow) -> CaseRow:
    """Record a case; its number is given by the database."""
    values = to_row(_case, made)
    del values["number"]
    connection.execute(insert(_case).values(values))
    found = one(connection, made.case_id)
    if found is None:
        raise AssertionError("a case written in this transaction is not there")
    return found


def add_entry(connection: Connection, case_number: int, entry: CaseEntry) -> None:
    """Add an entry; the first one to have its number stays."""
    connection.execute(insert(_entry).values(to_row(_entry, entry, case_number=case_number)))


def close(connection: Connection, number: int, *, at: int) -> None:
    """Note that the last entry of a case closes it."""
    connection.execute(update(_case).where(_case.c.number == number).values(closed_at=at))


def one(connection: Connection, case_id: UUID) -> CaseRow | None:
    """The case of an id."""
    return first(connection, select(_case).where(_case.c.case_id == case_id), _as_case)


def page(
    connection: Connection,
    catalog_id: UUID | None,
    *,
    is_open: bool | None,
    limit: int,
    before: int | None = None,
    order: str = "",
    after: str | None = None,
) -> Page[CaseRow]:
    """Cases of a catalog (None: of all), newest first; with ``is_open`` only those that are open, or are not.

    With an ``order`` (``order_words.CASES``) in that one, after the cursor ``after`` instead of ``before``.
    """
    query = select(_case)
    if catalog_id is not None:
        query = query.where(_case.c.catalog_id == catalog_id)
    if is_open is not None:
        query = query.where(_case.c.closed_at.is_(None) if is_open else _case.c.closed_at.is_not(None))
    if order:
        key = ordered.Key(_case.c.number)
        return ordered.page(connection, query, order, ORDERS, key, _as_case, limit=limit, after=after, what="cases")
    return newest_first(connection, query, _case, _as_case, limit=limit, before=before)


def open_cases(connection: Connection) -> tuple[CaseRow, ...]:
    """Every case that is open, oldest first."""
    rows = connection.execute(select(_case).where(_case.c.closed_at.is_(None)).order_by(_case.c.number))
    return tuple(map(_as_case, rows))


def count_open(connection: Connection, catalog_id: UUID | None) -> int:
    """How many cases of a catalog, or (None) of the whole service, are open."""
    query = select(func.count()).select_from(_case).where(_case.c.closed_at.is_(None))
    return int(connection.execute(query.where(_case.c.catalog_id == catalog_id)).scalar_one())


def entries(connection: Connection, numbers: Sequence[int]) -> dict[int, list[CaseEntry]]:
    """Number of a case -> its entries in their order, of some cases (a page of them at most)."""
    query = select(_entry).where(_entry.c.case_number.in_(numbers))
    found: dict[int, list[CaseEntry]] = {number: [] for number in numbers}
    for row in connection.execute(query.order_by(_entry.c.case_number, _entry.c.number)):
        found[row.case_number].append(from_row(CaseEntry, row))
    return found


def _as_case(row: Row[Any]) -> CaseRow:
    return from_row(CaseRow, row)
