# SPDX-License-Identifier: Apache-2.0
"""The journal of connects and disconnects for data exports; nothing is written before the first such export.

A second table has the devices that are connected by the journal. A device that is in it when a hub starts was connected
when the hub before it crashed: :func:`recovered` adds its disconnect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change

# Lines that the journal keeps, and after how many new ones older lines are deleted.
MAX_EVENTS = 100_000
EVENTS_PER_PRUNE = 1000
# Reason of the disconnects that a crash of the hub caused.
SERVICE_STOPPED: Final = "service-stopped"

# wanted: has a row from the first export on. open: devices whose newest line is a connect.
TABLES: Final = """
CREATE TABLE IF NOT EXISTS connectivity (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS connectivity_open (
    device_id TEXT PRIMARY KEY
) STRICT;
CREATE TABLE IF NOT EXISTS connectivity_wanted (
    wanted INTEGER PRIMARY KEY
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class ConnectivityEvent:
    """A line of the journal."""

    number: int  # Rises with each line
    at_ms: int  # Unix milliseconds
    device_id: str  # A device, or a module of one
    event: str  # ``connected`` or ``disconnected``
    reason: str  # Of a disconnect; empty otherwise


def is_wanted(connection: Connection) -> bool:
    """Whether the journal is written."""
    return connection.execute("SELECT 1 FROM connectivity_wanted").fetchone() is not None


def wanted(connection: Connection) -> None:
    """Begin to write the journal; a change for the writer."""
    connection.execute("INSERT INTO connectivity_wanted VALUES (1) ON CONFLICT (wanted) DO NOTHING")


@writer_change
def connected(connection: Connection, device_id: str, *, now_ms: int) -> None:
    """Journal that a device is connected."""
    _note(connection, now_ms, device_id, "connected", "")
    connection.execute(
        "INSERT INTO connectivity_open (device_id) VALUES (?) ON CONFLICT (device_id) DO NOTHING", (device_id,)
    )


@writer_change
def disconnected(connection: Connection, device_id: str, reason: str, *, now_ms: int) -> None:
    """Journal that a device is no longer connected."""
    _note(connection, now_ms, device_id, "disconnected", reason)
    connection.execute("DELETE FROM connectivity_open WHERE device_id = ?", (device_id,))


@writer_change
def recovered(connection: Connection, now_ms: int) -> int:
    """Journal the disconnects that a crash left out: at a hub's start nobody is connected. Returns how many."""
    left = connection.execute("SELECT device_id FROM connectivity_open ORDER BY device_id").fetchall()
    for (device_id,) in left:
        _note(connection, now_ms, device_id, "disconnected", SERVICE_STOPPED)
    connection.execute("DELETE FROM connectivity_open")
    return len(left)


def read_events(connection: Connection, after: int, limit: int) -> list[ConnectivityEvent]:
    """Lines with higher numbers than ``after``, in order."""
    query = "SELECT number, at_ms, device_id, event, reason FROM connectivity WHERE number > ? ORDER BY number LIMIT ?"
    return [ConnectivityEvent(*row) for row in connection.execute(query, (after, limit))]


def _note(connection: Connection, at_ms: int, device_id: str, event: str, reason: str) -> None:
    row = connection.execute(
        "INSERT INTO connectivity (at_ms, device_id, event, reason) VALUES (?, ?, ?, ?) RETURNING number",
        (at_ms, device_id, event, reason),
    ).fetchone()
    number = int(row[0])
    if number % EVENTS_PER_PRUNE == 0:
        connection.execute("DELETE FROM connectivity WHERE number <= ?", (number - MAX_EVENTS,))
