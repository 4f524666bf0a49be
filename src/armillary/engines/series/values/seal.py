# SPDX-License-Identifier: Apache-2.0
"""Sealing: after an hour has ended, its hot segments become chunks and roll-ups.

::

    hot (hour, shard)   --sort, count equal points once--> chunk (hour, series)    the points, compressed
                                                      '--> rollup (hour, series)   its hour and its minutes
                                                      '--> fleet (metric, hour)    the hour of many series as columns
    and is deleted, with its sums in hot_hour: one transaction for one hour of one shard

So a point is always either in hot or in a chunk, whenever the power goes. Points that come after their hour was sealed
go to hot like all others. Readers see them there at once, and the next pass merges them: chunk and segments become the
new chunk, and the roll-ups are made again from it.
"""

from __future__ import annotations

import time

from armillary.engines.database.port import Connection
from armillary.engines.series.values.chunks import HOUR_MS, Points, ValueKind, decode_chunk, encode_chunk, in_order
from armillary.engines.series.values.rollups import (
    ALLOWED_LATENESS_MS,
    Rollup,
    decode_fleet,
    decode_minutes,
    encode_fleet,
    encode_minutes,
    fleet_sums,
    folded,
    merged,
    minutes_of,
)
from armillary.engines.series.values.segments import SERIES_PER_SHARD, Segment
from armillary.errors import WireError

# Sealing goes on for this long in one transaction, then lets acknowledgements pass (seconds).
SEAL_SLICE_S = 0.03

_SET_CHUNK = """
INSERT INTO chunk (hour_ms, series, data) VALUES (?, ?, ?)
ON CONFLICT (hour_ms, series) DO UPDATE SET data = excluded.data
"""

_SET_ROLLUP = """
INSERT INTO rollup (hour_ms, series, count, low, high, total, first, last, minutes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour_ms, series) DO UPDATE SET count = excluded.count, low = excluded.low, high = excluded.high,
    total = excluded.total, first = excluded.first, last = excluded.last, minutes = excluded.minutes
"""

_SET_FLEET = """
INSERT INTO fleet (metric, hour_ms, shard, count, low, high, total, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (metric, hour_ms, shard) DO UPDATE SET count = excluded.count, low = excluded.low, high = excluded.high,
    total = excluded.total, data = excluded.data
"""


def seal_some(connection: Connection, now_ms: int, budget_s: float = SEAL_SLICE_S) -> bool:
    """Seal hours that have ended, at least one shard if there is one; True when there are more. The caller commits."""
    deadline = time.perf_counter() + budget_s
    while (unit := next_unit(connection, now_ms)) is not None:
        seal_unit(connection, *unit)
        if time.perf_counter() >= deadline:
            return next_unit(connection, now_ms) is not None
    return False


def next_unit(connection: Connection, now_ms: int) -> tuple[int, int] | None:
    """Hour and shard to seal next."""
    row: tuple[int, int] | None = connection.execute(
        "SELECT hour_ms, shard FROM hot WHERE hour_ms <= ? ORDER BY hour_ms, shard LIMIT 1",
        (now_ms - HOUR_MS - ALLOWED_LATENESS_MS,),
    ).fetchone()
    return row


def seal_unit(connection: Connection, hour_ms: int, shard: int) -> None:
    """Move one shard of one hour from hot into chunks and roll-ups; the caller commits."""
    gathered: dict[int, tuple[ValueKind, Points]] = {}
    rows = connection.execute("SELECT data FROM hot WHERE hour_ms = ? AND shard = ? ORDER BY number", (hour_ms, shard))
    for (data,) in rows.fetchall():
        try:
            segment = Segment(data)
        except WireError:
            _put_aside(connection, "hot", hour_ms, shard, data)
        else:
            segment.pour(gathered)  # its checksum was good
    duplicates = 0
    fleet: dict[int, dict[int, tuple[int, float, float, float]]] = {}
    first, end = shard * SERIES_PER_SHARD, (shard + 1) * SERIES_PER_SHARD
    metrics = dict(
        connection.execute("SELECT number, metric FROM series WHERE number >= ? AND number < ?", (first, end))
    )
    sealed = _Sealed(connection, hour_ms, first, end)
    for series in sorted(gathered):
        kind, points = gathered[series]
        hour, doubled = sealed.add(series, kind, points)
        duplicates += doubled
        if kind is not ValueKind.TEXT:
            fleet.setdefault(metrics[series], {})[series] = (hour.points, hour.low, hour.high, hour.total)
    sealed.write()
    for metric, hours in fleet.items():
        _write_fleet(connection, metric, hour_ms, shard, hours)
    connection.execute("DELETE FROM hot WHERE hour_ms = ? AND shard = ?", (hour_ms, shard))
    for metric in set(metrics.values()):
        connection.execute(
            "DELETE FROM hot_hour WHERE metric = ? AND hour_ms = ? AND series >= ? AND series < ?",
            (metric, hour_ms, first, end),
        )
    if duplicates:
        connection.execute("UPDATE progress SET value = value + ? WHERE name = 'duplicates'", (duplicates,))


class _Sealed:
    """The sealed rows of one shard of one hour, before and after: read at once and written at once."""

    def __init__(self, connection: Connection, hour_ms: int, first: int, end: int) -> None:
        self._connection = connection
        self._hour_ms = hour_ms
        where = "WHERE hour_ms = ? AND series >= ? AND series < ?"
        place = (hour_ms, first, end)
        self._known_chunks = dict(connection.execute(f"SELECT series, data FROM chunk {where}", place).fetchall())  # noqa: S608 - a constant
        self._known_minutes = dict(connection.execute(f"SELECT series, minutes FROM rollup {where}", place).fetchall())  # noqa: S608
        self._chunks: list[tuple[int, int, bytes]] = []
        self._rollups: list[tuple[object, ...]] = []

    def add(self, series: int, kind: ValueKind, fresh: Points) -> tuple[Rollup, int]:
        """Merge fresh points into a series; returns its hour, and how many points were duplicates."""
        text, hour_ms = kind is ValueKind.TEXT, self._hour_ms
        known, damaged = self._chunk(series)
        points, duplicates = in_order([*known, fresh], text=text)
        minutes = minutes_of(points)
        before = None if known else self._known_minutes.get(series)
        if before is not None:
            try:
                minutes = merged(decode_minutes(hour_ms, before, text=text), minutes)
            except WireError:
                _put_aside(self._connection, "rollup", hour_ms, series, before)
        if before is None or damaged:  # else the points are past their retention, and these few go the same way
            self._chunks.append((hour_ms, series, encode_chunk(kind, points)))
        hour = folded(hour_ms, minutes)
        sums = (None,) * 5 if text else hour[2:]
        self._rollups.append((hour_ms, series, hour.points, *sums, encode_minutes(hour_ms, minutes, text=text)))
        return hour, duplicates

    def write(self) -> None:
        """Write what was added."""
        self._connection.executemany(_SET_CHUNK, self._chunks)
        self._connection.executemany(_SET_ROLLUP, self._rollups)

    def _chunk(self, series: int) -> tuple[list[Points], bool]:
        """The chunk's points, if it exists, and whether it was damaged and put aside."""
        data = self._known_chunks.get(series)
        if data is None:
            return [], False
        try:
            return [decode_chunk(data)], False
        except WireError:
            _put_aside(self._connection, "chunk", self._hour_ms, series, data)
            return [], True


def _write_fleet(
    connection: Connection,
    metric: int,
    hour_ms: int,
    shard: int,
    hours: dict[int, tuple[int, float, float, float]],
) -> None:
    place = (metric, hour_ms, shard)
    row = connection.execute("SELECT data FROM fleet WHERE metric = ? AND hour_ms = ? AND shard = ?", place).fetchone()
    if row is not None:
        try:
            series, *columns = decode_fleet(row[0])
        except WireError:
            _put_aside(connection, "fleet", hour_ms, shard, row[0])
        else:
            before = zip(series, zip(*columns, strict=True), strict=True)
            hours = {**dict(before), **hours}
    connection.execute(_SET_FLEET, (*place, *fleet_sums(hours), encode_fleet(hours)))


def _put_aside(connection: Connection, origin: str, hour_ms: int, place: int, data: bytes) -> None:
    """Copy data that fails its checksum to the table ``damaged``: it may be of use, and must not stop sealing."""
    connection.execute(
        "INSERT INTO damaged (origin, hour_ms, place, data) VALUES (?, ?, ?, ?)", (origin, hour_ms, place, data)
    )
