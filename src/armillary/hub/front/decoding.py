# SPDX-License-Identifier: Apache-2.0
"""What follows a commit: decoding of the log in slices, flushes of decoded values, sealing and deletion of old hours.

Everything here runs in the hub's loop, a few milliseconds at a time, so that acknowledging goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.series.store import SeriesStore
from armillary.errors import HostError, RateLimitedError
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.limits import (
    BUSY_ABOVE_WEIGHT,
    DECODE_PAUSE_BUSY_S,
    DECODE_RETRY_S,
    DECODE_SLICE_BUSY_S,
    DECODE_SLICE_S,
    HOLD_ABOVE_BACKLOG_BYTES,
    MAINTENANCE_PAUSE_S,
)

_log = structlog.get_logger(__name__)


class Decoding:
    """The decoder of one hub at work; ``clock`` is Unix time in seconds."""

    def __init__(
        self, store: SeriesStore, loop: asyncio.AbstractEventLoop, notices: HubNotices, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._loop = loop
        self._notices = notices
        self._clock = clock
        self._is_under_way = False
        self._is_closed = False

    def soon(self) -> None:
        """Decode what came, beginning with the next turn of the loop."""
        if not self._is_under_way:
            self._is_under_way = True
            self._loop.call_soon(self._decode)

    def close(self) -> None:
        """Decode and maintain nothing any more."""
        self._is_closed = True

    def _decode(self) -> None:
        """One slice of decoding; the next follows at once, or later while acknowledgements are waiting."""
        if self._is_closed:
            return
        busy = self._store.commits.queued > BUSY_ABOVE_WEIGHT
        try:
            more = self._store.decoder.work(DECODE_SLICE_BUSY_S if busy else DECODE_SLICE_S)
        except HostError as error:
            _log.error("hub.log-not-readable", why=error.message)
            self._loop.call_later(DECODE_RETRY_S, self._decode)
            return
        self._notices.on_slice()
        self.flush()
        if not more:
            self._is_under_way = False
        elif busy and self._store.decoder.backlog_bytes < HOLD_ABOVE_BACKLOG_BYTES // 2:
            self._loop.call_later(DECODE_PAUSE_BUSY_S, self._decode)
        else:
            self._loop.call_soon(self._decode)

    def flush(self) -> None:
        """Write decoded values to the disk, if it is time to."""
        if not self._store.flush_due():
            return

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            kept = not isinstance(outcomes[0], Rejected)
            self._store.end_flush(kept=kept)
            if not kept:
                _log.error("hub.flush-failed", why=str(outcomes[0].error))

        change = self._store.begin_flush(int(self._clock() * 1000))
        try:
            self._store.commits.post(change, LoopSink(self._loop, deliver))
        except RateLimitedError:  # it is tried again, as one that failed
            self._store.end_flush(kept=False)

    def maintain(self) -> None:
        """One slice of sealing hours and deleting old ones; the next follows when acknowledgements have passed."""
        if self._is_closed:
            return
        change = self._store.maintenance.begin(int(self._clock() * 1000))
        if change is None:
            return

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            failed = isinstance(outcomes[0], Rejected)
            self._store.maintenance.end(more=not failed and outcomes[0])
            if failed:
                _log.error("hub.maintenance-failed", why=str(outcomes[0].error))
            elif outcomes[0]:
                self._loop.call_later(MAINTENANCE_PAUSE_S, self.maintain)

        try:
            self._store.commits.post(change, LoopSink(self._loop, deliver))
        except RateLimitedError:  # it can wait
            self._store.maintenance.end(more=True)
