# SPDX-License-Identifier: Apache-2.0
"""Deletes what the hub has of a device whose name may be reused: the next device of that name gets nothing of it.

Messages, twin, announcement and uploads are deleted. What it measured stays in log and series under its number, whose
name ends: ``{name}#{number}`` can be no device's, and whoever comes with the old name gets another number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from armillary.engines.database.port import Connection

_TABLES: Final = ("cloud_message", "twin", "announcement", "upload")
# A device and its modules: "0" is the character after "/".
_WHOSE: Final = "(device_id = ?1 OR (device_id > ?1 || '/' AND device_id < ?1 || '0'))"


def forgotten(identity: str) -> Callable[[Connection], list[str]]:
    """A change for the writer: forget a device with its modules, or a module. Returns the ids of its uploads."""

    def apply(connection: Connection) -> list[str]:
        rows = connection.execute(f"SELECT upload_id FROM upload WHERE {_WHOSE}", (identity,)).fetchall()  # noqa: S608 - constants
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE {_WHOSE}", (identity,))  # noqa: S608 - constants
        connection.execute(
            f"UPDATE device SET device_id = device_id || '#' || number, inboxes = 0 WHERE {_WHOSE}",  # noqa: S608
            (identity,),
        )
        return [str(row[0]) for row in rows]

    return apply
