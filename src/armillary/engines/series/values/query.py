# SPDX-License-Identifier: Apache-2.0
"""Reads values over time: raw where they are few, otherwise lowest, highest and mean of buckets.

A chart has a few hundred pixels and gets no more points than that. Buckets have round widths and begin at round times,
so that a chart does not flicker when it refreshes. They are computed from hours, minutes, or the points themselves,
whichever is coarse enough, with one hour in memory at a time. Minutes and hours at the edges of a range are whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey
from armillary.engines.series.values.hours import Shelf, between
from armillary.engines.series.values.rollups import MINUTE_MS, Rollup
from armillary.errors import InvalidArgumentError

# More points than any screen has columns.
MAX_POINTS = 10_000

_SECOND = 1000
_DAY = 24 * HOUR_MS
_WIDTHS = (
    *(each * _SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * MINUTE_MS for each in (1, 2, 5, 10, 15, 30)),
    *(each * HOUR_MS for each in (1, 2, 3, 6, 12)),
    *(each * _DAY for each in (1, 2, 7, 14, 28, 56, 112, 224, 448, 896)),
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Values of one stretch of time."""

    start_ms: int  # Its beginning; the value's own time when ``count`` is 1 in raw data
    count: int
    low: float
    high: float
    mean: float


@dataclass(frozen=True, slots=True)
class Range:
    """An answer."""

    bucket_ms: int  # Width of each bucket; 0 when the values are raw
    buckets: tuple[Bucket, ...]  # In order of time; empty stretches have none


def check_range(start_ms: int, end_ms: int, max_points: int) -> None:
    """Check the arguments of a query.

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
    shelf: Shelf, key: SeriesKey, tail: Iterable[Points], start_ms: int, end_ms: int, max_points: int
) -> Range:
    """Values of a series of numbers with ``start_ms <= time < end_ms``, in at most ``max_points`` buckets.

    ``tail`` has its points that are not in the database yet.

    Raises:
        DataFolderError: damaged.
    """
    hours = shelf.hours(key, tail, start_ms, end_ms)
    has_raw = all(hour.raw for hour in hours.values())
    if has_raw and sum(hour.count for hour in hours.values()) <= max_points:
        found = [between(shelf.points(key, hour_ms, hour), start_ms, end_ms) for hour_ms, hour in hours.items()]
        pairs = (pair for points in found for pair in zip(points.times, points.values, strict=True))
        return Range(0, tuple(Bucket(at, 1, value, value, value) for at, value in pairs))  # type: ignore[arg-type]
    earliest = next(iter(hours))
    width = bucket_width(max(start_ms, earliest), end_ms, max_points, 0 if has_raw else MINUTE_MS)
    gathered: dict[int, list[float]] = {}
    for hour_ms, hour in hours.items():
        if width >= HOUR_MS:
            gather(gathered, (shelf.whole(key, hour_ms, hour),), width)
        elif width >= MINUTE_MS:
            minutes = shelf.minutes(key, hour_ms, hour)
            gather(gathered, (each for each in minutes if start_ms - MINUTE_MS < each.start_ms < end_ms), width)
        else:
            gather(gathered, _stretches(between(shelf.points(key, hour_ms, hour), start_ms, end_ms), width), width)
    return Range(width, tuple(bucket(start, sums) for start, sums in sorted(gathered.items())))


def bucket_width(start_ms: int, end_ms: int, max_points: int, least: int = 0) -> int:
    """The smallest round width, from ``least`` on, with which buckets over the range are at most ``max_points``."""
    for width in _WIDTHS:
        if width >= least and -(-end_ms // width) - start_ms // width <= max_points:
            return width
    return -(-end_ms // _DAY) * _DAY  # one bucket from the epoch: the range is longer than any chart


def gather(gathered: dict[int, list[float]], parts: Iterable[Rollup], width: int) -> None:
    """Add roll-ups to ``start of the bucket -> [count, low, high, total]``."""
    for start_ms, count, low, high, total, _, _ in parts:
        at = start_ms - start_ms % width
        sums = gathered.get(at)
        if sums is None:
            gathered[at] = [count, low, high, total]
            continue
        sums[0] += count
        sums[1] = min(sums[1], low)
        sums[2] = max(sums[2], high)
        sums[3] += total


def bucket(start_ms: int, sums: list[float]) -> Bucket:
    """The bucket of ``[count, low, high, total]``."""
    count, low, high, total = sums
    # The sum of finite doubles can leave their range; the mean cannot.
    mean = min(max(total / count, low), high)
    return Bucket(start_ms, int(count), low, high, mean)


def _stretches(points: Points, width: int) -> Iterable[Rollup]:
    times, values = points.times, points.values
    at, end = 0, len(times)
    while at < end:
        start = times[at] - times[at] % width
        following = bisect_left(times, start + width, at, end)
        part: list[float] = values[at:following]  # type: ignore[assignment]  # numbers
        yield Rollup(start, len(part), min(part), max(part), sum(part))
        at = following
