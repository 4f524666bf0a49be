# SPDX-License-Identifier: Apache-2.0
"""Many devices at once: one metric over time added up over a group, and the latest values of a group.

Hours come from the fleet's columns (``rollups.py``), and for hours that are not sealed from the sums beside the hot
segments. Buckets of less than an hour need the minutes of every device, so they are used only when devices times hours
are few. Points that came twice are counted twice until their hour is sealed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey
from armillary.engines.series.values.hours import Shelf
from armillary.engines.series.values.query import bucket, bucket_width, gather
from armillary.engines.series.values.rollups import MINUTE_MS, Rollup, decode_fleet, hour_of
from armillary.engines.series.values.segments import shard_of
from armillary.errors import DataFolderError, WireError

# Devices times hours that are read minute by minute: about a quarter of a second.
MAX_DEVICE_HOURS = 2_000


@dataclass(frozen=True, slots=True)
class FleetBucket:
    """Values of a group of devices in one stretch of time."""

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


@dataclass(frozen=True, slots=True)
class Group:
    """The series of a query."""

    metric: int  # Number of its name
    series: Sequence[int]  # Numbers, ascending
    keys: Sequence[SeriesKey]  # The same, where they are few enough to be read one by one
    everything: bool  # Whether ``series`` are all of this name


def read_fleet(
    shelf: Shelf,
    group: Group,
    tail: Mapping[int, list[Points]],
    fresh: Sequence[Mapping[int, list[float]]],
    start_ms: int,
    end_ms: int,
    max_points: int,
) -> FleetRange:
    """One metric with ``start_ms <= time < end_ms`` (whole minutes and hours), added up over series of numbers.

    ``tail`` has the points of ``group.keys`` that are not in the database yet, by series number; ``fresh`` all such
    points, added up: ``hour -> [count, low, high, total]``.

    Raises:
        DataFolderError: damaged.
    """
    first, _ = shelf.bounds(start_ms, end_ms)
    first = min([first, *(hour_ms for hours in fresh for hour_ms in hours)])
    start = max(start_ms, first)
    if not group.series or start >= end_ms:
        return FleetRange(HOUR_MS, ())
    fine = group.keys and len(group.keys) * (-(-(end_ms - start) // HOUR_MS)) <= MAX_DEVICE_HOURS
    width = bucket_width(start, end_ms, max_points, MINUTE_MS if fine else HOUR_MS)
    gathered: dict[int, list[float]] = {}
    if width < HOUR_MS:
        for key in group.keys:
            for hour_ms, hour in shelf.hours(key, tail.get(key.number, ()), start, end_ms).items():
                minutes = shelf.minutes(key, hour_ms, hour)
                gather(gathered, (each for each in minutes if start_ms - MINUTE_MS < each.start_ms < end_ms), width)
    else:
        begin = hour_of(start)
        if group.everything:
            gather(gathered, _all_sealed(shelf, group.metric, begin, end_ms), width)
        else:
            gather(gathered, _sealed(shelf, group, begin, end_ms), width)
        gather(gathered, _hot_hours(shelf, group, begin, end_ms), width)
        for hours in fresh:
            parts = ((hour_ms, sums) for hour_ms, sums in hours.items() if begin <= hour_ms < end_ms)
            gather(gathered, (Rollup(hour_ms, int(sums[0]), *sums[1:]) for hour_ms, sums in parts), width)
    return FleetRange(width, tuple(_bucket(at, sums) for at, sums in sorted(gathered.items())))


def _all_sealed(shelf: Shelf, metric: int, first: int, end_ms: int) -> Iterable[Rollup]:
    rows = shelf.connection.execute(
        "SELECT hour_ms, CAST(sum(count) AS BIGINT), min(low), max(high), total(total) FROM fleet"
        " WHERE metric = ? AND hour_ms >= ? AND hour_ms < ? GROUP BY hour_ms",
        (metric, first, end_ms),
    )
    return (Rollup(*row) for row in rows)


def _sealed(shelf: Shelf, group: Group, first: int, end_ms: int) -> Iterable[Rollup]:
    chosen = frozenset(group.series)
    shards = sorted({shard_of(number) for number in group.series})
    picks: dict[int, tuple[array[int], Callable[[Any], Any] | None]] = {}  # shard -> its series, and who picks
    rows = shelf.connection.execute(
        "SELECT hour_ms, shard, data FROM fleet WHERE metric = ? AND hour_ms >= ? AND hour_ms < ?"
        " AND shard >= ? AND shard <= ?",
        (group.metric, first, end_ms, shards[0], shards[-1]),
    )
    for hour_ms, shard, data in rows:
        try:
            hour = decode_fleet(data)
        except WireError as error:
            raise DataFolderError(
                f"the fleet's roll-up of {hour_ms} is damaged: {error.message}",
                remedy="Restore the hub's folder from a backup; other hours and single devices can be read.",
            ) from error
        known = picks.get(shard)
        if known is None or known[0] != hour.series:
            known = picks[shard] = (hour.series, _picker(hour.series, chosen))
        pick = known[1]
        if pick is not None:
            yield Rollup(
                hour_ms, sum(pick(hour.points)), min(pick(hour.low)), max(pick(hour.high)), sum(pick(hour.total))
            )


def _picker(series: array[int], chosen: Collection[int]) -> Callable[[Any], Any] | None:
    """A function that takes the chosen series' values out of a column; None when there are none."""
    places = [place for place, number in enumerate(series) if number in chosen]
    if len(places) == len(series):
        return lambda column: column
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda column: (column[places[0]],)) if places else None


def _hot_hours(shelf: Shelf, group: Group, first: int, end_ms: int) -> Iterable[Rollup]:
    where = "FROM hot_hour WHERE metric = ? AND hour_ms >= ? AND hour_ms < ? AND low IS NOT NULL"
    place = (group.metric, first, end_ms)
    if group.everything:
        rows = shelf.connection.execute(
            f"SELECT hour_ms, CAST(sum(count) AS BIGINT), min(low), max(high), total(total) {where} GROUP BY hour_ms",
            place,
        )
        yield from (Rollup(*row) for row in rows)
        return
    chosen = frozenset(group.series)
    for hour_ms, series, count, low, high, total in shelf.connection.execute(
        f"SELECT hour_ms, series, count, low, high, coalesce(total, 0.0) {where}", place
    ):
        if series in chosen:
            yield Rollup(hour_ms, count, low, high, total)


def _bucket(start_ms: int, sums: list[float]) -> FleetBucket:
    each = bucket(start_ms, sums)
    # A sum that leaves the doubles is not a number that a chart can draw.
    total = sums[3] if math.isfinite(sums[3]) else math.copysign(1.7976931348623157e308, sums[3])
    return FleetBucket(each.start_ms, each.count, each.low, each.high, total, each.mean)
