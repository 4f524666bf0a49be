# SPDX-License-Identifier: Apache-2.0
"""Reads values from rows: the first one, all, or a page of a list that is newest first; parts of many parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, Select, Table

from armillary.engines.records.schema.rows import Page

T = TypeVar("T")
V = TypeVar("V")

# Parameters of one statement; SQLite takes 32,766.
AT_ONCE: Final = 500


def first(connection: Connection, query: Select[Any], as_value: Callable[[Row[Any]], T]) -> T | None:
    """The value of the query's first row; None when it has none."""
    row = connection.execute(query).first()
    return None if row is None else as_value(row)


def every(connection: Connection, query: Select[Any], as_value: Callable[[Row[Any]], T]) -> tuple[T, ...]:
    """The values of all rows of a query."""
    return tuple(as_value(row) for row in connection.execute(query))


def newest_first(
    connection: Connection,
    query: Select[Any],
    table: Table,
    as_value: Callable[[Row[Any]], T],
    *,
    limit: int,
    before: int | None,
    rising: bool = False,
) -> Page[T]:
    """One page of an unordered query by falling number of ``table``, below ``before``; with ``rising`` the other way.

    ``before`` is the last number of the page before; None for the first page.
    """
    number = table.c.number
    if before is not None:
        query = query.where(number > before if rising else number < before)
    rows = connection.execute(query.order_by(number if rising else number.desc()).limit(limit + 1)).all()
    return Page(tuple(map(as_value, rows[:limit])), str(rows[limit - 1].number) if len(rows) > limit else None)


def portions(values: Sequence[V]) -> Iterator[Sequence[V]]:
    """The values in parts of which one statement takes all as parameters."""
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
