# SPDX-License-Identifier: Apache-2.0
"""Offers of devices from one catalog to another; the database refuses a second open offer of a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, insert, or_, select, update

from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Page, from_row

_table, _device = schema.transfer, schema.device
_from, _to = schema.catalog.alias("from_catalog"), schema.catalog.alias("to_catalog")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One offer."""

    transfer_id: UUID
    device_id: str
    from_catalog_id: UUID
    from_catalog: str | None  # Name; None when the catalog was deleted since. So is ``to_catalog``.
    to_catalog_id: UUID
    to_catalog: str | None
    state: str  # A value of :class:`armillary.identity.transfer.TransferState`; ``offered`` until it is settled
    created_at: int
    created_by: str
    expires_at: int  # Until when it can be accepted, Unix seconds
    settled_at: int | None
    settled_by: str  # Who accepted, declined or cancelled it; "" while it is open


def add(
    connection: Connection,
    *,
    transfer_id: UUID,
    device_id: str,
    from_catalog_id: UUID,
    to_catalog_id: UUID,
    now: int,
    actor: str,
    expires_at: int,
) -> None:
    """Record an offer; the database refuses a second open one of a device."""
    number = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    connection.execute(
        insert(_table).values(
            transfer_id=transfer_id,
            device_number=number,
            open_device=number,
            from_catalog_id=from_catalog_id,
            to_catalog_id=to_catalog_id,
            state="offered",
            created_at=now,
            created_by=actor,
            expires_at=expires_at,
            settled_by="",
        )
    )


def by_id(connection: Connection, transfer_id: UUID) -> Transfer | None:
    """The offer of an id."""
    return first(connection, _transfers().where(_table.c.transfer_id == transfer_id), _as_transfer)


def open_of(connection: Connection, device_id: str) -> Transfer | None:
    """The open offer of a device; it may have expired."""
    query = _transfers().where(_device.c.device_id == device_id, _table.c.open_device.is_not(None))
    return first(connection, query, _as_transfer)


def settle(connection: Connection, transfer_id: UUID, *, state: str, now: int, actor: str) -> bool:
    """End an open offer; False, without a change, when it is no longer open."""
    here = (_table.c.transfer_id == transfer_id) & _table.c.open_device.is_not(None)
    values = {"state": state, "open_device": None, "settled_at": now, "settled_by": actor}
    return connection.execute(update(_table).where(here).values(values)).rowcount == 1


def close_open(connection: Connection, device_id: str, *, state: str, now: int, actor: str) -> None:
    """End the open offer of a device, if it has one."""
    found = open_of(connection, device_id)
    if found is not None:
        settle(connection, found.transfer_id, state=state, now=now, actor=actor)


def brought(connection: Connection, device_id: str, catalog_id: UUID) -> Transfer | None:
    """The accepted offer by which a device came to a catalog, the newest; None if it was claimed."""
    here = (_device.c.device_id == device_id) & (_table.c.to_catalog_id == catalog_id) & (_table.c.state == "accepted")
    return first(connection, _transfers().where(here).order_by(_table.c.number.desc()).limit(1), _as_transfer)


def page(
    connection: Connection, catalog_id: UUID, *, limit: int, before: int | None, pending_at: int | None = None
) -> Page[Transfer]:
    """Offers from and to a catalog, newest first; with ``pending_at`` only those that can be accepted at that time."""
    mine = or_(_table.c.from_catalog_id == catalog_id, _table.c.to_catalog_id == catalog_id)
    query = _transfers().where(mine)
    if pending_at is not None:
        query = query.where(_table.c.open_device.is_not(None), _table.c.expires_at > pending_at)
    return newest_first(connection, query, _table, _as_transfer, limit=limit, before=before)


def _transfers() -> Select[Any]:
    return (
        select(
            _table,
            _device.c.device_id,
            _from.c.name.label("from_name"),
            _to.c.name.label("to_name"),
        )
        .join(_device, _device.c.number == _table.c.device_number)
        .join(_from, _from.c.catalog_id == _table.c.from_catalog_id, isouter=True)
        .join(_to, _to.c.catalog_id == _table.c.to_catalog_id, isouter=True)
    )


def _as_transfer(row: Row[Any]) -> Transfer:
    return from_row(Transfer, row, from_catalog=row.from_name, to_catalog=row.to_name)
