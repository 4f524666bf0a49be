# SPDX-License-Identifier: Apache-2.0
"""Which raw numbers a field of a write may have, worked out once from engineering units.

A frame is judged by the number that is on the wire, so the range of a profile becomes a range of raw numbers here:
integers are rounded inwards with exact fractions (no value beyond a limit passes because of a rounding), and a limit
of a floating-point field is the nearest number that such a field can hold.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import RAW_KINDS, RawKind

FLOAT_CODES = ("f", "d")
WORD_BYTES = 2


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """Where and how one number stands in the data of a write."""

    offset: int  # Bytes from the start of the data
    code: str  # Of ``struct``, big-endian
    order: tuple[int, ...]  # Byte positions, most significant first, from ``offset``

    @property
    def size(self) -> int:
        """Bytes that the number takes."""
        return len(self.order)

    def encode(self, number: float) -> bytes:
        """Return the bytes of a number, in the order of the wire. Raises struct.error if it does not fit."""
        written = bytearray(self.size)
        for place, byte in zip(self.order, struct.pack(">" + self.code, number), strict=True):
            written[place] = byte
        return bytes(written)


@dataclass(frozen=True, slots=True)
class RawRange:
    """One number in the data of a write, and the raw numbers that it may be, both ends included."""

    layout: FieldLayout
    low: float  # Whole for integers; never NaN
    high: float
    unpack: struct.Struct = field(init=False, repr=False, compare=False)
    is_straight: bool = field(init=False, repr=False, compare=False)  # Most significant byte first, as struct reads

    def __post_init__(self) -> None:
        object.__setattr__(self, "unpack", struct.Struct(">" + self.layout.code))
        object.__setattr__(self, "is_straight", self.layout.order == tuple(range(self.layout.size)))

    def raw(self, data: bytes) -> float:
        """Return the number that stands there."""
        layout = self.layout
        if self.is_straight:
            return self.unpack.unpack_from(data, layout.offset)[0]  # type: ignore[no-any-return]  # struct has no types
        ordered = bytes([data[layout.offset + place] for place in layout.order])
        return self.unpack.unpack(ordered)[0]  # type: ignore[no-any-return]  # as above

    def holds(self, number: float) -> bool:
        """Return whether this number is allowed. NaN is not, nor is the zero with a sign, which no profile means."""
        return self.low <= number <= self.high and (number != 0 or math.copysign(1.0, number) > 0)


def register_layout(raw: str, offset: int = 0) -> FieldLayout:
    """Return how a raw kind is written to 16-bit registers.

    Raises:
        ProfileError: the kind is a single bit, which stands in coils, or a byte, whose other half nothing settles.
    """
    kind = RAW_KINDS[raw]
    if kind.size < WORD_BYTES:
        raise ProfileError("raw", expected="a kind that can be written to registers, such as u16 or i16", got=raw)
    order = list(range(kind.size))
    if kind.swapped:  # Words change places, bytes within a word do not
        order = [WORD_BYTES * word + byte for word in reversed(range(kind.size // WORD_BYTES)) for byte in (0, 1)]
    return FieldLayout(offset, kind.code, tuple(order))


def frame_layout(raw: str, offset: int = 0) -> FieldLayout:
    """Return how a raw kind stands in the payload of a frame: bytes, a bool as one byte."""
    kind = RAW_KINDS[raw]
    if kind.size == 0:
        return FieldLayout(offset, "B", (0,))
    order = range(kind.size)
    return FieldLayout(offset, kind.code, tuple(reversed(order)) if kind.swapped else tuple(order))


def raw_limits(raw: str, scale: float, offset: float, limits: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest raw number of a range in engineering units, cut to what the kind can hold.

    Raises:
        ProfileError: no raw number lies within the range, or a limit or the scale is not a finite number.
    """
    kind = RAW_KINDS[raw]
    if not all(math.isfinite(number) for number in (scale, offset, *limits)) or scale == 0:
        raise ProfileError(
            "range",
            expected="finite numbers and a scale that is not 0",
            got=f"scale {scale}, offset {offset}, limits {list(limits)}",
        )
    ends = sorted((_written(limit) - _written(offset)) / _written(scale) for limit in limits)
    if kind.code in FLOAT_CODES:
        low, high = _nearest(kind, ends[0]), _nearest(kind, ends[-1])
    else:
        low, high = max(math.ceil(ends[0]), int(kind.minimum)), min(math.floor(ends[-1]), int(kind.maximum))
    if low > high:
        raise ProfileError(
            "range", expected=f"a raw number ({raw}, scale {scale}) within the limits", got=f"limits {list(limits)}"
        )
    return low, high


def _written(number: float) -> Fraction:
    """The number as its author wrote it: 0.1 is one tenth, not the double beside it."""
    return Fraction(repr(float(number)))


def _nearest(kind: RawKind, number: Fraction) -> float:
    clipped = min(max(number, Fraction(kind.minimum)), Fraction(kind.maximum))
    held = struct.unpack(">" + kind.code, struct.pack(">" + kind.code, float(clipped)))[0]
    return float(held) + 0.0  # A limit of -0.0 is 0.0
