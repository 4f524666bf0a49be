# SPDX-License-Identifier: Apache-2.0
"""Room on the disk that a guardian's queue holds for the day when there is none.

On a full disk SQLite cannot delete either: what it changes goes into the write-ahead log first, and the log can only be
copied into a file that may grow. So a file of some size lies beside the queue; it is removed when the disk is full, and
the room is used to copy the log, to delete old telemetry, and for what is more important than it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from armillary.engines.equipment.queueing.opening import PAGE_BYTES, WAL_PAGES

# What copying a log that grew beyond its size may take, and the next log.
RESERVE_BYTES: Final = 2 * WAL_PAGES * PAGE_BYTES

# The disk must have so much more than the reserve before it is held again: else it would be given up at once.
MARGIN_BYTES: Final = RESERVE_BYTES // 2


class Reserve:
    """The reserve of the queue at ``path``."""

    def __init__(self, path: Path) -> None:
        self._file = path.with_suffix(".reserve")

    @property
    def is_held(self) -> bool:
        """Whether the room is held."""
        return self._file.exists()

    def missing_bytes(self) -> int:
        """What the disk lacks to hold the reserve; 0 when it is held or could be."""
        if self.is_held:
            return 0
        try:
            state = os.statvfs(self._file.parent)
        except OSError:
            return RESERVE_BYTES
        return max(0, RESERVE_BYTES + MARGIN_BYTES - state.f_bavail * state.f_frsize)

    def hold(self) -> bool:
        """Hold the room if the disk has it; whether it is held."""
        if self.is_held:
            return True
        if self.missing_bytes():
            return False
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        """Give the room up."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def copy_log(connection: sqlite3.Connection) -> None:
    """Copy the write-ahead log into the file and give its room back, if the disk lets it."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
