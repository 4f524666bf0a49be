# SPDX-License-Identifier: Apache-2.0
"""Sealing: one generation of values goes into chunks, hours and latest, with the log position it reaches.

One transaction, so the position and the values agree whatever happens. Rows are written series by series and hour
by hour: a handful of rows instead of one per value.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator

from armillary.engines.series.chunks import HOUR_MS, pack_numbers, pack_texts
from armillary.engines.series.tail import Generation

# Log rows deleted in one go when their time is over: keeps the transaction short.
BLOCKS_PER_PRUNE = 200

_GROW_CHUNK = """
INSERT INTO chunk (hour_ms, series, data) VALUES (?1, ?2, ?3)
ON CONFLICT (hour_ms, series) DO UPDATE SET data = CAST(data || excluded.data AS BLOB)
"""

_GROW_HOUR = """
INSERT INTO hour (hour_ms, series, count, low, high, total) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (hour_ms, series) DO UPDATE SET
    count = count + excluded.count, low = min(low, excluded.low),
    high = max(high, excluded.high), total = total + excluded.total
"""

_SET_LATEST = """
INSERT INTO latest (series, at_ms, value) VALUES (?1, ?2, ?3)
ON CONFLICT (series) DO UPDATE SET at_ms = excluded.at_ms, value = excluded.value WHERE excluded.at_ms >= at_ms
"""

_ADD_FAULT = """
UPDATE device SET fault_count = fault_count + ?2, fault_ms = ?3, fault_reason = ?4 WHERE number = ?1
"""


def write_generation(connection: sqlite3.Connection, generation: Generation, upto: int) -> None:
    """Write a generation and the position ``upto`` that it reaches; the caller commits."""
    connection.executemany(
        "INSERT INTO series (number, device, metric, kind) VALUES (?, ?, ?, ?)",
        [(each.number, each.device, each.metric, int(each.kind)) for each in generation.new],
    )
    chunks: list[tuple[int, int, bytes]] = []
    hours: list[tuple[int, int, int, float | None, float | None, float | None]] = []
    for series, points in generation.numbers.items():
        for hour_ms, part in _by_hour(points):
            values = part[1::2]
            chunks.append((hour_ms, series, pack_numbers(part)))
            hours.append((hour_ms, series, len(values), min(values), max(values), sum(values)))
    for series, texts in generation.texts.items():
        grouped: dict[int, list[tuple[int, str]]] = {}
        for at_ms, text in texts:
            grouped.setdefault(at_ms - at_ms % HOUR_MS, []).append((at_ms, text))
        for hour_ms, items in grouped.items():
            chunks.append((hour_ms, series, pack_texts(items)))
            hours.append((hour_ms, series, len(items), None, None, None))
    chunks.sort()
    hours.sort(key=lambda row: row[:2])
    connection.executemany(_GROW_CHUNK, chunks)
    connection.executemany(_GROW_HOUR, hours)
    connection.executemany(_SET_LATEST, [(series, at, value) for series, (at, value) in generation.latest.items()])
    connection.executemany(
        _ADD_FAULT, [(device, each.count, each.at_ms, each.reason) for device, each in generation.faults.items()]
    )
    connection.execute("UPDATE progress SET value = ? WHERE name = 'sealed'", (upto,))


def prune(connection: sqlite3.Connection, *, log_before_ms: int, values_before_ms: int, sealed: int) -> None:
    """Delete what is older than the retention asks for; the log only as far as it is sealed."""
    connection.execute("DELETE FROM chunk WHERE hour_ms < ?", (values_before_ms - HOUR_MS,))
    connection.execute("DELETE FROM hour WHERE hour_ms < ?", (values_before_ms - HOUR_MS,))
    oldest = connection.execute("SELECT seq, at_ms FROM block ORDER BY seq LIMIT ?", (BLOCKS_PER_PRUNE,)).fetchall()
    last = 0
    for seq, at_ms in oldest:
        if at_ms >= log_before_ms or seq > sealed:
            break
        last = seq
    if last:
        connection.execute("DELETE FROM block WHERE seq <= ?", (last,))


def _by_hour(points: array[float]) -> Iterator[tuple[int, array[float]]]:
    """Parts of ``time, value, ...`` that lie in one hour each; usually there is one."""
    times = points[::2]
    first = int(min(times))
    first -= first % HOUR_MS
    if max(times) < first + HOUR_MS:
        yield first, points
        return
    grouped: dict[int, array[float]] = {}
    for time, value in zip(times, points[1::2], strict=True):
        at = int(time)
        part = grouped.setdefault(at - at % HOUR_MS, array("d"))
        part.append(time)
        part.append(value)
    yield from grouped.items()
