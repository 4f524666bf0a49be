# SPDX-License-Identifier: Apache-2.0
"""Reading values over time: raw where they are few, otherwise lowest, highest and mean a bucket.

A chart has a few hundred pixels; nobody is sent more points than that. Buckets have round widths and stand at
round times, so that a chart that refreshes does not flicker. From an hour up, buckets come from the hour rows
alone; below that, from the chunks of the hours asked for, one hour in memory at a time.
"""

from __future__ import annotations

import bisect
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from armillary.engines.series.chunks import HOUR_MS, unpack_numbers
from armillary.errors import InvalidArgumentError

# More points than any screen has columns.
MAX_POINTS = 10_000

_SECOND = 1000
_MINUTE = 60 * _SECOND
_DAY = 24 * HOUR_MS
_WIDTHS = (
    *(each * _SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * _MINUTE for each in (1, 2, 5, 10, 15, 30)),
    *(each * HOUR_MS for each in (1, 2, 3, 6, 12)),
    *(each * _DAY for each in (1, 2, 7, 14, 28, 56, 112, 224, 448, 896)),
)

_CHUNKS = """
WITH RECURSIVE span (h) AS (SELECT ?1 UNION ALL SELECT h + 3600000 FROM span WHERE h + 3600000 < ?2)
SELECT chunk.data FROM span JOIN chunk ON chunk.hour_ms = h AND chunk.series = ?3 ORDER BY h
"""
_HOURS = """
WITH RECURSIVE span (h) AS (SELECT ?1 UNION ALL SELECT h + 3600000 FROM span WHERE h + 3600000 < ?2)
SELECT h, count, low, high, total FROM span JOIN hour ON hour.hour_ms = h AND hour.series = ?3 ORDER BY h
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Values of one stretch of time.

    Attributes:
        start_ms: Its beginning; the value's own time when ``count`` is 1 in raw data.
        count: How many values.
        low: The lowest.
        high: The highest.
        mean: Their mean.
    """

    start_ms: int
    count: int
    low: float
    high: float
    mean: float


@dataclass(frozen=True, slots=True)
class Range:
    """An answer.

    Attributes:
        bucket_ms: Width of each bucket; 0 when the values are raw.
        buckets: In order of time; empty stretches have none.
    """

    bucket_ms: int
    buckets: tuple[Bucket, ...]


def check_range(start_ms: int, end_ms: int, max_points: int) -> None:
    """Refuse a range that cannot be asked for.

    Raises:
        InvalidArgumentError: names the value.
    """
    if not 0 <= start_ms < end_ms < 2**53:
        raise InvalidArgumentError(
            f"start_ms, end_ms: expected 0 <= start < end, got {start_ms}, {end_ms}", remedy="Correct the time range."
        )
    if not 1 <= max_points <= MAX_POINTS:
        raise InvalidArgumentError(
            f"max_points: expected 1 to {MAX_POINTS}, got {max_points}", remedy="Ask for as many as there are pixels."
        )


def read_range(
    connection: sqlite3.Connection, series: int, tail: array[float], start_ms: int, end_ms: int, max_points: int
) -> Range:
    """Values of ``series`` with ``start_ms <= time < end_ms``.

    Args:
        connection: In a read transaction.
        series: Series number.
        tail: ``time, value, ...`` not in the database yet.
        start_ms: First millisecond.
        end_ms: One past the last.
        max_points: Most buckets to return.
    """
    first_hour, last_hour = _hours(connection, start_ms, end_ms)
    hours = connection.execute(_HOURS, (first_hour, last_hour, series)).fetchall() if first_hour < last_hour else []
    if sum(row[1] for row in hours) + len(tail) // 2 <= max_points:
        return Range(0, tuple(_raw(_points(connection, series, first_hour, last_hour, tail), start_ms, end_ms)))
    earliest = min(first_hour, int(min(tail[::2], default=float(end_ms))))
    width = bucket_width(max(start_ms, earliest), end_ms, max_points)
    gathered: dict[int, list[float]] = {}
    if width >= HOUR_MS:
        for hour_ms, count, low, high, total in hours:
            _gather(gathered, hour_ms - hour_ms % width, count, low, high, total)
        _gather_points(gathered, tail, start_ms - start_ms % HOUR_MS, end_ms, width)
    else:
        for points in _points(connection, series, first_hour, last_hour, tail):
            _gather_points(gathered, points, start_ms, end_ms, width)
    return Range(width, tuple(_bucket(start, sums) for start, sums in sorted(gathered.items())))


def bucket_width(start_ms: int, end_ms: int, max_points: int) -> int:
    """The smallest round width with which aligned buckets over the range are at most ``max_points``."""
    for width in _WIDTHS:
        if -(-end_ms // width) - start_ms // width <= max_points:
            return width
    return -(-end_ms // _DAY) * _DAY  # one bucket from the epoch: the range is longer than any chart


def _hours(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> tuple[int, int]:
    """The hours to look into: the range, cut to where the database has anything."""
    low, high = connection.execute("SELECT min(hour_ms), max(hour_ms) FROM hour").fetchone()
    if low is None:
        return end_ms, end_ms
    return max(start_ms - start_ms % HOUR_MS, low), min(end_ms, high + HOUR_MS)


def _points(
    connection: sqlite3.Connection, series: int, first_hour: int, last_hour: int, tail: array[float]
) -> Iterator[array[float]]:
    if first_hour < last_hour:
        for (data,) in connection.execute(_CHUNKS, (first_hour, last_hour, series)):
            yield unpack_numbers(data)
    yield tail


def _raw(parts: Iterable[array[float]], start_ms: int, end_ms: int) -> Iterator[Bucket]:
    pairs = sorted(
        (int(at), value)
        for part in parts
        for at, value in zip(part[::2], part[1::2], strict=True)
        if start_ms <= at < end_ms
    )
    return (Bucket(at, 1, value, value, value) for at, value in pairs)


def _gather_points(
    gathered: dict[int, list[float]], points: array[float], start_ms: int, end_ms: int, width: int
) -> None:
    times, values = points[::2], points[1::2]
    if any(times[index] > times[index + 1] for index in range(len(times) - 1)):
        order = sorted(range(len(times)), key=times.__getitem__)
        times, values = array("d", [times[i] for i in order]), array("d", [values[i] for i in order])
    at, end = bisect.bisect_left(times, start_ms), bisect.bisect_left(times, end_ms)
    while at < end:
        bucket = int(times[at]) // width * width
        following = bisect.bisect_left(times, bucket + width, at, end)
        part = values[at:following]
        _gather(gathered, bucket, len(part), min(part), max(part), sum(part))
        at = following


def _gather(gathered: dict[int, list[float]], bucket: int, count: int, low: float, high: float, total: float) -> None:
    sums = gathered.get(bucket)
    if sums is None:
        gathered[bucket] = [count, low, high, total]
        return
    sums[0] += count
    sums[1] = min(sums[1], low)
    sums[2] = max(sums[2], high)
    sums[3] += total


def _bucket(start_ms: int, sums: list[float]) -> Bucket:
    count, low, high, total = sums
    # The sum of finite doubles can leave their range; the mean cannot.
    mean = min(max(total / count, low), high)
    return Bucket(start_ms, int(count), low, high, mean)
