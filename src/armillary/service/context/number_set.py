# SPDX-License-Identifier: Apache-2.0
"""A set of row numbers, one bit each: a million devices are 125 KB."""

from __future__ import annotations


class NumberSet:
    """Whole numbers from 0 on; grows with the largest one."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray()

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] >> (number & 7) & 1)

    def add(self, number: int) -> None:
        """Put a number in."""
        missing = (number >> 3) + 1 - len(self._bits)
        if missing > 0:
            self._bits.extend(bytes(missing))
        self._bits[number >> 3] |= 1 << (number & 7)

    def discard(self, number: int) -> None:
        """Take a number out, if it is in."""
        if number in self:
            self._bits[number >> 3] &= ~(1 << (number & 7))
