# SPDX-License-Identifier: Apache-2.0
"""Devices counted by what their assessment depends on: a million devices are some hundred kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, select

from armillary.engines.records.queries.devices import health_word
from armillary.engines.records.schema import schema

_device, _status = schema.device, schema.device_status


class AlikeDevices(NamedTuple):
    """Devices that are alike in all of this, how many they are, and the id of the first of them."""

    chip: str
    tier: str
    health: str
    os_version: str
    sandbox: str
    enforcement: Mapping[str, str]  # mechanism -> ``enforced`` or ``missing: why``
    has_certificate: bool
    updates_os: bool
    takes_directives: bool
    devices: int
    example: str


def alike(
    connection: Connection, *, catalog_id: UUID | None, device_id: str | None, now: int, silent_after_s: int
) -> tuple[AlikeDevices, ...]:
    """All devices, those of a catalog, or that one; devices that were decommissioned are none."""
    mine: list[ColumnElement[bool]] = [_device.c.decommissioned_at.is_(None)]
    if catalog_id is not None:
        mine.append(_device.c.catalog_id == catalog_id)
    if device_id is not None:
        mine.append(_device.c.device_id == device_id)
    ends, said = _status.c.certificate_not_after, _status.c.update_status
    kinds = (
        _device.c.chip,
        _device.c.trust_tier,
        health_word(now, silent_after_s).label("health"),
        _status.c.os_version,
        _status.c.sandbox,
        _status.c.enforcement,
        and_(ends.is_not(None), ends > now).label("certified"),
        _says(said, "os").label("updates_os"),
        _says(said, "directive").label("takes_directives"),
    )
    query = (
        select(*kinds, func.count().label("devices"), func.min(_device.c.device_id).label("example"))
        .join(_status, _status.c.device_number == _device.c.number)
        .where(*mine)
        .group_by(*kinds)
        .order_by(func.count().desc(), func.min(_device.c.device_id))
    )
    return tuple(
        AlikeDevices(
            row.chip,
            row.trust_tier,
            row.health,
            row.os_version,
            row.sandbox,
            dict(json.loads(row.enforcement)),
            bool(row.certified),
            bool(row.updates_os),
            bool(row.takes_directives),
            row.devices,
            row.example,
        )
        for row in connection.execute(query)
    )


def _says(status: ColumnElement[str], ability: str) -> ColumnElement[bool]:
    """Whether an update status, a JSON text, names an ability: quotes in its other texts are escaped."""
    return and_(status.is_not(None), status.contains(f'"{ability}"'))
