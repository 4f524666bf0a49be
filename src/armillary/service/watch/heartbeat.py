# SPDX-License-Identifier: Apache-2.0
"""Detects a stopped or slow verifier, in a thread of its own.

The endpoint notes a heartbeat every second, and how long its oldest check-in has waited for the disk. The endpoint's
event loop cannot detect that it is blocked, so this is a thread; a process that was killed cannot either, so the time
of the last heartbeat is written to the records once a minute, and the next start compares.

==============  ==========================================================================  ========
what            when                                                                        severity
==============  ==========================================================================  ========
stopped         no heartbeat for :data:`STOPPED_AFTER_S`                                    critical
behind          a check-in has waited :data:`BEHIND_AFTER_S` for the disk                   high
was down        at a start: the last heartbeat of a process that did not end in an orderly
                way is older than :data:`DOWN_AFTER_S`                                      medium
==============  ==========================================================================  ========

Each change to the worse is one observation of the finding ``verifier-behind``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from armillary.engines.records.queries import findings as finding_rows
from armillary.errors import ArmillaryError
from armillary.service.context.context import Context
from armillary.service.watch import detections
from armillary.service.watch.detections import Observation

# The endpoint notes a heartbeat every second; a batch of 5,000 check-ins keeps the loop busy for less than one.
STOPPED_AFTER_S: Final = 10.0
# A commit takes milliseconds; devices are asked to come back when 5,000 wait, which a slow disk needs seconds for.
BEHIND_AFTER_S: Final = 5
# A restart for an upgrade takes less; devices miss a check-in only after an hour.
DOWN_AFTER_S: Final = 300
CHECK_EVERY_S: Final = 2.0
KEEP_EVERY_S: Final = 60.0
# Names among the watch's positions: the last heartbeat, negative after an orderly end; and since when devices could
# check in without a longer gap, so that no device is called silent while the service was down.
SOURCE: Final = "verifier"
OPEN_SINCE: Final = "verifier-open"

_log = structlog.get_logger("armillary.service.watch.heartbeat")


class Liveness(NamedTuple):
    """What the endpoint noted last: ``at``, seconds of the monotonic clock.

    ``oldest_wait_s`` is how long the oldest check-in had waited for the disk by then.
    """

    at: float
    oldest_wait_s: int


def judge(noted: Liveness, monotonic: float) -> tuple[str, int]:
    """``ok``, ``behind`` or ``stopped``, and for how many seconds."""
    silent = monotonic - noted.at
    if silent >= STOPPED_AFTER_S:
        return "stopped", int(silent)
    if noted.oldest_wait_s >= BEHIND_AFTER_S:
        return "behind", noted.oldest_wait_s
    return "ok", 0


class VerifierMonitor:
    """The thread. ``state`` is for ``/healthz``; :meth:`close` ends it in an orderly way."""

    def __init__(
        self,
        context: Context,
        liveness: Callable[[], Liveness],
        observe: Callable[[Observation], object],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._liveness = liveness
        self._observe = observe
        self._monotonic = monotonic
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier-watch", daemon=True)
        self._kept_at = float("-inf")
        self.state = "ok"
        self._reported = "ok"  # the state that the findings know of

    def start(self) -> int:
        """Start the thread; returns since when devices could check in, Unix seconds, 0 for always."""
        open_since = self._look_back()
        self._keep()
        self._thread.start()
        return open_since

    def close(self) -> None:
        """End the thread and record that the process ended in an orderly way."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._note(SOURCE, -self._context.now())

    def check(self) -> None:
        """Judge the last heartbeat once."""
        state, seconds = judge(self._liveness(), self._monotonic())
        before, self.state = self.state, state
        if state != before:
            _log.warning("the verifier's pulse changed", before=before, now=state, seconds=seconds)
        if state != self._reported:
            if state == "stopped" or (state, self._reported) == ("behind", "ok"):
                self._observe(detections.of_verifier(state, seconds, self._context.now()))
            self._reported = state
        if state != "stopped" and self._monotonic() - self._kept_at >= KEEP_EVERY_S:
            self._keep()

    def _run(self) -> None:
        try:
            while not self._ended.wait(CHECK_EVERY_S):
                try:
                    self.check()
                except ArmillaryError as error:  # the records may be what is wrong; the next look tries again
                    _log.error("the verifier's pulse cannot be recorded", error=error.message, state=self.state)
        finally:
            if not self._ended.is_set():  # a bug of ours: a monitor that has ended must not report "ok"
                self.state = "stopped"

    def _look_back(self) -> int:
        now = self._context.now()
        last, since = self._context.records.read(
            lambda c: (finding_rows.position(c, SOURCE), finding_rows.position(c, OPEN_SINCE))
        )
        gap = now - abs(last)
        if not last or gap < DOWN_AFTER_S:
            return since
        if last > 0:
            self._observe(detections.of_verifier("down", gap, now))
        self._note(OPEN_SINCE, now)
        return now

    def _keep(self) -> None:
        self._note(SOURCE, self._context.now())
        self._kept_at = self._monotonic()

    def _note(self, source: str, at: int) -> None:
        self._context.records.write(lambda c: finding_rows.set_position(c, source, at))
