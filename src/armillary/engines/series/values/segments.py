# SPDX-License-Identifier: Apache-2.0
"""The hot segment: the points of one flush in one hour and one shard of series, in order of arrival.

::

    segment = u8   version (1)
              u32  CRC-32 of what follows
              u32  how many series (n)
              u32  series number * n, ascending
              u32  end of the series' points in the body * n
              ...  the body: of each series
                       u8 kind, u32 count, i64 time * count, then
                       f64 value * count   or, of texts,   u32 length * count and the texts in UTF-8
                       and the marks as in a chunk

All little endian. Not compressed: it lives for an hour. Writing one is an append of one row, whatever the number of
points; finding one series in it is a bisection.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from armillary.engines.series.values.chunks import Points, ValueKind, pack_marks, unpack_marks
from armillary.engines.series.values.columns import FORMAT, ColumnReader, from_little, to_little
from armillary.errors import WireError

_HEAD = struct.Struct("<BII")
_CHECKED_FROM = 5
_SERIES = struct.Struct("<BI")
# A series' part of one number without a mark: what most flushes bring of most series.
_SINGLE = struct.Struct("<BIqdI")

VERSION = 1

# Series of one shard: what is sealed in one transaction, some fifty milliseconds of work.
SERIES_PER_SHARD = 256


def shard_of(series: int) -> int:
    """The shard of a series."""
    return series // SERIES_PER_SHARD


def encode_segment(items: Sequence[tuple[int, ValueKind, Points]]) -> bytes:
    """A segment of ``(series, kind, points)``, ascending by series."""
    ends = array("I")
    body = bytearray()
    times: Sequence[int] = ()
    packed = b""
    for _, kind, points in items:
        if points.times is not times:  # series of one table have theirs in common
            times = points.times
            packed = to_little(array("q", times))
        body += _SERIES.pack(kind, len(points)) + packed
        if isinstance(points.values, list):
            raw = [text.encode("utf-8") for text in points.values]
            body += to_little(array("I", [len(each) for each in raw])) + b"".join(raw)
        else:
            body += to_little(points.values)
        body += pack_marks(points.marks)
        ends.append(len(body))
    index = to_little(array("I", [series for series, _, _ in items])) + to_little(ends)
    rest = struct.pack("<I", len(items)) + index + body
    return struct.pack("<BI", VERSION, zlib.crc32(rest)) + rest


class Segment:
    """An opened segment.

    Raises:
        WireError: damaged, or of a version that this program does not know.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEAD.size:
            raise WireError(FORMAT, expected=f"{_HEAD.size} bytes or more", got=str(len(data)))
        version, checksum, count = _HEAD.unpack_from(data)
        if version != VERSION:
            raise WireError(FORMAT, expected=f"segment version {VERSION}", got=str(version))
        if zlib.crc32(memoryview(data)[_CHECKED_FROM:]) != checksum:
            raise WireError(FORMAT, expected="what its checksum covers", got="changed bytes")
        middle = _HEAD.size + 4 * count
        self._data = data
        self._series: array[int] = from_little("I", memoryview(data)[_HEAD.size : middle])
        self._ends: array[int] = from_little("I", memoryview(data)[middle : middle + 4 * count])
        self._body = middle + 4 * count

    def find(self, series: int) -> Points | None:
        """The points of one series; None when there are none."""
        at = bisect_left(self._series, series)
        return self._points(at)[1] if at < len(self._series) and self._series[at] == series else None

    def __iter__(self) -> Iterator[tuple[int, ValueKind, Points]]:
        for at, series in enumerate(self._series):
            kind, points = self._points(at)
            yield series, kind, points

    def pour(self, gathered: dict[int, tuple[ValueKind, Points]]) -> None:
        """Append every series' points to ``gathered``; used by sealing, so it is written for speed."""
        data, begin = self._data, self._body
        for series, end in zip(self._series, self._ends, strict=True):
            at, begin = begin, self._body + end
            known = gathered.get(series)
            if known is not None and begin - at == _SINGLE.size and known[0] is not ValueKind.TEXT:
                _, _, at_ms, value, _ = _SINGLE.unpack_from(data, at)
                known[1].times.append(at_ms)
                known[1].values.append(value)
                continue
            kind, points = self._part(at, begin)
            if known is None:
                points.times = list(points.times)
                gathered[series] = (kind, points)
                continue
            before = known[1]
            if points.marks:
                shifted = {index + len(before): mark for index, mark in points.marks.items()}
                before.marks = {**before.marks, **shifted}
            before.times.extend(points.times)
            before.values.extend(points.values)  # type: ignore[arg-type]  # of one kind

    def _points(self, at: int) -> tuple[ValueKind, Points]:
        return self._part(self._body + (self._ends[at - 1] if at else 0), self._body + self._ends[at])

    def _part(self, begin: int, end: int) -> tuple[ValueKind, Points]:
        cursor = ColumnReader(self._data[begin:end])
        kind, count = _SERIES.unpack(cursor.take(_SERIES.size))
        times: array[int] = from_little("q", cursor.take(8 * count))
        values: array[float] | list[str]
        if kind == ValueKind.TEXT:
            sizes: array[int] = from_little("I", cursor.take(4 * count))
            values = [cursor.take(size).decode("utf-8") for size in sizes]
        else:
            values = from_little("d", cursor.take(8 * count))
        return ValueKind(kind), Points(times, values, unpack_marks(cursor))
