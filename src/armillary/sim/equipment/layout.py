# SPDX-License-Identifier: Apache-2.0
"""Lays a simulated machine's values out as its profile says: in Modbus tables and in payloads of frames.

Written beside the guard's decoder and not with it, so that each is the other's control: a wrong order of words in one
of them shows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final

from armillary.wire.equipment.profile import RAW_KINDS, FrameField, Profile, RawKind
from armillary.wire.equipment.reading import Value

WORD_BYTES: Final = 2


def raw_of(kind: RawKind, value: Value, scale: float, offset: float = 0.0) -> int | float:
    """The raw number of a value: the nearest that there is, at the end of the range where the value is beyond it."""
    number = (float(value) - offset) / scale
    if kind.code in ("f", "d"):
        return number
    if not math.isfinite(number):
        return int(kind.minimum)
    return int(min(max(round(number), kind.minimum), kind.maximum))


def words_of(raw: str, value: Value, scale: float, offset: float = 0.0) -> list[int]:
    """A value as Modbus registers; a single byte fills the low half of one, a single bit is 0 or 1."""
    kind = RAW_KINDS[raw]
    number = raw_of(kind, value, scale, offset)
    if kind.size < WORD_BYTES:
        return [int(number) & 0xFFFF]
    data = struct.pack(">" + kind.code, number)
    words = [high << 8 | low for high, low in zip(data[::2], data[1::2], strict=True)]
    return words[::-1] if kind.swapped else words


def value_of(raw: str, words: list[int], scale: float, offset: float = 0.0) -> float:
    """What was written into Modbus registers."""
    kind = RAW_KINDS[raw]
    if kind.size < WORD_BYTES:
        low = words[0] & 0xFF
        number: float = low - 0x100 if kind.code == "b" and low & 0x80 else low
    else:
        ordered = words[::-1] if kind.swapped else words
        number = struct.unpack(">" + kind.code, b"".join(word.to_bytes(2, "big") for word in ordered))[0]
    return number * scale + offset


def word_count(raw: str) -> int:
    """How many registers a value fills."""
    return max(RAW_KINDS[raw].size // WORD_BYTES, 1)


def field_bytes(raw: str, value: Value, scale: float, offset: float = 0.0) -> bytes:
    """A value as the bytes of a frame; the least significant comes first where the kind is swapped."""
    kind = RAW_KINDS[raw]
    if kind.size == 0:
        return bytes([int(bool(value))])
    data = struct.pack(">" + kind.code, raw_of(kind, value, scale, offset))
    return data[::-1] if kind.swapped else data


def field_value(raw: str, data: bytes, scale: float, offset: float = 0.0) -> float:
    """What came as the bytes of a frame."""
    kind = RAW_KINDS[raw]
    number: float = (
        data[0] if kind.size == 0 else struct.unpack(">" + kind.code, data[::-1] if kind.swapped else data)[0]
    )
    return number * scale + offset


def payload(profile: Profile, name: str, values: Mapping[str, Value]) -> tuple[int, bytes]:
    """Kind and payload of the frame of a name, from a machine's values."""
    frame = next(each for each in profile.frames if each.name == name)
    made = bytearray(frame.length)
    for point in profile.all_points:
        if isinstance(point.address, FrameField) and point.address.frame == frame.kind:
            data = field_bytes(point.raw, values.get(point.name, 0), point.scale, point.offset)
            made[point.address.offset : point.address.offset + len(data)] = data
    return frame.kind, bytes(made)
