# SPDX-License-Identifier: Apache-2.0
"""Revocation lists: which certificates have to be on them, and the newest list of each authority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select

from armillary.engines.records.queries.pages import first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.identity.issue import MAX_LIFETIME_S

_list = schema.revocation_list
_device, _status, _check_in, _transfer = schema.device, schema.device_status, schema.check_in, schema.transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredList:
    """The newest revocation list of an authority; times in Unix seconds UTC."""

    issuer_serial: str
    number: int
    this_update: int
    next_update: int
    der: bytes


class RevokedClient(NamedTuple):
    """A client certificate that is no longer accepted."""

    serial: str  # Upper-case hex
    issued_at: int  # Time of its check-in, Unix seconds UTC
    revoked_at: int  # When its device was revoked, held or put into quarantine, or left the catalog
    decommissioned: bool  # The device was taken out of service
    moved: bool  # The device belongs to another catalog now


def newest(connection: Connection, issuer_serial: str) -> StoredList | None:
    """The newest list of an authority."""
    query = select(_list).where(_list.c.issuer_serial == issuer_serial)
    return first(connection, query, lambda row: from_row(StoredList, row, der=bytes(row.der)))


def keep(connection: Connection, issued: StoredList) -> None:
    """Store a list before it is published, in place of the one before it."""
    connection.execute(delete(_list).where(_list.c.issuer_serial == issued.issuer_serial))
    connection.execute(insert(_list).values(to_row(_list, issued)))


def revoked_clients(connection: Connection, catalog_id: UUID, *, ends_after: int) -> list[RevokedClient]:
    """Client certificates that end after a time (Unix seconds UTC) of devices that may not use them.

    Those are revoked, held, in quarantine, or left the catalog.

    A decommissioned device has no owner, so every catalog lists its last certificates until they end, also when the
    device has come back into service since.
    """
    columns = (_check_in.c.certificate_serial, _check_in.c.at)
    revoked = (
        select(
            *columns,
            func.coalesce(_device.c.revoked_at, _status.c.held_at, _status.c.quarantined_at).label("revoked_at"),
            _device.c.decommissioned_at,
        )
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_check_in, _check_in.c.device_number == _device.c.number)
        .where(
            or_(
                _device.c.revoked_at.is_not(None),
                _status.c.held_at.is_not(None),
                _status.c.quarantined_at.is_not(None),
            ),
            or_(_device.c.catalog_id == catalog_id, _device.c.catalog_id.is_(None)),
            _status.c.certificate_not_after > ends_after,
            _check_in.c.certificate_not_after > ends_after,
        )
    )
    moved = (
        select(*columns, _transfer.c.settled_at)
        .join(_check_in, _check_in.c.device_number == _transfer.c.device_number)
        .where(
            _transfer.c.from_catalog_id == catalog_id,
            _transfer.c.state == "accepted",
            _check_in.c.at <= _transfer.c.settled_at,
            _check_in.c.certificate_not_after > ends_after,
        )
    )
    came_back = _device.alias("came_back")  # few; as a sub-query, so that the check-ins of these alone are looked at
    returned = (
        select(*columns)
        .join(_device, _device.c.number == _check_in.c.device_number)
        .where(
            _check_in.c.device_number.in_(
                select(came_back.c.number).where(
                    came_back.c.reprovision_until > ends_after - MAX_LIFETIME_S, came_back.c.decommissioned_at.is_(None)
                )
            ),
            _check_in.c.at <= _device.c.reprovision_until,
            _check_in.c.certificate_not_after > ends_after,
        )
    )
    clients = [  # of a device that came back it is not stored when it was revoked: take when the certificate was issued
        RevokedClient(serial, at, at, decommissioned=True, moved=False) for serial, at in connection.execute(returned)
    ]
    clients += [
        RevokedClient(serial, at, left_at, decommissioned=False, moved=True)
        for serial, at, left_at in connection.execute(moved)
    ]
    clients += [
        RevokedClient(serial, at, revoked_at, decommissioned=decommissioned_at is not None, moved=False)
        for serial, at, revoked_at, decommissioned_at in connection.execute(revoked)
    ]
    return list({client.serial: client for client in clients}.values())
