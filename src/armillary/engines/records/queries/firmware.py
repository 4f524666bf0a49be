# SPDX-License-Identifier: Apache-2.0
"""The machine's firmware: what each device measured last, and which measurements a catalog's owner says are good."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select

from armillary.attest.firmware_reference import FirmwareStatement, FirmwareValue
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row

_statement, _device_firmware = schema.firmware_statement, schema.device_firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStatement:
    """Reference values of a catalog that were stated together.

    Attributes:
        note: Where they come from, in the words of who stated them.
        expires_at: Unix seconds UTC until which they are good; None for no end.
    """

    statement_id: UUID
    catalog_id: UUID
    chip: str
    note: str
    values: tuple[FirmwareValue, ...]
    expires_at: int | None
    stated_at: int
    stated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFirmware:
    """What a device's firmware measured into the judged PCRs, as its TPM vouched for.

    Attributes:
        at: When this was told first, Unix seconds UTC.
        values: As ``attest/firmware_reference.measured`` gives them.
    """

    device_id: str
    chip: str
    at: int
    values: tuple[FirmwareValue, ...]


def add(connection: Connection, stated: StoredStatement) -> None:
    """Record a statement."""
    connection.execute(
        insert(_statement).values(
            statement_id=stated.statement_id,
            catalog_id=stated.catalog_id,
            chip=stated.chip,
            note=stated.note,
            document=_text(stated.values),
            expires_at=stated.expires_at,
            stated_at=stated.stated_at,
            stated_by=stated.stated_by,
        )
    )


def of_catalog(connection: Connection, catalog_id: UUID) -> tuple[StoredStatement, ...]:
    """A catalog's statements, oldest first."""
    query = select(_statement).where(_statement.c.catalog_id == catalog_id)
    rows = connection.execute(query.order_by(_statement.c.stated_at, _statement.c.statement_id))
    return tuple(_stored(row) for row in rows)


def every(connection: Connection) -> dict[UUID, list[FirmwareStatement]]:
    """The statements of all catalogs that have any."""
    found: dict[UUID, list[FirmwareStatement]] = {}
    for row in connection.execute(select(_statement)):
        stated = _stored(row)
        found.setdefault(stated.catalog_id, []).append(FirmwareStatement(stated.chip, stated.values, stated.expires_at))
    return found


def remove(connection: Connection, statement_id: UUID) -> None:
    """Delete a statement."""
    connection.execute(delete(_statement).where(_statement.c.statement_id == statement_id))


def remember(connection: Connection, device_number: int, at: int, values: tuple[FirmwareValue, ...]) -> None:
    """Record what a device measured, in place of what it measured before."""
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
    """What a device measured last; None if it never told."""
    device, table = schema.device, _device_firmware
    query = select(device.c.device_id, device.c.chip, table.c.at, table.c.document).join(
        table, table.c.device_number == device.c.number
    )
    row = connection.execute(query.where(device.c.device_id == device_id)).first()
    if row is None:
        return None
    return DeviceFirmware(device_id=row.device_id, chip=row.chip, at=row.at, values=_values(row.document))


def _stored(row: Row[Any]) -> StoredStatement:
    return from_row(StoredStatement, row, values=_values(row.document))


def _text(values: tuple[FirmwareValue, ...]) -> str:
    """JSON text of reference values; a row of four each, as a machine has two hundred."""
    return json.dumps([[v.kind, v.pcr, v.digest.hex(), v.event_type] for v in values], separators=(",", ":"))


def _values(document: str) -> tuple[FirmwareValue, ...]:
    return tuple(
        FirmwareValue(kind, pcr, bytes.fromhex(digest), kind_of_event)
        for kind, pcr, digest, kind_of_event in json.loads(document)
    )
