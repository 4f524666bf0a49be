# SPDX-License-Identifier: Apache-2.0
"""Bytes of a modem as lines of text (V.250 §5.7): each ends with a carriage return, a line feed, or both.

A line that is too long is dropped whole, and so is one with bytes that are no printable ASCII: a modem that starts, and
a wire that was pulled out, make such.
"""

from __future__ import annotations

from typing import Final

# The longest answer that is read: +CGCONTRDP with IPv6 addresses in dotted form has about 500 characters.
MAX_LINE_BYTES: Final = 1024
_ENDS: Final = b"\r\n"


class LineReader:
    """Collects bytes, and gives the lines that are complete; keeps at most one line."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_too_long = False
        self.dropped = 0  # lines that were no text, or too long

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with these bytes; empty ones are left out."""
        found = []
        for byte in data:
            if byte in _ENDS:
                line = self._end()
                if line is not None:
                    found.append(line)
            elif len(self._line) < MAX_LINE_BYTES:
                self._line.append(byte)
            else:
                self._is_too_long = True
        return found

    def _end(self) -> str | None:
        line, is_too_long = bytes(self._line), self._is_too_long
        self._line.clear()
        self._is_too_long = False
        if not line.strip() and not is_too_long:
            return None
        if is_too_long or not all(0x20 <= byte <= 0x7E for byte in line):
            self.dropped += 1
            return None
        return line.decode("ascii").strip()
