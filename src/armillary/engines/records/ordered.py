# SPDX-License-Identifier: Apache-2.0
"""Lists in the order of a column, over all pages.

No index has these orders: each page reads the column of every row that matches, so that a list of more than
:data:`MAX_SORTED` rows is not sorted. Rows with the same value are in the order of a key that no two rows share. A
cursor holds value and key of the last row of a page, and stays true while rows come and go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from armillary.engines.records.schema.rows import Page
from armillary.errors import InvalidArgumentError

T = TypeVar("T")

# Rows that match, of which a list is sorted: a page of it costs tens of milliseconds.
MAX_SORTED: Final = 10_000
# Characters of a text that count: with the longest key a cursor has at most MAX_CURSOR_CHARACTERS.
MAX_TEXT: Final = 64
MAX_CURSOR_CHARACTERS: Final = 400
# Later than any time: what never was comes last.
NEVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Order:
    """What rows are sorted by: a column without nulls, and whether it holds text or a number."""

    column: ColumnElement[Any]
    kind: type[str | int]


@dataclass(frozen=True, slots=True)
class Key:
    """What no two rows share, and of which type it is."""

    column: ColumnElement[Any]
    kind: type[int | str | UUID] = int


def by_text(column: ColumnElement[Any]) -> Order:
    """By a text, upper and lower case alike."""
    return Order(func.substr(func.lower(func.coalesce(column, "")), 1, MAX_TEXT), str)


def by_number(column: ColumnElement[Any], absent: int = NEVER) -> Order:
    """By a number or a time; rows without one count as ``absent``."""
    return Order(func.coalesce(column, absent), int)


def check(order: str, orders: Collection[str]) -> None:
    """Raise InvalidArgumentError for a word that is none of ``orders``, with or without - before it."""
    if order.removeprefix("-") not in orders:
        raise InvalidArgumentError(
            f"sort: expected {', '.join(orders)}, or one of them with - before it, got {order!a:.40}",
            remedy="Use one of these words.",
        )


def page(
    connection: Connection,
    query: Select[Any],
    order: str,
    orders: Mapping[str, Order],
    key: Key,
    as_value: Callable[[Row[Any]], T],
    *,
    limit: int,
    after: str | None,
    what: str,
) -> Page[T]:
    """A page of an unordered query in one of ``orders``, after the cursor ``after``; ``what`` its rows are called.

    Raises:
        InvalidArgumentError: no such order, more rows match than are sorted, or the cursor is none of this order.
    """
    check(order, orders)
    by = orders[order.removeprefix("-")]
    found, cursor = rows(connection, query, by, key, falls=order.startswith("-"), limit=limit, after=after, what=what)
    return Page(tuple(map(as_value, found)), cursor)


def rows(
    connection: Connection,
    query: Select[Any],
    by: Order,
    key: Key,
    *,
    falls: bool,
    limit: int,
    after: str | None,
    what: str,
    most: int = MAX_SORTED,
) -> tuple[list[Row[Any]], str | None]:
    """As :func:`page`: the rows of a page, and the cursor of the next one."""
    few = query.with_only_columns(key.column).limit(most + 1).subquery()
    if connection.execute(select(func.count()).select_from(few)).scalar_one() > most:
        raise InvalidArgumentError(
            f"sort: expected at most {most:,} {what} that match, got more",
            remedy="Narrow the list by a filter, or take it in its own order.",
        )
    if after is not None:
        value, last = _read(after, by, key)
        beyond = by.column < value if falls else by.column > value
        query = query.where(or_(beyond, and_(by.column == value, key.column > last)))
    query = query.add_columns(by.column.label("sort_value"), key.column.label("sort_key"))
    ordered = query.order_by(by.column.desc() if falls else by.column, key.column).limit(limit + 1)
    found = list(connection.execute(ordered))
    return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None


def _cursor(row: Row[Any]) -> str:
    key = str(row.sort_key) if isinstance(row.sort_key, UUID) else row.sort_key
    return json.dumps([row.sort_value, key], ensure_ascii=False)


def _read(after: str, by: Order, key: Key) -> tuple[Any, Any]:
    try:
        value, last = json.loads(after)
        if key.kind is UUID:
            last = UUID(last)
        is_ours = type(value) is by.kind and type(last) is key.kind and b"\0" not in f"{value}{last}".encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours or any(isinstance(each, int) and not 0 <= each < 2**63 for each in (value, last)):
        raise InvalidArgumentError("after: expected `next` of the page before", remedy="Pass it as it came.")
    return value, last
