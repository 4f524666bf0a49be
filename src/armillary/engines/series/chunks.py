# SPDX-License-Identifier: Apache-2.0
"""How the values of one series in one hour are packed.

::

    numbers and truth values   (f64 time, f64 value)*            16 bytes a value; a truth value is 0.0 or 1.0
    texts                      (f64 time, u32 length, UTF-8)*

All little endian; time is Unix milliseconds (exact in a double until the year 287396). Values stand in the order
of arrival: readers sort. Packed values can be appended to by concatenation, which is how an hour grows.
"""

from __future__ import annotations

import enum
import struct
import sys
from array import array

_TEXT_HEAD = struct.Struct("<dI")

HOUR_MS = 3_600_000


class Kind(enum.IntEnum):
    """What a series holds. The values are kept in storage: never renumber."""

    NUMBER = 0
    BOOLEAN = 1
    TEXT = 2


def pack_numbers(values: array[float]) -> bytes:
    """Pack ``time, value, time, value, ...``."""
    if sys.byteorder == "big":
        values = array("d", values)
        values.byteswap()
    return values.tobytes()


def unpack_numbers(data: bytes) -> array[float]:
    """``time, value, time, value, ...`` of a packed chunk."""
    values = array("d")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def pack_texts(values: list[tuple[int, str]]) -> bytes:
    """Pack ``(time, text)`` pairs."""
    out = bytearray()
    for at_ms, text in values:
        raw = text.encode("utf-8")
        out += _TEXT_HEAD.pack(at_ms, len(raw)) + raw
    return bytes(out)


def unpack_texts(data: bytes) -> list[tuple[int, str]]:
    """``(time, text)`` pairs of a packed chunk."""
    found: list[tuple[int, str]] = []
    at = 0
    while at < len(data):
        at_ms, length = _TEXT_HEAD.unpack_from(data, at)
        at += _TEXT_HEAD.size
        found.append((int(at_ms), data[at : at + length].decode("utf-8")))
        at += length
    return found
