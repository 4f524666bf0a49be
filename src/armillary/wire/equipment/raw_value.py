# SPDX-License-Identifier: Apache-2.0
"""How one value is written on a wire, and read back: registers of Modbus, payloads of framed serial lines.

``value = raw * scale + offset``. In Modbus every word is big-endian and ``le`` kinds have the least significant word
first; in frames ``le`` kinds have the least significant byte first. A ``bool`` is a bit in Modbus and a byte, 0 or 1,
in frames.

Source: Modbus Application Protocol 1.1b3 §4.2; ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from armillary.wire.equipment.profile import RAW_KINDS, RawKind
from armillary.wire.equipment.reading import Value

WORD_BYTES: Final = 2
NOISE: Final = 1e-9  # Of a raw step: what binary fractions may add to a number
FLOAT_CODES: Final = frozenset("fd")
# How exactly a float of 32 bits keeps a value: half of its last digit, generously.
_FLOAT_DIGITS: Final = {"f": 6, "d": 14}


class UnwritableValueError(ValueError):
    """A value that has no form on the wire: of another type, not finite, or outside of the raw range."""


def size_of(raw: str, *, framed: bool) -> int:
    """Bytes of a value on the wire; 0 for a Modbus bit."""
    kind = RAW_KINDS[raw]
    return 1 if framed and not kind.code else kind.size


def words_of(raw: str) -> int:
    """Registers, or 1 for a bit."""
    return max(RAW_KINDS[raw].size // WORD_BYTES, 1)


def is_integer(raw: str) -> bool:
    """Whether raw values are whole numbers (bits are not)."""
    code = RAW_KINDS[raw].code
    return bool(code) and code not in FLOAT_CODES


def bounds_of(raw: str, scale: float, offset: float) -> tuple[float, float]:
    """The least and the greatest value that can be written."""
    kind = RAW_KINDS[raw]
    ends = (kind.minimum * scale + offset, kind.maximum * scale + offset)
    return min(ends), max(ends)


def encode_value(raw: str, value: Value, *, scale: float = 1.0, offset: float = 0.0, framed: bool = False) -> bytes:
    """The wire form of a value in engineering units, rounded to the nearest raw number.

    Raises:
        UnwritableValueError: not a finite number (or, of ``bool``, not a truth value), or outside of the raw range.
    """
    kind = RAW_KINDS[raw]
    if not kind.code:
        if not isinstance(value, bool):
            raise UnwritableValueError(f"{value!r:.40} is neither true nor false")
        return bytes([value])
    number = raw_number(kind, value, scale, offset)
    return ordered(struct.pack(f">{kind.code}", number), kind, framed=framed)


def raw_number(kind: RawKind, value: Value, scale: float, offset: float) -> int | float:
    """The raw number nearest to a value.

    Raises:
        UnwritableValueError: as encode_value.
    """
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
        raise UnwritableValueError(f"{value!r:.40} is no number")
    try:
        exact = (value - offset) / scale
    except OverflowError:
        exact = math.inf
    number = exact if kind.code in FLOAT_CODES or not math.isfinite(exact) else round(exact)
    if not kind.minimum <= number <= kind.maximum:
        raise UnwritableValueError(f"{value!r:.40} is outside of what the equipment can take")
    return number


def decode_value(
    raw: str, data: bytes, *, scale: float = 1.0, offset: float = 0.0, framed: bool = False
) -> int | float | bool | None:
    """The value of its wire form; None where it is none: a byte of a truth value above 1, a float that is no number.

    Raises:
        ValueError: ``data`` has another length.
    """
    kind = RAW_KINDS[raw]
    if not kind.code:
        (byte,) = data
        return None if byte > 1 else bool(byte)
    if len(data) != kind.size:
        raise ValueError(f"{raw} has {kind.size} bytes, not {len(data)}")
    (number,) = struct.unpack(f">{kind.code}", ordered(data, kind, framed=framed))
    return value_of(number, scale, offset)


def value_of(number: float, scale: float, offset: float) -> int | float | None:
    """``number * scale + offset`` without the noise of binary fractions; None if it is not finite."""
    if scale == 1.0 and offset == 0.0:
        return number if math.isfinite(number) else None
    value = scaled(number, scale, offset)
    return value if math.isfinite(value) else None


def scaled(number: float, scale: float, offset: float) -> float:
    """``number * scale + offset``: where the scale is one over a whole number, divided, which rounds correctly."""
    divisor = divisor_of(scale)
    product = number / divisor if divisor else number * scale
    return round(product + offset, digits_of(scale, offset)) if offset else product


def divisor_of(scale: float) -> float:
    """``1 / scale`` where that is a whole number (0.1: 10), else 0."""
    inverse = 1 / scale
    whole = round(inverse) if abs(inverse) < 1e12 else 0
    return float(whole) if whole and 1 / whole == scale else 0.0


def digits_of(scale: float, offset: float) -> int:
    """Decimal places that a sum of multiples of the scale and the offset can have; 12 at most."""
    return max(_places(scale), _places(offset))


def _places(number: float) -> int:
    return next((places for places in range(12) if round(number, places) == number), 12)


def ordered(data: bytes, kind: RawKind, *, framed: bool) -> bytes:
    """Big-endian bytes in the order of the wire, or back: the same exchange both ways."""
    if not kind.swapped:
        return data
    if framed:
        return data[::-1]
    return b"".join(data[at : at + WORD_BYTES] for at in range(len(data) - WORD_BYTES, -1, -WORD_BYTES))


def is_kept(raw: str, value: float, scale: float, offset: float) -> bool:
    """Whether a value reads back as itself after it was written: it lies on a raw step.

    Raises:
        UnwritableValueError: it cannot be written.
    """
    back = decode_value(raw, encode_value(raw, value, scale=scale, offset=offset), scale=scale, offset=offset)
    digits = _FLOAT_DIGITS.get(RAW_KINDS[raw].code, 9)
    return back is not None and math.isclose(back, value, rel_tol=10**-digits, abs_tol=abs(scale) * NOISE)
