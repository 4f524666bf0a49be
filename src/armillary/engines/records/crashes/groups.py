# SPDX-License-Identifier: Apache-2.0
"""Crash groups: counts by group, image and device, changed together; the reports of a group as its samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Table, delete, func, select, update

from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema import crash_tables, dialect, schema
from armillary.engines.records.schema.rows import ErrorReportRow, Page, from_row

_group, _image, _device = crash_tables.crash_group, crash_tables.crash_group_image, crash_tables.crash_group_device
_report = schema.error_report


# Of a device in a group so many reports keep what was captured: the others say the same.
KEPT_CRASHES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashGroupRow:
    """A crash group of a catalog; times in Unix seconds UTC."""

    number: int
    catalog_id: UUID
    fingerprint: str
    grouping_version: int
    basis: str  # ``function``, ``offset``, ``exit``, or ``rest`` for what is beyond the limits
    cause: str
    places: tuple[str, ...]  # innermost first
    component_id: UUID | None
    count: int
    devices: int
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashImageRow:
    """A group on one image."""

    image_id: UUID
    count: int
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """What a group is made of, apart from what is counted."""

    catalog_id: UUID
    fingerprint: str
    grouping_version: int
    basis: str
    cause: str
    places: tuple[str, ...]
    component_id: UUID | None


def one(connection: Connection, catalog_id: UUID, fingerprint: str) -> CrashGroupRow | None:
    """A catalog's group of a fingerprint."""
    query = select(_group).where(_group.c.catalog_id == catalog_id, _group.c.fingerprint == fingerprint)
    return first(connection, query, _as_group)


def page(
    connection: Connection, catalog_id: UUID, *, image_id: UUID | None, limit: int, before: int | None
) -> Page[CrashGroupRow]:
    """A catalog's groups, the newest first; with ``image_id`` those that were seen on an image."""
    query = select(_group).where(_group.c.catalog_id == catalog_id)
    if image_id is not None:
        seen = select(_image.c.group_number).where(_image.c.image_id == image_id)
        query = query.where(_group.c.number.in_(seen))
    return newest_first(connection, query, _group, _as_group, limit=limit, before=before)


def images(connection: Connection, number: int) -> tuple[CrashImageRow, ...]:
    """The images on which a group was seen, the latest first."""
    query = select(_image).where(_image.c.group_number == number).order_by(_image.c.last_seen.desc(), _image.c.image_id)
    return every(connection, query, lambda row: from_row(CrashImageRow, row))


def reports(connection: Connection, number: int, *, limit: int, before: int | None) -> Page[ErrorReportRow]:
    """The error reports that count in a group, the newest first, as far as they are kept."""
    device = schema.device
    query = (
        select(_report, device.c.device_id, device.c.catalog_id)
        .join(device, device.c.number == _report.c.device_number)
        .where(_report.c.crash_group == number)
    )
    return newest_first(connection, query, _report, _as_report, limit=limit, before=before)


def count_of(connection: Connection, catalog_id: UUID) -> int:
    """How many groups a catalog has."""
    query = select(func.count()).select_from(_group).where(_group.c.catalog_id == catalog_id)
    return int(connection.execute(query).scalar_one())


def groups_of_device(connection: Connection, device_id: str) -> int:
    """In how many groups a device counts."""
    query = (
        select(func.count())
        .select_from(_device)
        .where(_device.c.device_number == _number_of(device_id).scalar_subquery())
    )
    return int(connection.execute(query).scalar_one())


def note(connection: Connection, new: NewGroup, report: ErrorReportRow, *, image_id: UUID | None) -> None:
    """Count a report in its group, which is made where it is not there yet.

    ``image_id`` is None where the device was never offered the image: it says nothing about that image then.
    """
    count, at = report.count, report.received_at
    key = {"catalog_id": new.catalog_id, "fingerprint": new.fingerprint}
    row = {
        **key,
        "grouping_version": new.grouping_version,
        "basis": new.basis,
        "cause": new.cause,
        "places": json.dumps(new.places),
        "component_id": new.component_id,
        "count": 0,
        "devices": 0,
        "first_seen": at,
        "last_seen": at,
    }
    dialect.insert_new(connection, _group, [row])
    number = connection.execute(select(_group.c.number).filter_by(**key)).scalar_one()
    device_number = connection.execute(_number_of(report.device_id)).scalar_one()
    mine = {"group_number": number, "device_number": device_number}
    is_first = dialect.insert_new(connection, _device, [{**mine, "count": count}])
    if not is_first:
        _add(connection, _device, mine, count)
    if image_id is not None:
        where = {"group_number": number, "image_id": image_id}
        if not dialect.insert_new(connection, _image, [{**where, "count": count, "first_seen": at, "last_seen": at}]):
            _add(connection, _image, where, count, last_seen=at)
    _add(connection, _group, {"number": number}, count, last_seen=at, devices=_group.c.devices + is_first)
    values: dict[str, Any] = {"crash_group": number}
    if report.crash is not None and _kept(connection, device_number, number) >= KEPT_CRASHES:
        values["crash"] = None
    connection.execute(update(_report).where(_report.c.number == report.number).values(values))


def _kept(connection: Connection, device_number: int, group_number: int) -> int:
    """How many reports of a device in a group have what was captured."""
    mine = (_report.c.device_number == device_number) & (_report.c.crash_group == group_number)
    query = select(func.count()).select_from(_report).where(mine, _report.c.crash.is_not(None))
    return int(connection.execute(query).scalar_one())


def without_symbols(connection: Connection, catalog_id: UUID) -> Sequence[int]:
    """Numbers of a catalog's groups that rest on offsets: symbols may say more of them."""
    query = select(_group.c.number).where(_group.c.catalog_id == catalog_id, _group.c.basis == "offset")
    return connection.execute(query.order_by(_group.c.number)).scalars().all()


def take_out(connection: Connection, report: ErrorReportRow, number: int, *, image_id: UUID | None) -> None:
    """Take a report out of its group, before it is counted in another; a group in which nothing is left goes.

    ``image_id`` as of :func:`note`.
    """
    device_number = connection.execute(_number_of(report.device_id)).scalar_one()
    mine = {"group_number": number, "device_number": device_number}
    _add(connection, _device, mine, -report.count)
    left = delete(_device).filter_by(**mine).where(_device.c.count <= 0)
    gone = connection.execute(left).rowcount
    if image_id is not None:
        _add(connection, _image, {"group_number": number, "image_id": image_id}, -report.count)
    _add(connection, _group, {"number": number}, -report.count, devices=_group.c.devices - gone)
    connection.execute(update(_report).where(_report.c.number == report.number).values(crash_group=None))
    connection.execute(delete(_image).where(_image.c.group_number == number, _image.c.count <= 0))
    empty = connection.execute(select(_group.c.number).where(_group.c.number == number, _group.c.count <= 0)).first()
    if empty is not None:
        connection.execute(delete(_group).where(_group.c.number == number))


def remove_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Remove everything of a catalog that is being deleted."""
    mine = select(_group.c.number).where(_group.c.catalog_id == catalog_id)
    connection.execute(update(_report).where(_report.c.crash_group.in_(mine)).values(crash_group=None))
    connection.execute(delete(_image).where(_image.c.group_number.in_(mine)))
    connection.execute(delete(_device).where(_device.c.group_number.in_(mine)))
    connection.execute(delete(_group).where(_group.c.catalog_id == catalog_id))
    symbols = crash_tables.symbol_list
    connection.execute(delete(symbols).where(symbols.c.catalog_id == catalog_id))


def _number_of(device_id: str) -> Select[Any]:
    return select(schema.device.c.number).where(schema.device.c.device_id == device_id)


def _add(connection: Connection, table: Table, key: dict[str, Any], count: int, **values: Any) -> None:
    connection.execute(update(table).filter_by(**key).values(count=table.c.count + count, **values))


def _as_group(row: Row[Any]) -> CrashGroupRow:
    return from_row(CrashGroupRow, row, places=tuple(json.loads(row.places)))


def _as_report(row: Row[Any]) -> ErrorReportRow:
    return from_row(ErrorReportRow, row, start=row.start_at, end=row.end_at)
