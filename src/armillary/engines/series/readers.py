# SPDX-License-Identifier: Apache-2.0
"""Snapshots of the database together with the values in memory, for any thread; and the numbers of devices."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from queue import LifoQueue
from typing import cast

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import transaction
from armillary.engines.series.log.generation import Last
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.values.chunks import Points, SeriesKey, ValueKind
from armillary.engines.series.values.hours import Shelf
from armillary.errors import DataFolderError
from armillary.wire.hub.telemetry import Value

# Connections to read with: a long answer or an export must not hold up short ones.
READERS = 3


class Readers:
    """READERS connections for reading, which only this object uses, and the tail, whose values are not flushed yet.

    ``begin`` is the SQL that begins a reading transaction. After :meth:`close` every read raises DataFolderError.
    """

    def __init__(self, connections: Sequence[Connection], tail: Tail, begin: str) -> None:
        self.tail = tail
        self._begin = begin
        self._connections: LifoQueue[Connection] = LifoQueue()  # the last one used has the pages in its cache
        for each in connections:
            self._connections.put(each)
        self._is_closed = False
        self._names_lock = threading.Lock()
        self._last_device = 0
        self._names_of: dict[int, str] = {}
        self._numbers_of: dict[str, int] = {}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot of the database; waits while all connections are reading."""
        reader = self._connections.get()
        try:
            if self._is_closed:
                raise DataFolderError("the hub's log: closed", remedy="The service is stopping; try later.")
            with transaction(reader, self._begin):
                yield reader
        finally:
            self._connections.put(reader)

    @contextmanager
    def snapshot(self, keys: Sequence[SeriesKey]) -> Iterator[tuple[Shelf, dict[int, list[Points]]]]:
        """One snapshot, and the points of these series that are not in it yet."""
        wanted = {(key.device, key.number) for key in keys}
        copies: list[tuple[int, int, Points]] = []
        with self.tail.lock:  # before the snapshot: what is flushed between the two is in the snapshot
            for generation in self.tail.generations():
                for device, number in wanted:
                    points = generation.points_of(device, number)
                    if points is not None:
                        copies.append((generation.reaches, number, points))
        with self.reading() as connection:
            flushed = flushed_upto(connection)
            fresh: dict[int, list[Points]] = {}
            for reaches, number, points in copies:
                if reaches > flushed:
                    fresh.setdefault(number, []).append(points)
            yield Shelf(connection), fresh

    def device_names(self, connection: Connection) -> dict[int, str]:
        """Ids of all devices by number; a device keeps its number, so only new ones are read. Call it while reading."""
        with self._names_lock:
            known = self._last_device
            rows = connection.execute("SELECT number, device_id FROM device WHERE number > ?", (known,)).fetchall()
            for number, device_id in rows:
                self._names_of[number] = device_id
                self._numbers_of[device_id] = number
                self._last_device = max(self._last_device, number)
        return self._names_of

    def numbers(self, device_ids: Collection[str]) -> dict[str, int]:
        """Numbers of devices; those that were never connected are left out."""
        with self.reading() as connection:
            self.device_names(connection)
            known = self._numbers_of
            return {each: known[each] for each in device_ids if each in known}

    def close(self) -> None:
        """Close every connection, each when its reader is done. Call it once."""
        self._is_closed = True
        for each in [self._connections.get() for _ in range(READERS)]:
            each.close()
            self._connections.put(each)  # for who waits for one: waiting for ever would keep the process from its end


def flushed_upto(connection: Connection) -> int:
    """The last block of the log whose values are in the database."""
    return int(connection.execute("SELECT value FROM progress WHERE name = 'flushed'").fetchone()[0])


def stored_value(row: Sequence[object]) -> tuple[int, Value]:
    """Time and value of a row of ``latest``: time, kind, value."""
    at_ms, kind, value = cast("tuple[int, int, object]", row)
    if kind == ValueKind.TEXT:
        return at_ms, value  # type: ignore[return-value]  # STRICT table
    number = float(value)  # type: ignore[arg-type]  # PostgreSQL's column is of texts: engines/series/database/schema.py
    return at_ms, bool(number) if kind == ValueKind.BOOLEAN else number


def newer_value(stored: tuple[int, Value] | None, fresh: Last | None) -> tuple[int, Value] | None:
    """The later of the stored value and the one in memory."""
    if fresh is None or (stored is not None and stored[0] > fresh[0]):
        return stored
    return fresh[0], fresh[2]
