# SPDX-License-Identifier: Apache-2.0
"""What devices say of their cellular modems: of each the newest status.

The query names the catalog: what was said under another owner is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, delete, insert, select

from armillary.engines.records.queries.pages import first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.wire.device.cellular_status import CellularStatus

_status, _device = schema.cellular_status, schema.device


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidStatus(CellularStatus):
    """A status, and when it came, in Unix seconds UTC."""

    at: int


def newest(connection: Connection, device_id: str) -> SaidStatus | None:
    """What a device has said last to its present owner."""
    query = (
        select(*(column for column in _status.c if column.name not in ("device_number", "catalog_id")))
        .join(_device, (_device.c.number == _status.c.device_number) & (_device.c.catalog_id == _status.c.catalog_id))
        .where(_device.c.device_id == device_id)
    )
    return first(connection, query, partial(from_row, SaidStatus))


def keep(connection: Connection, device_id: str, said: SaidStatus) -> bool:
    """Keep a status instead of the one before; False where the device belongs to nobody, or was revoked."""
    here = (_device.c.device_id == device_id) & _device.c.revoked_at.is_(None)
    query = select(_device.c.number, _device.c.catalog_id).where(here)
    found = connection.execute(query).first()
    if found is None or found.catalog_id is None:
        return False
    connection.execute(delete(_status).where(_status.c.device_number == found.number))
    values = to_row(_status, said, device_number=found.number, catalog_id=found.catalog_id)
    connection.execute(insert(_status).values(values))
    return True
