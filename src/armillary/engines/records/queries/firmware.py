# SPDX-License-Identifier: Apache-2.0
"""Firmware of machines: what each device measured last, and the measurements that a catalog's owner states are good."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select

from armillary.attest.firmware_reference import FirmwareStatement, FirmwareValue
from armillary.engines.records.queries import pages
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row

_statement, _device_firmware = schema.firmware_statement, schema.device_firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStatement:
    """Reference values of a catalog that were stated together."""

    statement_id: UUID
    catalog_id: UUID
    chip: str
    note: str  # Their source, as the person who stated them wrote it
    values: tuple[FirmwareValue, ...]
    expires_at: int | None  # Unix seconds UTC until which they hold; None for no end
    stated_at: int
    stated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFirmware:
    """What a device's firmware measured into the appraised PCRs, as quoted by its TPM."""

    device_id: str
    chip: str
    at: int  # When these values were first reported, Unix seconds
    values: tuple[FirmwareValue, ...]  # As ``attest/firmware_reference.measured`` returns them


def add(connection: Connection, stated: StoredStatement) -> None:
    """Record a statement."""
    connection.execute(insert(_statement).values(to_row(_statement, stated, document=_text(stated.values))))


def of_catalog(connection: Connection, catalog_id: UUID) -> tuple[StoredStatement, ...]:
    """A catalog's statements, oldest first."""
    query = select(_statement).where(_statement.c.catalog_id == catalog_id)
    return pages.every(connection, query.order_by(_statement.c.stated_at, _statement.c.statement_id), _stored)


def every(connection: Connection) -> dict[UUID, list[FirmwareStatement]]:
    """The statements of all catalogs that have any, by catalog."""
    found: dict[UUID, list[FirmwareStatement]] = {}
    for stated in pages.every(connection, select(_statement), _stored):
        found.setdefault(stated.catalog_id, []).append(FirmwareStatement(stated.chip, stated.values, stated.expires_at))
    return found


def remove(connection: Connection, statement_id: UUID) -> None:
    """Delete a statement."""
    connection.execute(delete(_statement).where(_statement.c.statement_id == statement_id))


def remember(connection: Connection, device_number: int, at: int, values: tuple[FirmwareValue, ...]) -> None:
    """Store what a device measured, in place of what it measured before."""
    table = _device_firmware
    document = _text(values)
    known = connection.execute(
        select(table.c.document).where(table.c.device_number == device_number)
    ).scalar_one_or_none()
    if known == document:
        return
    connection.execute(delete(table).where(table.c.device_number == device_number))
    connection.execute(insert(table).values(device_number=device_number, at=at, document=document))


def of_device(connection: Connection, device_id: str) -> DeviceFirmware | None:
    """What a device measured last; None if it never reported."""
    device, table = schema.device, _device_firmware
    query = (
        select(device.c.device_id, device.c.chip, table.c.at, table.c.document)
        .join(table, table.c.device_number == device.c.number)
        .where(device.c.device_id == device_id)
    )
    return pages.first(connection, query, lambda row: from_row(DeviceFirmware, row, values=_values(row.document)))


def _stored(row: Row[Any]) -> StoredStatement:
    return from_row(StoredStatement, row, values=_values(row.document))


def _text(values: tuple[FirmwareValue, ...]) -> str:
    """JSON text of reference values: a list of four for each, because a machine has two hundred."""
    return json.dumps([[v.kind, v.pcr, v.digest.hex(), v.event_type] for v in values], separators=(",", ":"))


def _values(document: str) -> tuple[FirmwareValue, ...]:
    return tuple(
        FirmwareValue(kind, pcr, bytes.fromhex(digest), kind_of_event)
        for kind, pcr, digest, kind_of_event in json.loads(document)
    )
