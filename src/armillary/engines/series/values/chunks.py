# SPDX-License-Identifier: Apache-2.0
"""Points of one series, and the chunk: the points of one series in one hour, in order of time, compressed.

::

    chunk = u8   version (1)
            u8   kind (0 number, 1 truth value, 2 text)
            u32  CRC-32 of what follows, begun with the kind
            u32  count
            i64  time of the first, Unix milliseconds
            ...  deflated (columns.py): the deltas of the times; then
                 numbers and truth values   a column of doubles (truth values are 0 and 1)
                 texts                      a column of lengths in bytes, the texts in UTF-8
                 and the marks              u32 how many, then their indexes and marks as u32, u64 pairs

All little endian. A mark is 64 bits of a message id's hash: two equal values of the same moment from messages with
different ids are two. Points without a message id have no mark.
"""

from __future__ import annotations

import enum
import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import NamedTuple

from armillary.engines.series.values.columns import (
    FORMAT,
    ColumnReader,
    deflate,
    inflate,
    pack_doubles,
    pack_integers,
    pack_running,
)
from armillary.errors import WireError

_HEAD = struct.Struct("<BBIIq")
_CHECKED_FROM = 6
_MARK = struct.Struct("<IQ")
_COUNT = struct.Struct("<I")

VERSION = 1
HOUR_MS = 3_600_000


class ValueKind(enum.IntEnum):
    """The kind of values in a series. The numbers are stored: never change them."""

    NUMBER = 0
    BOOLEAN = 1
    TEXT = 2


class SeriesKey(NamedTuple):
    """A series: the values of one device under one name and of one kind."""

    number: int
    device: int  # Its number
    metric: int  # Number of its name
    kind: ValueKind


@dataclass(slots=True, eq=False)
class Points:
    """Points of one series."""

    times: list[int] | array[int]  # Unix milliseconds
    values: array[float] | list[str]  # As many: an array of doubles (truth values are 0 and 1), or a list of texts
    marks: Mapping[int, int] = field(default_factory=dict)  # Index -> mark of the points whose message had an id

    def __len__(self) -> int:
        return len(self.times)


def in_order(parts: Iterable[Points], *, text: bool = False) -> tuple[Points, int]:
    """All points in order of time, each once, and how many duplicates were left out.

    Two points are the same when time, value and mark are. Different points of one moment stay in order of arrival.
    """
    times: list[int] = []
    texts: list[str] = []
    numbers = array("d")
    values: list[str] | array[float] = texts if text else numbers
    marks: dict[int, int] = {}
    for part in parts:
        if part.marks:
            marks.update({index + len(times): mark for index, mark in part.marks.items()})
        times.extend(part.times)
        values.extend(part.values)  # type: ignore[arg-type]  # one kind a series
    if all(map(lt, times, islice(times, 1, None))):
        return Points(times, values, marks), 0
    order = sorted(range(len(times)), key=times.__getitem__)
    kept: list[int] = []
    at, seen = -1, set[object]()
    for index in order:
        if times[index] != at:
            at = times[index]
            seen.clear()
        point = (values[index], marks.get(index, 0))
        if point not in seen:
            seen.add(point)
            kept.append(index)
    moved = {new: marks[old] for new, old in enumerate(kept) if old in marks} if marks else {}
    return Points([times[index] for index in kept], picked(values, kept), moved), len(times) - len(kept)


def picked(values: array[float] | list[str], indexes: Iterable[int]) -> array[float] | list[str]:
    """The values of some indexes, in the same column type."""
    if isinstance(values, list):
        return [values[index] for index in indexes]
    return array("d", [values[index] for index in indexes])


def encode_chunk(kind: ValueKind, points: Points) -> bytes:
    """The chunk of these points, which must be in order and at least one."""
    body = [pack_running(points.times)]
    if isinstance(points.values, list):
        raw = [text.encode("utf-8") for text in points.values]
        body += [pack_integers([len(each) for each in raw]), *raw]
    else:
        body.append(pack_doubles(points.values))
    body.append(pack_marks(points.marks))
    packed = deflate(b"".join(body))
    rest = struct.pack("<Iq", len(points), points.times[0]) + packed
    return struct.pack("<BBI", VERSION, kind, zlib.crc32(rest, kind)) + rest


def decode_chunk(data: bytes) -> Points:
    """The points of a chunk, in order of time.

    Raises:
        WireError: damaged, or of a version that this program does not know.
    """
    if len(data) <= _HEAD.size:
        raise WireError(FORMAT, expected=f"more than {_HEAD.size} bytes", got=f"{len(data)}")
    version, kind, checksum, count, first = _HEAD.unpack_from(data)
    if version != VERSION:
        raise WireError(FORMAT, expected=f"version {VERSION}", got=str(version))
    if zlib.crc32(data[_CHECKED_FROM:], kind) != checksum:
        raise WireError(FORMAT, expected="what its checksum covers", got="changed bytes")
    cursor = ColumnReader(inflate(data[_HEAD.size :]))
    times = cursor.running(first, count)
    if kind == ValueKind.TEXT:
        values: array[float] | list[str] = [cursor.take(size).decode("utf-8") for size in cursor.integers(count)]
    else:
        values = cursor.doubles(count)
    return Points(times, values, unpack_marks(cursor))


def pack_marks(marks: Mapping[int, int]) -> bytes:
    """The number of marks, then each with its index."""
    return _COUNT.pack(len(marks)) + b"".join(_MARK.pack(index, mark) for index, mark in sorted(marks.items()))


def unpack_marks(cursor: ColumnReader) -> dict[int, int]:
    """The marks that :func:`pack_marks` packed.

    Raises:
        WireError: cut short.
    """
    (count,) = _COUNT.unpack(cursor.take(_COUNT.size))
    return dict(_MARK.iter_unpack(cursor.take(_MARK.size * count))) if count else {}
