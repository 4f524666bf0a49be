# SPDX-License-Identifier: Apache-2.0
"""One series in one snapshot of the database, hour by hour: from chunk, hot segments and tail together.

All reads go through here, so that a point is found wherever it is stored at that moment, and counted once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from armillary.engines.database.port import Connection
from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey, ValueKind, decode_chunk, in_order
from armillary.engines.series.values.rollups import Rollup, by_hour, decode_minutes, folded, hour_of, merged, minutes_of
from armillary.engines.series.values.segments import Segment, shard_of
from armillary.errors import DataFolderError, WireError

# The hours of the range are listed and looked up, instead of reading every series of every hour.
_SEALED = """
WITH RECURSIVE span (h) AS (SELECT ?1 UNION ALL SELECT h + 3600000 FROM span WHERE h + 3600000 < ?2)
SELECT h, count, low, high, coalesce(total, 0.0), first, last,
    EXISTS (SELECT 1 FROM chunk WHERE chunk.hour_ms = h AND chunk.series = ?3)
FROM span JOIN rollup ON rollup.hour_ms = h AND rollup.series = ?3 ORDER BY h
"""

_ENDS = tuple(
    f"SELECT {end}(hour_ms) FROM {table}"  # noqa: S608 - constants
    for table in ("rollup", "hot")
    for end in ("min", "max")
)

# Shards of an hour whose hot segments are kept open by one reader: those of a group of devices that began together.
MAX_OPEN_SHARDS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Hour:
    """The parts of a series in one hour."""

    sealed: Rollup | None  # None when the hour is not sealed yet
    raw: bool  # Whether the points of what is sealed are there: they may be past their retention
    hot: int  # Points in hot segments
    tail: tuple[Points, ...]

    @property
    def count(self) -> int:
        """Upper limit of the number of points: duplicates are counted here."""
        return (self.sealed.points if self.sealed else 0) + self.hot + sum(map(len, self.tail))

    @property
    def is_sealed(self) -> bool:
        """Whether the roll-up is complete."""
        return not self.hot and not self.tail


class Shelf:
    """A snapshot of the database (a connection in a read transaction) to read hours from; it caches hot segments."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._segments: dict[tuple[int, int], list[Segment]] = {}

    def bounds(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The hours of the range for which the database has data: the first, and one past the last."""
        # Each by itself: SQLite finds one end of a key at once, and reads everything for both in one query.
        ends = [self.connection.execute(query).fetchone()[0] for query in _ENDS]
        low, high = (choose([each for each in ends if each is not None], default=None) for choose in (min, max))
        if low is None or high is None:
            return end_ms, start_ms
        return max(hour_of(start_ms), low), min(end_ms, high + HOUR_MS)

    def hours(self, key: SeriesKey, tail: Iterable[Points], start_ms: int, end_ms: int) -> dict[int, Hour]:
        """The hours of a series that touch the range, in order."""
        first, end = self.bounds(start_ms, end_ms)
        sealed: dict[int, tuple[Rollup, bool]] = {}
        hot: dict[int, int] = {}
        if first < end:
            for hour_ms, count, low, high, total, opening, closing, raw in self.connection.execute(
                _SEALED, (first, end, key.number)
            ):
                sums = (0.0,) * 5 if key.kind is ValueKind.TEXT else (low, high, total, opening, closing)
                sealed[hour_ms] = Rollup(hour_ms, count, *sums), bool(raw)
            hot = dict(
                self.connection.execute(
                    "SELECT hour_ms, count FROM hot_hour"
                    " WHERE metric = ? AND hour_ms >= ? AND hour_ms < ? AND series = ?",
                    (key.metric, first, end, key.number),
                )
            )
        fresh: dict[int, list[Points]] = {}
        for part in tail:
            for hour_ms, points in by_hour(part):
                if start_ms - HOUR_MS < hour_ms < end_ms:
                    fresh.setdefault(hour_ms, []).append(points)
        return {
            hour_ms: Hour(rollup, raw, hot.get(hour_ms, 0), tuple(fresh.get(hour_ms, ())))
            for hour_ms in sorted({*sealed, *hot, *fresh})
            for rollup, raw in (sealed.get(hour_ms, (None, True)),)
        }

    def points(self, key: SeriesKey, hour_ms: int, hour: Hour) -> Points:
        """The points of a series in one hour, in order of time, equal ones once.

        Raises:
            DataFolderError: damaged.
        """
        parts: list[Points] = []
        try:
            if hour.sealed is not None and hour.raw:
                (data,) = self.connection.execute(
                    "SELECT data FROM chunk WHERE hour_ms = ? AND series = ?", (hour_ms, key.number)
                ).fetchone()
                parts.append(decode_chunk(data))
            if hour.hot:
                found = (segment.find(key.number) for segment in self._opened(hour_ms, shard_of(key.number)))
                parts += [points for points in found if points is not None]
        except WireError as error:
            raise DataFolderError(
                f"points of {hour_ms} (series {key.number}) are damaged: {error.message}",
                remedy="Restore the hub's folder from a backup; other hours and series can be read.",
            ) from error
        return in_order([*parts, *hour.tail], text=key.kind is ValueKind.TEXT)[0]

    def minutes(self, key: SeriesKey, hour_ms: int, hour: Hour) -> list[Rollup]:
        """The minutes of a series in one hour.

        Raises:
            DataFolderError: damaged.
        """
        if hour.sealed is None or (hour.raw and not hour.is_sealed):
            return minutes_of(self.points(key, hour_ms, hour))
        (data,) = self.connection.execute(
            "SELECT minutes FROM rollup WHERE hour_ms = ? AND series = ?", (hour_ms, key.number)
        ).fetchone()
        try:
            known = decode_minutes(hour_ms, data, text=key.kind is ValueKind.TEXT)
        except WireError as error:
            raise DataFolderError(
                f"the roll-up of {hour_ms} (series {key.number}) is damaged: {error.message}",
                remedy="Restore the hub's folder from a backup; other hours and series can be read.",
            ) from error
        if hour.is_sealed:
            return known
        return merged(known, minutes_of(self.points(key, hour_ms, hour)))

    def whole(self, key: SeriesKey, hour_ms: int, hour: Hour) -> Rollup:
        """A series in one hour.

        Raises:
            DataFolderError: damaged.
        """
        if hour.sealed is not None and hour.is_sealed:
            return hour.sealed
        return folded(hour_ms, self.minutes(key, hour_ms, hour))

    def _opened(self, hour_ms: int, shard: int) -> list[Segment]:
        place = (hour_ms, shard)
        segments = self._segments.get(place)
        if segments is None:
            if len(self._segments) >= MAX_OPEN_SHARDS:
                self._segments.clear()
            rows = self.connection.execute(
                "SELECT data FROM hot WHERE hour_ms = ? AND shard = ? ORDER BY number", place
            )
            segments = self._segments[place] = [Segment(data) for (data,) in rows]
        return segments


def between(points: Points, start_ms: int, end_ms: int) -> Points:
    """The points in a range, of points in order of time."""
    first, end = bisect_left(points.times, start_ms), bisect_left(points.times, end_ms)
    if (first, end) == (0, len(points)):
        return points
    marks = {index - first: mark for index, mark in points.marks.items() if first <= index < end}
    return Points(points.times[first:end], points.values[first:end], marks)
