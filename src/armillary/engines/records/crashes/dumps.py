# SPDX-License-Identifier: Apache-2.0
"""Crash dumps as they are kept, sealed, and the public keys of device groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Select, String, cast, delete, func, select, update

from armillary.engines.records import device_order, ordered
from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.engines.records.schema.security import dump_tables

_dump, _key = dump_tables.crash_dump, dump_tables.crash_dump_key
_device, _group = schema.device, schema.device_group
DAY_S = 86_400
# Word of an order -> what dumps are sorted by (``order_words.CRASH_DUMPS``).
ORDERS: Final[Mapping[str, ordered.Order]] = MappingProxyType(
    {
        "device": ordered.by_text(device_order.shown_name()),
        "signal": ordered.by_number(_dump.c.signal),
        "stack": ordered.by_text(_dump.c.stack),
        "crashed_at": ordered.by_number(_dump.c.crashed_at),
        "received_at": ordered.by_number(_dump.c.received_at),
        "size": ordered.by_number(_dump.c.size),
        "image": ordered.by_text(cast(_dump.c.image_id, String)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDumpRow:
    """What is known of a dump without opening it; times in Unix seconds UTC."""

    dump_id: UUID
    device_id: str
    catalog_id: UUID
    group_id: UUID
    key_id: UUID
    received_at: int
    crashed_at: int  # as the device says
    component_id: UUID
    image_id: UUID
    signal: int
    stack: str  # ``none``, ``scrubbed`` or ``full``
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpKeyRow:
    """The key of a group: its id, and the public key (DER)."""

    key_id: UUID
    group_id: UUID
    public_key: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class Sender:
    """The device that sends a dump, as it is now. ``number`` is its row."""

    number: int
    device_id: str
    catalog_id: UUID | None
    group_id: UUID | None


def sender(connection: Connection, device_id: str) -> Sender | None:
    """The device of an id; None for one that was revoked."""
    columns = (_device.c.number, _device.c.device_id, _device.c.catalog_id, _device.c.group_id)
    here = (_device.c.device_id == device_id) & _device.c.revoked_at.is_(None)
    return first(connection, select(*columns).where(here), _as_sender)


def add(connection: Connection, row: CrashDumpRow, device_number: int, sealed: bytes) -> bool:
    """Keep a dump; False if it is there already."""
    values = to_row(_dump, row, device_number=device_number, sealed=sealed)
    return bool(dialect.insert_new(connection, _dump, [values]))


def count_since(connection: Connection, device_number: int, since: int) -> int:
    """How many dumps a device has sent since a time, of those that are kept."""
    query = select(func.count()).where(_dump.c.device_number == device_number, _dump.c.received_at >= since)
    return int(connection.execute(query).scalar_one())


def size_of_group(connection: Connection, group_id: UUID) -> int:
    """Bytes of a group's dumps."""
    query = select(func.coalesce(func.sum(_dump.c.size), 0)).where(_dump.c.group_id == group_id)
    return int(connection.execute(query).scalar_one())


def count_of_group(connection: Connection, group_id: UUID) -> int:
    """How many dumps a group has."""
    return int(connection.execute(select(func.count()).where(_dump.c.group_id == group_id)).scalar_one())


def page(
    connection: Connection,
    *,
    catalog_id: UUID | None,
    device_id: str | None,
    image_id: UUID | None,
    limit: int,
    before: int | None = None,
    order: str = "",
    after: str | None = None,
) -> Page[CrashDumpRow]:
    """Dumps, the newest first: of a catalog, a device, an image.

    With an ``order`` (``order_words.CRASH_DUMPS``) in that one, after the cursor ``after`` instead of ``before``.
    """
    query = _dumps()
    if catalog_id is not None:
        query = query.where(_dump.c.catalog_id == catalog_id)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    if image_id is not None:
        query = query.where(_dump.c.image_id == image_id)
    if order:
        key = ordered.Key(_dump.c.number)
        query = device_order.with_names(query)
        return ordered.page(
            connection, query, order, ORDERS, key, _as_dump, limit=limit, after=after, what="crash dumps"
        )
    return newest_first(connection, query, _dump, _as_dump, limit=limit, before=before)


def one(connection: Connection, dump_id: UUID) -> tuple[CrashDumpRow, bytes] | None:
    """A dump and its sealed content."""
    query = _dumps().add_columns(_dump.c.sealed).where(_dump.c.dump_id == dump_id)
    return first(connection, query, lambda row: (_as_dump(row), bytes(row.sealed)))


def has(connection: Connection, dump_id: UUID) -> bool:
    """Whether a dump is kept."""
    return connection.execute(select(_dump.c.number).where(_dump.c.dump_id == dump_id)).first() is not None


def remove(connection: Connection, dump_id: UUID) -> None:
    """Delete a dump."""
    connection.execute(delete(_dump).where(_dump.c.dump_id == dump_id))


def remove_of_group(connection: Connection, group_id: UUID) -> int:
    """Delete all dumps of a group; returns how many there were."""
    return connection.execute(delete(_dump).where(_dump.c.group_id == group_id)).rowcount


def remove_expired(connection: Connection, now: int) -> int:
    """Delete what its group keeps no longer, and what is of no group any more; returns how many."""
    present = connection.execute(select(_dump.c.group_id).distinct()).scalars().all()
    groups = connection.execute(select(_group.c.group_id, _group.c.crash_dump_days))
    kept_days = {row.group_id: row.crash_dump_days for row in groups}
    removed = 0
    for group_id in present:
        mine = delete(_dump).where(_dump.c.group_id == group_id)
        if group_id in kept_days:
            mine = mine.where(_dump.c.received_at <= now - kept_days[group_id] * DAY_S)
        removed += connection.execute(mine).rowcount
    return removed


# -- keys -------------------------------------------------------------------------------------------------------------


def key_of(connection: Connection, group_id: UUID) -> DumpKeyRow | None:
    """The key that dumps of a group are sealed to; None before the first one."""
    return first(connection, select(_key).where(_key.c.living_group == group_id), _as_key)


def add_key(connection: Connection, key: DumpKeyRow) -> bool:
    """Record the key of a group; False if it has one."""
    return bool(dialect.insert_new(connection, _key, [to_row(_key, key, living_group=key.group_id)]))


def end_key(connection: Connection, group_id: UUID) -> None:
    """Have the key of a group deleted: :func:`ended_keys`."""
    connection.execute(update(_key).where(_key.c.living_group == group_id).values(living_group=None))


def end_keys_of_nobody(connection: Connection) -> None:
    """Have the keys of groups deleted that do not exist any more."""
    groups = select(_group.c.group_id)
    connection.execute(update(_key).where(_key.c.living_group.not_in(groups)).values(living_group=None))


def every_key(connection: Connection) -> tuple[UUID, ...]:
    """Ids of all keys, also of those that ended."""
    return tuple(connection.execute(select(_key.c.key_id)).scalars())


def ended_keys(connection: Connection) -> tuple[UUID, ...]:
    """Ids of the keys whose files are to be deleted."""
    return tuple(connection.execute(select(_key.c.key_id).where(_key.c.living_group.is_(None))).scalars())


def forget_keys(connection: Connection, key_ids: Sequence[UUID]) -> None:
    """Remove keys whose files are gone."""
    connection.execute(delete(_key).where(_key.c.key_id.in_(key_ids)))


def _dumps() -> Select[Any]:
    columns = [column for column in _dump.c if column.name not in ("sealed", "device_number")]
    return select(*columns, _device.c.device_id).join(_device, _device.c.number == _dump.c.device_number)


def _as_sender(row: Row[Any]) -> Sender:
    return from_row(Sender, row)


def _as_dump(row: Row[Any]) -> CrashDumpRow:
    return from_row(CrashDumpRow, row)


def _as_key(row: Row[Any]) -> DumpKeyRow:
    return from_row(DumpKeyRow, row)
