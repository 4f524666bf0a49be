# SPDX-License-Identifier: Apache-2.0
"""The journal of connects and disconnects, in order, for data exports. Written from the first such export on.

Beside it stands who is connected by the journal. What stands there when a hub starts was connected when the one before
was stopped without a word: the journal says so then (:func:`recovered`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from armillary.engines.database.port import Connection

# Lines that are kept, and how often it is looked at for older ones.
MAX_EVENTS = 100_000
EVENTS_PER_PRUNE = 1000
# Reason of the end of connections whose hub was stopped without a word.
SERVICE_STOPPED: Final = "service-stopped"

# wanted: a row from the first export on. open: devices whose last line says that they are connected.
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
    """A line of the journal.

    Attributes:
        number: Rises.
        at_ms: When, Unix milliseconds.
        device_id: Which device, or module of one.
        event: ``connected`` or ``disconnected``.
        reason: Why it is disconnected; empty otherwise.
    """

    number: int
    at_ms: int
    device_id: str
    event: str
    reason: str


def is_wanted(connection: Connection) -> bool:
    """Whether the journal is written."""
    return connection.execute("SELECT 1 FROM connectivity_wanted").fetchone() is not None


def wanted(connection: Connection) -> None:
    """A change for the writer: from now on the journal is to be written."""
    connection.execute("INSERT INTO connectivity_wanted VALUES (1) ON CONFLICT (wanted) DO NOTHING")


def connected(device_id: str, *, now_ms: int) -> Callable[[Connection], None]:
    """A change for the writer: a device is connected."""

    def apply(connection: Connection) -> None:
        _note(connection, now_ms, device_id, "connected", "")
        connection.execute(
            "INSERT INTO connectivity_open (device_id) VALUES (?) ON CONFLICT (device_id) DO NOTHING", (device_id,)
        )

    return apply


def disconnected(device_id: str, reason: str, *, now_ms: int) -> Callable[[Connection], None]:
    """A change for the writer: a device is not connected any more."""

    def apply(connection: Connection) -> None:
        _note(connection, now_ms, device_id, "disconnected", reason)
        connection.execute("DELETE FROM connectivity_open WHERE device_id = ?", (device_id,))

    return apply


def recovered(now_ms: int) -> Callable[[Connection], int]:
    """A change for the writer: nobody is connected, as the hub has just started; how many lines that took."""

    def apply(connection: Connection) -> int:
        left = connection.execute("SELECT device_id FROM connectivity_open ORDER BY device_id").fetchall()
        for (device_id,) in left:
            _note(connection, now_ms, device_id, "disconnected", SERVICE_STOPPED)
        connection.execute("DELETE FROM connectivity_open")
        return len(left)

    return apply


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
