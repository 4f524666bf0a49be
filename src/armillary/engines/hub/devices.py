# SPDX-License-Identifier: Apache-2.0
"""Rows of devices in the hub's database: number, persistent subscriptions, when last seen, decoding faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import writer_change


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device known to the hub."""

    number: int  # Identifies it in log and series
    device_id: str
    inboxes: int  # Subscriptions of its persistent session, bits of ``wire.hub.topics.Inbox``
    last_seen_ms: int  # When it was last connected or sent anything (written every few seconds), Unix milliseconds
    fault_count: int = 0  # Messages that could not be decoded; ``fault_ms`` and ``fault_reason`` are the last one's
    fault_ms: int | None = None
    fault_reason: str | None = None


_COLUMNS = "number, device_id, inboxes, last_seen_ms, fault_count, fault_ms, fault_reason"


def read_device(connection: Connection, device_id: str) -> DeviceRow | None:
    """A device; None when it was never connected."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM device WHERE device_id = ?", (device_id,)).fetchone()  # noqa: S608 - a constant
    return None if row is None else DeviceRow(*row)


def read_devices(connection: Connection) -> list[DeviceRow]:
    """Every device that was ever connected."""
    return [DeviceRow(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM device ORDER BY number")]  # noqa: S608


def read_device_ids(connection: Connection, after: str, upto: str | None, limit: int) -> list[str]:
    """Ids of devices and modules behind ``after``, up to ``upto`` (None: to the end), by id, at most ``limit``."""
    query = "SELECT device_id FROM device WHERE device_id > ? AND device_id <= ? ORDER BY device_id LIMIT ?"
    return [row[0] for row in connection.execute(query, (after, upto or "\U0010ffff", limit))]


def read_ids_of_numbers(connection: Connection, numbers: Collection[int]) -> dict[int, str]:
    """Device ids by number; numbers without a device are left out."""
    marks = ", ".join("?" * len(numbers))
    query = f"SELECT number, device_id FROM device WHERE number IN ({marks})"  # noqa: S608 - marks only
    return dict(connection.execute(query, tuple(numbers)).fetchall()) if numbers else {}


@writer_change
def enrolled(connection: Connection, device_id: str, *, now_ms: int, clean: bool) -> DeviceRow:
    """A device connects: make or update its row, and return it; a clean start removes its subscriptions."""
    # No upsert: PostgreSQL uses up a number for each row that is tried, and devices connect often.
    (row,) = (
        connection.execute(
            f"UPDATE device SET last_seen_ms = ?, inboxes = inboxes * ? WHERE device_id = ? RETURNING {_COLUMNS}",  # noqa: S608 - a constant
            (now_ms, int(not clean), device_id),
        ).fetchall()
        or connection.execute(
            f"INSERT INTO device (device_id, last_seen_ms) VALUES (?, ?) RETURNING {_COLUMNS}",  # noqa: S608 - a constant
            (device_id, now_ms),
        ).fetchall()
    )
    return DeviceRow(*row)


@writer_change
def subscribed(connection: Connection, number: int, inboxes: int) -> None:
    """Store a persistent session's subscriptions."""
    connection.execute("UPDATE device SET inboxes = ? WHERE number = ?", (inboxes, number))


def seen(times: Iterable[tuple[int, int]]) -> Callable[[Connection], None]:
    """The change that stores when several devices were last seen: ``(number, Unix milliseconds)`` each."""
    rows = [(at_ms, number) for number, at_ms in times]

    def apply(connection: Connection) -> None:
        connection.executemany("UPDATE device SET last_seen_ms = max(last_seen_ms, ?) WHERE number = ?", rows)

    return apply
