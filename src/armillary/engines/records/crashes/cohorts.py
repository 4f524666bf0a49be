# SPDX-License-Identifier: Apache-2.0
"""Cohorts: the devices of a group with one OS version and one deployment, whose behaviour is compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, select

from armillary.engines.records.schema import schema

_device, _status = schema.device, schema.device_status
_COLUMNS: Final = (_device.c.group_id, _status.c.os_version, _status.c.offered_deployment_id)
# Devices of one statement: parameters of a statement are limited.
_AT_ONCE: Final = 500


class Place(NamedTuple):
    """Where a device is: its catalog, and the name of its cohort."""

    catalog_id: UUID
    cohort: str


def sizes(connection: Connection) -> dict[str, int]:
    """How many claimed devices each cohort has."""
    query = (
        select(*_COLUMNS, func.count().label("devices"))
        .join(_status, _status.c.device_number == _device.c.number)
        .where(_device.c.catalog_id.is_not(None))
        .group_by(*_COLUMNS)
    )
    return {_name(row): int(row.devices) for row in connection.execute(query)}


def places(connection: Connection, device_ids: Sequence[str]) -> dict[str, Place]:
    """Where claimed devices are, by device id; the others are left out."""
    found: dict[str, Place] = {}
    for start in range(0, len(device_ids), _AT_ONCE):
        some = device_ids[start : start + _AT_ONCE]
        query = (
            select(_device.c.device_id, _device.c.catalog_id, *_COLUMNS)
            .join(_status, _status.c.device_number == _device.c.number)
            .where(_device.c.device_id.in_(some), _device.c.catalog_id.is_not(None))
        )
        found |= {row.device_id: Place(row.catalog_id, _name(row)) for row in connection.execute(query)}
    return found


def _name(row: Any) -> str:
    return f"{row.group_id}/{row.os_version}/{row.offered_deployment_id}"
