# SPDX-License-Identifier: Apache-2.0
"""How much of what an application prints a device's log takes: so many lines and bytes a minute, the rest is counted.

So an application that prints without end takes neither the others' room in the log nor the device's time. What is over
its share is dropped until its minute ends; then, or when the run ends, the count is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 60
# Ten lines a second; with the longest lines a quarter of one file of the log.
LINES: Final = 600
BYTES: Final = 64 * 1024


@dataclass(slots=True)
class _Window:
    began: int
    lines: int = 0
    size: int = 0
    dropped: int = 0


class OutputShare:
    """The shares of all applications, by name."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def due(self, name: str, now: int) -> int:
        """How many lines were dropped in a window that is over; each is told once. ``now`` in seconds."""
        window = self._windows.get(name)
        if window is None or 0 <= now - window.began < WINDOW_S:
            return 0
        del self._windows[name]
        return window.dropped

    def end(self, name: str) -> int:
        """The same at the end of a run; the next one has what is left of the share."""
        window = self._windows.get(name)
        if window is None:
            return 0
        dropped, window.dropped = window.dropped, 0
        return dropped

    def take(self, name: str, size: int, now: int) -> bool:
        """Whether a line of this many bytes is within the share; counts it if it is not. After :meth:`due`."""
        window = self._windows.setdefault(name, _Window(now))
        if window.dropped or window.lines == LINES or window.size + size > BYTES:
            window.dropped += 1
            return False
        window.lines += 1
        window.size += size
        return True

    def dropped(self, name: str) -> int:
        """How many lines its window has dropped so far."""
        window = self._windows.get(name)
        return 0 if window is None else window.dropped
