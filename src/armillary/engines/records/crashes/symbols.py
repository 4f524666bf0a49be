# SPDX-License-Identifier: Apache-2.0
"""Lists of symbols that were uploaded, by catalog and build id."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select

from armillary.engines.records.queries.pages import every
from armillary.engines.records.schema import crash_tables
from armillary.engines.records.schema.rows import from_row, to_row

_list = crash_tables.symbol_list


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRow:
    """What is kept of a module, without its symbols; times in Unix seconds UTC."""

    catalog_id: UUID
    build_id: str  # hexadecimal
    machine: str
    functions: int
    uploaded_at: int
    uploaded_by: str


def put(connection: Connection, row: SymbolRow, symbols: bytes) -> None:
    """Keep the symbols of a build id (compressed text), in the place of those before."""
    remove(connection, row.catalog_id, row.build_id)
    connection.execute(insert(_list).values(to_row(_list, row, symbols=symbols)))


def remove(connection: Connection, catalog_id: UUID, build_id: str) -> bool:
    """Remove the symbols of a build id; returns whether there were any."""
    mine = (_list.c.catalog_id == catalog_id) & (_list.c.build_id == build_id)
    return connection.execute(delete(_list).where(mine)).rowcount > 0


def every_of(connection: Connection, catalog_id: UUID) -> tuple[SymbolRow, ...]:
    """What a catalog has, the newest first."""
    columns = [column for column in _list.c if column.name != "symbols"]
    query = select(*columns).where(_list.c.catalog_id == catalog_id)
    return every(
        connection, query.order_by(_list.c.uploaded_at.desc(), _list.c.build_id), lambda row: from_row(SymbolRow, row)
    )


def count_of(connection: Connection, catalog_id: UUID) -> int:
    """How many lists a catalog has."""
    query = select(func.count()).select_from(_list).where(_list.c.catalog_id == catalog_id)
    return int(connection.execute(query).scalar_one())


def contents(connection: Connection, catalog_id: UUID, build_id: str) -> bytes | None:
    """The symbols of a build id as they were put; None where there are none."""
    query = select(_list.c.symbols).where(_list.c.catalog_id == catalog_id, _list.c.build_id == build_id)
    return connection.execute(query).scalar_one_or_none()
