# SPDX-License-Identifier: Apache-2.0
"""The version of the last directive of each device."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from armillary.engines.records.schema import dialect, schema

_directive = schema.device_directive


def version(connection: Connection, device_number: int) -> int:
    """The version of the device's last directive; 0 if it was never given one."""
    query = select(_directive.c.version).where(_directive.c.device_number == device_number)
    return connection.execute(query).scalar_one_or_none() or 0


def keep(connection: Connection, device_number: int, version: int) -> None:
    """Record that the device is given a directive of this version; a lower one changes nothing."""
    dialect.insert_new(connection, _directive, [{"device_number": device_number, "version": 0}])
    row = (_directive.c.device_number == device_number) & (_directive.c.version < version)
    connection.execute(update(_directive).where(row).values(version=version))
