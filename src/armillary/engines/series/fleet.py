# SPDX-License-Identifier: Apache-2.0
"""Many devices at once: one metric over time added up over a group, and the latest values of a group.

Hours come from the fleet's columns (``rollups.py``), added up as they are; what is not sealed from the sums beside the
hot segments. Buckets of less than an hour need every device's minutes, so they are given where devices times hours are
few enough, and hours otherwise. Points that came twice are counted twice until their hour is sealed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from armillary.engines.series.chunks import HOUR_MS, Points
from armillary.engines.series.flush import by_hour
from armillary.engines.series.hours import Shelf
from armillary.engines.series.query import Bucket, bucket, bucket_width, gather
from armillary.engines.series.rollups import MINUTE_MS, FleetHour, Rollup, decode_fleet, hour_of
from armillary.engines.series.tail import SeriesKey
from armillary.errors import DataFolderError, WireError

# Devices times hours that are read minute by minute: about a quarter of a second.
MAX_DEVICE_HOURS = 2_000


@dataclass(frozen=True, slots=True)
class FleetBucket:
    """Values of a group of devices in one stretch of time.

    Attributes:
        start_ms: Its beginning.
        count: How many values.
        low: The lowest.
        high: The highest.
        total: Their sum.
        mean: Their mean.
    """

    start_ms: int
    count: int
    low: float
    high: float
    total: float
    mean: float


@dataclass(frozen=True, slots=True)
class FleetRange:
    """An answer: the width of the buckets, and those that have values, in order of time."""

    bucket_ms: int
    buckets: tuple[FleetBucket, ...]


def read_fleet(
    shelf: Shelf,
    metric: int,
    series: Sequence[SeriesKey],
    tail: Mapping[int, list[Points]],
    start_ms: int,
    end_ms: int,
    max_points: int,
    *,
    everything: bool,
) -> FleetRange:
    """One metric over time, added up over series of numbers.

    Args:
        shelf: The database.
        metric: The name's number.
        series: Which series, ascending by number.
        tail: Their points that are not in the database yet, by series number.
        start_ms: First millisecond.
        end_ms: One past the last; minutes and hours at the edges are whole.
        max_points: Most buckets to return.
        everything: Whether ``series`` is every one of this name.

    Raises:
        DataFolderError: damaged.
    """
    fresh = [(hour_ms, part) for parts in tail.values() for each in parts for hour_ms, part in by_hour(each)]
    first, _ = shelf.bounds(start_ms, end_ms)
    first = min([first, *(hour_ms for hour_ms, _ in fresh)])
    start = max(start_ms, first)
    if not series or start >= end_ms:
        return FleetRange(HOUR_MS, ())
    fine = len(series) * (-(-(end_ms - start) // HOUR_MS)) <= MAX_DEVICE_HOURS
    width = bucket_width(start, end_ms, max_points, MINUTE_MS if fine else HOUR_MS)
    gathered: dict[int, list[float]] = {}
    if width < HOUR_MS:
        for key in series:
            for hour_ms, hour in shelf.hours(key, tail.get(key.number, ()), start, end_ms).items():
                minutes = shelf.minutes(key, hour_ms, hour)
                gather(gathered, (each for each in minutes if start_ms - MINUTE_MS < each.start_ms < end_ms), width)
    else:
        chosen = None if everything else frozenset(key.number for key in series)
        gather(gathered, _sealed_hours(shelf, metric, chosen, hour_of(start), end_ms), width)
        gather(gathered, _hot_hours(shelf, metric, chosen, hour_of(start), end_ms), width)
        gather(
            gathered, (_added(hour_ms, part) for hour_ms, part in fresh if start - HOUR_MS < hour_ms < end_ms), width
        )
    return FleetRange(width, tuple(_bucket(at, sums) for at, sums in sorted(gathered.items())))


def _sealed_hours(
    shelf: Shelf, metric: int, chosen: Collection[int] | None, first: int, end_ms: int
) -> Iterable[Rollup]:
    masks: dict[int, tuple[array[int], list[bool]]] = {}  # shard -> series it was made for, and which are chosen
    rows = shelf.connection.execute(
        "SELECT hour_ms, shard, data FROM fleet WHERE metric = ? AND hour_ms >= ? AND hour_ms < ?",
        (metric, first, end_ms),
    )
    for hour_ms, shard, data in rows:
        try:
            hour = decode_fleet(data)
        except WireError as error:
            raise DataFolderError(
                f"the fleet's roll-up of {hour_ms} is damaged: {error.message}",
                remedy="Restore the hub's folder from a backup; other hours and single devices can be read.",
            ) from error
        columns: FleetHour | tuple[Any, ...] = hour
        if chosen is not None:
            known = masks.get(shard)
            if known is None or known[0] != hour.series:
                known = masks[shard] = (hour.series, [number in chosen for number in hour.series])
            columns = tuple(list(compress(column, known[1])) for column in hour)
        _, count, low, high, total = columns
        if count:
            yield Rollup(hour_ms, sum(count), min(low), max(high), sum(total))


def _hot_hours(shelf: Shelf, metric: int, chosen: Collection[int] | None, first: int, end_ms: int) -> Iterable[Rollup]:
    where = "FROM hot_hour WHERE metric = ? AND hour_ms >= ? AND hour_ms < ? AND low IS NOT NULL"
    place = (metric, first, end_ms)
    if chosen is None:
        rows = shelf.connection.execute(
            f"SELECT hour_ms, sum(count), min(low), max(high), coalesce(sum(total), 0.0) {where} GROUP BY hour_ms",
            place,
        )
        yield from (Rollup(*row) for row in rows)
        return
    for hour_ms, series, count, low, high, total in shelf.connection.execute(
        f"SELECT hour_ms, series, count, low, high, coalesce(total, 0.0) {where}", place
    ):
        if series in chosen:
            yield Rollup(hour_ms, count, low, high, total)


def _added(hour_ms: int, points: Points) -> Rollup:
    values: Any = points.values
    return Rollup(hour_ms, len(points), min(values), max(values), sum(values))


def _bucket(start_ms: int, sums: list[float]) -> FleetBucket:
    each: Bucket = bucket(start_ms, sums)
    # A sum that leaves the doubles is not a number that a chart can draw.
    total = sums[3] if math.isfinite(sums[3]) else math.copysign(1.7976931348623157e308, sums[3])
    return FleetBucket(each.start_ms, each.count, each.low, each.high, total, each.mean)
