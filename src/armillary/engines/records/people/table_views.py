# SPDX-License-Identifier: Apache-2.0
"""What people keep of the console's tables, as stored: saved views, and the columns that they last chose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import people_tables as tables

_view, _columns = tables.table_view, tables.table_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A saved view of a table."""

    view_id: UUID
    owner: UUID  # The person, or the token
    scope: str  # What the owner spoke for when it was saved; "" for all catalogs
    place: str  # Path of the page
    name: str
    query: str  # Filters, order and columns, as in the address
    created_at: int  # Unix seconds


_as_view = partial(from_row, TableView)


def add(connection: Connection, made: TableView) -> None:
    """Store a new view."""
    connection.execute(insert(_view).values(to_row(_view, made, name_key=made.name.lower())))


def at_place(connection: Connection, owner: UUID, scope: str, place: str) -> tuple[TableView, ...]:
    """An owner's views of one table, by name."""
    mine = (_view.c.owner == owner) & (_view.c.scope == scope) & (_view.c.place == place)
    return every(connection, select(_view).where(mine).order_by(_view.c.name_key), _as_view)


def by_id(connection: Connection, owner: UUID, scope: str, view_id: UUID) -> TableView | None:
    """An owner's view of an id."""
    mine = (_view.c.owner == owner) & (_view.c.scope == scope) & (_view.c.view_id == view_id)
    return first(connection, select(_view).where(mine), _as_view)


def count(connection: Connection, owner: UUID) -> int:
    """How many views an owner has, of all tables."""
    query = select(func.count()).select_from(_view).where(_view.c.owner == owner)
    return int(connection.execute(query).scalar_one())


def rename(connection: Connection, view_id: UUID, name: str) -> None:
    """Give a view another name."""
    connection.execute(update(_view).where(_view.c.view_id == view_id).values(name=name, name_key=name.lower()))


def remove(connection: Connection, view_id: UUID) -> None:
    """Delete a view."""
    connection.execute(delete(_view).where(_view.c.view_id == view_id))


def columns(connection: Connection, owner: UUID, place: str) -> str | None:
    """The columns that an owner last chose for a table, with commas between; None where none was chosen."""
    mine = (_columns.c.owner == owner) & (_columns.c.place == place)
    found = connection.execute(select(_columns.c.shown).where(mine)).scalar()
    return None if found is None else str(found)


def choose_columns(connection: Connection, owner: UUID, place: str, shown: str | None) -> None:
    """Keep the columns that an owner chose; None forgets them."""
    mine = (_columns.c.owner == owner) & (_columns.c.place == place)
    connection.execute(delete(_columns).where(mine))
    if shown is not None:
        connection.execute(insert(_columns).values(owner=owner, place=place, shown=shown))


def count_columns(connection: Connection, owner: UUID) -> int:
    """For how many tables an owner has chosen columns."""
    query = select(func.count()).select_from(_columns).where(_columns.c.owner == owner)
    return int(connection.execute(query).scalar_one())


def forget(connection: Connection, owner: UUID) -> None:
    """Delete everything that an owner keeps."""
    connection.execute(delete(_view).where(_view.c.owner == owner))
    connection.execute(delete(_columns).where(_columns.c.owner == owner))
