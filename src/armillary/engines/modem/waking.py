# SPDX-License-Identifier: Apache-2.0
"""Wakes a thread that waits for a modem, from another thread: something has changed, or it shall stop."""

from __future__ import annotations

import contextlib
import os


class Waking:
    """One waiting thread's bell."""

    def __init__(self) -> None:
        self._number = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_stopping = False

    def fileno(self) -> int:
        """Readable once it was rung."""
        return self._number

    def ring(self) -> None:
        """Wake it."""
        os.eventfd_write(self._number, 1)

    def stop(self) -> None:
        """Wake it, and have every wait end from now on."""
        self.is_stopping = True
        self.ring()

    def heard(self) -> bool:
        """Whether it was rung since the last call."""
        with contextlib.suppress(BlockingIOError):
            return os.eventfd_read(self._number) > 0
        return False

    def close(self) -> None:
        """Give the descriptor back; nobody rings any more."""
        os.close(self._number)
