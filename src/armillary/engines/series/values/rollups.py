# SPDX-License-Identifier: Apache-2.0
"""Roll-ups: count, lowest, highest, total, first and last of a minute or an hour of one series; an hour of many series.

::

    minutes = u8 version (1), u32 CRC-32 of what follows, u8 how many (n, 1 to 60), deflated:
              u8 minute of the hour * n, a column of counts, and, but for texts, columns of
              lowest, highest, total, first, last; only of the lowest where every count is 1

    fleet   = u8 version (1), u32 CRC-32 of what follows, u32 how many (n),
              u32 series number * n ascending, u32 count * n, f64 lowest * n, f64 highest * n, f64 total * n

All little endian. ``fleet`` is not compressed: a dashboard adds up its columns as they are.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from armillary.engines.series.values.chunks import HOUR_MS, Points, picked
from armillary.engines.series.values.columns import (
    FORMAT,
    ColumnReader,
    deflate,
    from_little,
    inflate,
    pack_doubles,
    pack_integers,
    to_little,
)
from armillary.errors import WireError

VERSION = 1
MINUTE_MS = 60_000
# An hour is sealed this long after its end: what comes within it does not count as late.
ALLOWED_LATENESS_MS = 5 * 60_000
_CHECKED_FROM = 5


class Rollup(NamedTuple):
    """A stretch of time of one series; the values are 0 for texts."""

    start_ms: int
    points: int  # Packets in ``data``
    low: float = 0.0
    high: float = 0.0
    total: float = 0.0
    first: float = 0.0  # In time, not in size
    last: float = 0.0


class FleetHour(NamedTuple):
    """One hour of many series, as columns."""

    series: array[int]
    points: array[int]
    low: array[float]
    high: array[float]
    total: array[float]


def minutes_of(points: Points) -> list[Rollup]:
    """The minutes of points that are in order of time."""
    times, values = points.times, points.values
    found: list[Rollup] = []
    at, end = 0, len(times)
    while at < end:
        start = times[at] - times[at] % MINUTE_MS
        following = at + 1
        if following < end and times[following] < start + MINUTE_MS:
            following = bisect_left(times, start + MINUTE_MS, at, end)
        if isinstance(values, list):
            found.append(Rollup(start, following - at))
        elif following == at + 1:
            value = values[at]
            found.append(Rollup(start, 1, value, value, value, value, value))
        else:
            part = values[at:following]
            found.append(Rollup(start, len(part), min(part), max(part), sum(part), part[0], part[-1]))
        at = following
    return found


def folded(start_ms: int, parts: Iterable[Rollup]) -> Rollup:
    """Several stretches, in order of time, as one."""
    several = list(parts)
    return Rollup(
        start_ms,
        sum(each.points for each in several),
        min(each.low for each in several),
        max(each.high for each in several),
        sum(each.total for each in several),
        several[0].first,
        several[-1].last,
    )


def merged(known: Iterable[Rollup], more: Iterable[Rollup]) -> list[Rollup]:
    """Minutes without points (past their retention), merged with minutes of points that came later."""
    found = {each.start_ms: each for each in known}
    for each in more:
        before = found.get(each.start_ms)
        found[each.start_ms] = each if before is None else folded(each.start_ms, (before, each))
    return [found[start] for start in sorted(found)]


def encode_minutes(hour_ms: int, minutes: list[Rollup], *, text: bool) -> bytes:
    """The minutes of one hour, in order."""
    counts = [each.points for each in minutes]
    body = bytes((each.start_ms - hour_ms) // MINUTE_MS for each in minutes) + pack_integers(counts)
    if not text:
        single = max(counts) == 1
        for column in range(2, 3 if single else 7):
            body += pack_doubles(array("d", [each[column] for each in minutes]))
    rest = bytes((len(minutes),)) + deflate(body)
    return struct.pack("<BI", VERSION, zlib.crc32(rest)) + rest


def decode_minutes(hour_ms: int, data: bytes, *, text: bool) -> list[Rollup]:
    """The minutes that :func:`encode_minutes` packed.

    Raises:
        WireError: damaged, or of a version that this program does not know.
    """
    rest = _checked(data, "minutes")
    count = rest[0]
    cursor = ColumnReader(inflate(bytes(rest[1:])))
    starts = [hour_ms + minute * MINUTE_MS for minute in cursor.take(count)]
    counts = cursor.integers(count)
    if text:
        return [Rollup(start, number) for start, number in zip(starts, counts, strict=True)]
    columns = [cursor.doubles(count)]
    if max(counts) == 1:
        columns *= 5
    else:
        columns += [cursor.doubles(count) for _ in range(4)]
    return [Rollup(*each) for each in zip(starts, counts, *columns, strict=True)]


def encode_fleet(hours: Mapping[int, tuple[int, float, float, float]]) -> bytes:
    """``series -> (count, lowest, highest, total)`` of one hour."""
    order = sorted(hours)
    rows = [hours[series] for series in order]
    rest = struct.pack("<I", len(order)) + to_little(array("I", order))
    rest += to_little(array("I", [row[0] for row in rows]))
    for column in (1, 2, 3):
        rest += to_little(array("d", [row[column] for row in rows]))
    return struct.pack("<BI", VERSION, zlib.crc32(rest)) + rest


def fleet_sums(hours: Mapping[int, tuple[int, float, float, float]]) -> tuple[int, float, float, float]:
    """Count, lowest, highest and total of all series of one hour."""
    count, low, high, total = zip(*hours.values(), strict=True)
    return sum(count), min(low), max(high), sum(total)


def decode_fleet(data: bytes) -> FleetHour:
    """The columns that :func:`encode_fleet` packed.

    Raises:
        WireError: damaged, or of a version that this program does not know.
    """
    rest = _checked(data, "fleet hour")
    (count,) = struct.unpack_from("<I", rest)
    at = [4, 4 + 4 * count, 4 + 8 * count, 4 + 16 * count, 4 + 24 * count, 4 + 32 * count]
    if len(rest) != at[5]:
        raise WireError(FORMAT, expected=f"{at[5]} bytes", got=str(len(rest)))
    columns = [from_little(code, rest[at[n] : at[n + 1]]) for n, code in enumerate("IIddd")]
    return FleetHour(*columns)


def hour_of(at_ms: int) -> int:
    """The beginning of the hour that a moment is in."""
    return at_ms - at_ms % HOUR_MS


def by_hour(points: Points) -> Iterator[tuple[int, Points]]:
    """The points, split by hour."""
    times, values = points.times, points.values
    grouped: dict[int, list[int]] = {}
    for index, at_ms in enumerate(times):
        grouped.setdefault(hour_of(at_ms), []).append(index)
    for hour_ms, indexes in grouped.items():
        marks = {new: points.marks[old] for new, old in enumerate(indexes) if old in points.marks}
        yield hour_ms, Points([times[index] for index in indexes], picked(values, indexes), marks)


def _checked(data: bytes, what: str) -> memoryview:
    if len(data) <= _CHECKED_FROM or data[0] != VERSION:
        raise WireError(FORMAT, expected=f"{what} version {VERSION}", got=data[:1].hex() or "nothing")
    rest = memoryview(data)[_CHECKED_FROM:]
    if zlib.crc32(rest) != struct.unpack_from("<I", data, 1)[0]:
        raise WireError(FORMAT, expected="what its checksum covers", got="changed bytes")
    return rest
