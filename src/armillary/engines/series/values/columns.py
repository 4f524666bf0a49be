# SPDX-License-Identifier: Apache-2.0
"""Packed columns of numbers, which chunks and roll-ups are made of.

A column is written as bytes that compress well and are read back without a loop of Python per value::

    integers   u8 width (0, 1, 2, 4, 8), then the numbers: width 0 is one u64, the value of all,
               otherwise byte planes: all lowest bytes, then all second bytes, ...
    deltas     integers: the difference of each number to the one before, zigzag (0, -1, 1, -2 -> 0, 1, 2, 3)
    doubles    u8 digits: 0 to 6 = the values times 10^digits are whole, an i64 and the deltas follow;
               255 = byte planes of the IEEE 754 doubles

All little endian. Fixed width with planes in front of DEFLATE is as small as a varint on telemetry and needs no loop.
Minus zero comes back as zero.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, islice
from operator import sub

from armillary.errors import WireError

_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FIRST = struct.Struct("<q")
_SAME = struct.Struct("<Q")

# Decimal digits tried: sensors give two or three, money and coordinates six.
MAX_DIGITS = 6
RAW = 255
# Beyond it not every whole number is a double.
_EXACT = 1 << 53

# Shorter than this nothing is gained by DEFLATE.
MIN_DEFLATE_BYTES = 40

FORMAT = "series-chunk"


def to_little(values: array[float] | array[int]) -> bytes:
    """Bytes of an array, little endian."""
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def from_little(code: str, data: bytes | memoryview) -> array:  # type: ignore[type-arg]  # the code says which
    """The array of these little endian bytes."""
    values = array(code)
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


class ColumnReader:
    """Reads a packed body from the front.

    Raises:
        WireError: from every method, when the body is shorter than what it announces.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        """The next bytes."""
        end = self._at + length
        if end > len(self._data):
            raise WireError(FORMAT, expected=f"{length} bytes", got=f"{len(self._data) - self._at}", offset=self._at)
        part = self._data[self._at : end]
        self._at = end
        return part

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def integers(self, count: int) -> array[int]:
        """A column of whole numbers, none below zero."""
        width = self.byte()
        if width == 0:
            return array("Q", _SAME.unpack(self.take(8)) * count)
        if width not in _FORMATS:
            raise WireError(FORMAT, expected="a width of 0, 1, 2, 4 or 8", got=str(width), offset=self._at)
        return from_little(_FORMATS[width], _joined_planes(self.take(width * count), width))

    def running(self, first: int, count: int) -> list[int]:
        """``count`` numbers from ``first`` on, given by a column of deltas."""
        if count == 0:
            return []
        steps = ((step >> 1) ^ -(step & 1) for step in self.integers(count - 1))
        return list(accumulate(steps, initial=first))

    def doubles(self, count: int) -> array[float]:
        """A column of doubles."""
        digits = self.byte()
        if digits == RAW:
            return from_little("d", _joined_planes(self.take(8 * count), 8))
        if digits > MAX_DIGITS:
            raise WireError(FORMAT, expected=f"at most {MAX_DIGITS} digits", got=str(digits), offset=self._at)
        (first,) = _FIRST.unpack(self.take(8))
        scale = 10**digits
        return array("d", [number / scale for number in self.running(first, count)])


def pack_integers(values: Sequence[int]) -> bytes:
    """A column of whole numbers from 0 to 2^64 - 1."""
    if not values:
        return b"\0" + bytes(8)
    low, high = min(values), max(values)
    if low == high:
        return b"\0" + _SAME.pack(high)
    width = 1 if high < 1 << 8 else 2 if high < 1 << 16 else 4 if high < 1 << 32 else 8
    return bytes((width,)) + _planes(to_little(array(_FORMATS[width], values)), width)


def pack_running(values: Sequence[int]) -> bytes:
    """The deltas of ``values``; the first value is the caller's to keep."""
    steps = map(sub, islice(values, 1, None), values)
    return pack_integers([step << 1 if step >= 0 else -(step << 1) - 1 for step in steps])


def pack_doubles(values: array[float]) -> bytes:
    """A column of finite doubles."""
    for digits in range(MAX_DIGITS + 1):
        whole = _as_whole(values, 10**digits)
        if whole is not None:
            return bytes((digits,)) + _FIRST.pack(whole[0] if whole else 0) + pack_running(whole)
    return bytes((RAW,)) + _planes(to_little(values), 8)


def deflate(data: bytes) -> bytes:
    """``u8 1`` and the data compressed (RFC 1951), or ``u8 0`` and the data where that is shorter."""
    if len(data) >= MIN_DEFLATE_BYTES:
        window = max(9, min(15, len(data).bit_length()))
        packer = zlib.compressobj(6, zlib.DEFLATED, -window, min(8, window - 7 + 1))
        packed = packer.compress(data) + packer.flush()
        if len(packed) < len(data):
            return b"\1" + packed
    return b"\0" + data


def inflate(data: bytes) -> bytes:
    """The data that :func:`deflate` packed.

    Raises:
        WireError: not such data.
    """
    if data[:1] == b"\0":
        return data[1:]
    try:
        return zlib.decompress(data[1:], -15)
    except zlib.error as error:
        raise WireError(FORMAT, expected="DEFLATE", got=str(error)) from error


def _as_whole(values: array[float], scale: int) -> list[int] | None:
    try:
        for value in islice(values, 4):  # most series that are not decimal say so at once
            if abs(value) * scale >= _EXACT or round(value * scale) / scale != value:
                return None
        if values and (max(values) * scale >= _EXACT or min(values) * scale <= -_EXACT):
            return None
        whole = [round(value * scale) for value in values]
    except (ValueError, OverflowError):  # a sum that is not finite
        return None
    return whole if all(number / scale == value for number, value in zip(whole, values, strict=True)) else None


def _planes(data: bytes, width: int) -> bytes:
    return data if width == 1 else b"".join(data[plane::width] for plane in range(width))


def _joined_planes(data: bytes, width: int) -> bytes:
    if width == 1:
        return data
    count = len(data) // width
    joined = bytearray(len(data))
    for plane in range(width):
        joined[plane::width] = data[plane * count : (plane + 1) * count]
    return bytes(joined)
