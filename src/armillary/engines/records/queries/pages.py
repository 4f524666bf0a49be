# SPDX-License-Identifier: Apache-2.0
"""Pages of lists that are read newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Table

from armillary.engines.records.schema.rows import Page

T = TypeVar("T")


def newest_first(
    connection: Connection,
    query: Select[Any],
    table: Table,
    made: Callable[[Row[Any]], T],
    *,
    limit: int,
    before: int | None,
) -> Page[T]:
    """One page of an unordered query by falling number of ``table``, below ``before``; ``made`` reads a row."""
    if before is not None:
        query = query.where(table.c.number < before)
    rows = connection.execute(query.order_by(table.c.number.desc()).limit(limit + 1)).all()
    return Page(tuple(made(row) for row in rows[:limit]), str(rows[limit - 1].number) if len(rows) > limit else None)
