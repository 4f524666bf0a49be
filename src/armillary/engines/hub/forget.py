# SPDX-License-Identifier: Apache-2.0
"""Deletes the hub's data of a device whose name may be used again: the next device of that name gets none of it.

Messages, twin, announcement and uploads are deleted. Its measurements stay in log and series under its number; its row
is renamed to ``{name}#{number}``, which no device can be called, so a new device of the old name gets a new number.
"""

from __future__ import annotations

from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change

_TABLES: Final = ("cloud_message", "twin", "announcement", "upload")
# A device and its modules: "0" is the character after "/".
_WHOSE: Final = "(device_id = ?1 OR (device_id > ?1 || '/' AND device_id < ?1 || '0'))"


@writer_change
def forgotten(connection: Connection, identity: str) -> list[str]:
    """Delete the data of a device with its modules, or of one module; returns the ids of its uploads."""
    rows = connection.execute(f"SELECT upload_id FROM upload WHERE {_WHOSE}", (identity,)).fetchall()  # noqa: S608 - constants
    connection.execute(
        f"DELETE FROM guardian_boot WHERE device IN (SELECT number FROM device WHERE {_WHOSE})",  # noqa: S608
        (identity,),
    )
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table} WHERE {_WHOSE}", (identity,))  # noqa: S608 - constants
    connection.execute(
        f"UPDATE device SET device_id = device_id || '#' || number, inboxes = 0 WHERE {_WHOSE}",  # noqa: S608
        (identity,),
    )
    return [str(row[0]) for row in rows]
