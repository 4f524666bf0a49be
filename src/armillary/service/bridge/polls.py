# SPDX-License-Identifier: Apache-2.0
"""When bridged devices polled last: gathered in memory and written together.

A poll that changes nothing must not cost a commit.
"""

from __future__ import annotations

import threading
from typing import ClassVar, Final

from armillary.engines.records.bridge import devices as bridge_rows
from armillary.service.context.context import Context
from armillary.wire.hub.credentials import UNATTESTED

# How late a time may be written, seconds: devices poll every few minutes.
FLUSH_S: Final = 10
# Times in memory: a fleet that polls at once is written in portions.
MAX_GATHERED: Final = 1000


class Polls:
    """Gathers the times of polls. From any thread."""

    VERDICT: ClassVar[str] = UNATTESTED  # What ``device_status`` says of a device that attests nothing

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._times: dict[int, int] = {}
        self._flushed_at = 0

    def note(self, number: int) -> None:
        """A device polled now; writes what was gathered when it is time to."""
        now = self._context.now()
        with self._lock:
            self._times[number] = now
            is_due = now - self._flushed_at >= FLUSH_S or len(self._times) >= MAX_GATHERED
        if is_due:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock:
            times, self._times = self._times, {}
            self._flushed_at = self._context.now()
        if times:
            self._context.records.write(lambda c: bridge_rows.polled(c, sorted(times.items()), self.VERDICT))
