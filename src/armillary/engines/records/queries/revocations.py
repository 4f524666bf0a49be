# SPDX-License-Identifier: Apache-2.0
"""What revocation lists say and the newest list of each authority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, or_, select, update

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row
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
    """A client certificate that opens nothing any more.

    Attributes:
        serial: Upper-case hex.
        issued_at: When its check-in was, Unix seconds UTC.
        revoked_at: When its device was revoked or held, or left the catalog.
        decommissioned: The device was taken out of service for good.
        moved: The device belongs to another catalog now.
    """

    serial: str
    issued_at: int
    revoked_at: int
    decommissioned: bool
    moved: bool


def newest(connection: Connection, issuer_serial: str) -> StoredList | None:
    """The newest list of an authority."""
    row = connection.execute(select(_list).where(_list.c.issuer_serial == issuer_serial)).first()
    if row is None:
        return None
    return from_row(StoredList, row, der=bytes(row.der))


def keep(connection: Connection, made: StoredList) -> None:
    """Record a list before it is handed out; the one before it is forgotten."""
    values = {
        "number": made.number,
        "this_update": made.this_update,
        "next_update": made.next_update,
        "der": made.der,
    }
    here = _list.c.issuer_serial == made.issuer_serial
    if connection.execute(update(_list).where(here).values(values)).rowcount == 0:
        connection.execute(insert(_list).values(issuer_serial=made.issuer_serial, **values))


def revoked_clients(connection: Connection, catalog_id: UUID, *, ends_after: int) -> list[RevokedClient]:
    """Client certificates of devices that are revoked, held or left the catalog, which end after a time.

    A decommissioned device belongs to nobody: which catalog its last certificates were of is not asked, every catalog
    lists them for their last day, also when the device was let back in meanwhile.

    Args:
        connection: Records.
        catalog_id: The catalog.
        ends_after: Unix seconds UTC; older certificates say nothing to anybody.
    """
    columns = (_check_in.c.certificate_serial, _check_in.c.at)
    revoked = (
        select(
            *columns,
            func.coalesce(_device.c.revoked_at, _status.c.held_at).label("revoked_at"),
            _device.c.decommissioned_at,
        )
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_check_in, _check_in.c.device_number == _device.c.number)
        .where(
            or_(_device.c.revoked_at.is_not(None), _status.c.held_at.is_not(None)),
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
    found = {  # since when is not kept: since it was made, at the latest
        row.certificate_serial: RevokedClient(row.certificate_serial, row.at, row.at, decommissioned=True, moved=False)
        for row in connection.execute(returned)
    }
    found |= {
        row.certificate_serial: RevokedClient(
            row.certificate_serial, row.at, row.settled_at, decommissioned=False, moved=True
        )
        for row in connection.execute(moved)
    }
    for row in connection.execute(revoked):
        found[row.certificate_serial] = RevokedClient(
            row.certificate_serial,
            row.at,
            row.revoked_at,
            decommissioned=row.decommissioned_at is not None,
            moved=False,
        )
    return list(found.values())
