# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the simple parts of TPM 2.0 structures: big-endian integers and sized buffers.

Specification: TCG TPM 2.0 Library, Part 2, §5 (base types) and §10.3 (TPM2B: a 16-bit size, then that many bytes).
"""

from __future__ import annotations

from armillary.errors import WireError


class Reader:
    """Reads the fields of ``data``, a structure called ``what`` in errors, in order. Each error names the byte.

    Raises WireError if ``data`` is larger than ``limit`` bytes.
    """

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str, *, limit: int) -> None:
        if len(data) > limit:
            raise WireError(what, expected=f"at most {limit} bytes", got=f"{len(data)} bytes")
        self._data, self._what, self._at = data, what, 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        start, end = self._at, self._at + size
        if end > len(self._data):
            raise self.fault(f"{size} more bytes", f"{len(self._data) - start}")
        self._at = end
        return self._data[start:end]

    def uint(self, size: int) -> int:
        """The next big-endian integer of ``size`` bytes."""
        start, end = self._at, self._at + size
        if end > len(self._data):
            raise self.fault(f"{size} more bytes", f"{len(self._data) - start}")
        self._at = end
        return int.from_bytes(self._data[start:end], "big")

    def sized(self, limit: int) -> bytes:
        """The content of the next TPM2B, at most ``limit`` bytes."""
        start = self._at + 2
        size = int.from_bytes(self._data[start - 2 : start], "big")
        end = start + size
        if end <= len(self._data) and size <= limit:
            self._at = end
            return self._data[start:end]
        self.uint(2)  # raises the error of a truncated size
        if size > limit:
            raise self.fault(f"a field of at most {limit} bytes", f"{size}")
        return self.take(size)

    def expect(self, size: int, value: int, meaning: str) -> None:
        """Take an integer that must have this value."""
        at = self._at
        found = self.uint(size)
        if found != value:
            raise WireError(self._what, offset=at, expected=f"{meaning} ({value:#x})", got=f"{found:#x}")

    def end(self) -> None:
        """Check that nothing follows."""
        left = len(self._data) - self._at
        if left:
            raise self.fault("no more bytes", f"{left}")

    def fault(self, expected: str, got: str) -> WireError:
        """The error for the present byte; the caller raises it."""
        return WireError(self._what, offset=self._at, expected=expected, got=got)


def sized(content: bytes) -> bytes:
    """A TPM2B: the size in 16 bits, then the bytes."""
    return len(content).to_bytes(2, "big") + content
