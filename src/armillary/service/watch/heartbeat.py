# SPDX-License-Identifier: Apache-2.0
"""Who watches the verifier: a thread of its own that feels the device endpoint's pulse and raises the alarm.

The endpoint notes every second that it lives and how long its oldest check-in has waited for the disk. The event loop
that the endpoint runs in cannot tell that it stands still, so this is a thread; and a process that was killed cannot
tell either, so the last pulse is kept in the records once a minute, and the next start compares.

==============  ==========================================================================  ========
what            when                                                                        severity
==============  ==========================================================================  ========
stopped         no pulse for :data:`STOPPED_AFTER_S`                                        critical
behind          a check-in has waited :data:`BEHIND_AFTER_S` for the disk                   high
was down        at a start: the last pulse of a process that did not end as it should is
                older than :data:`DOWN_AFTER_S`                                             medium
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
from armillary.service.watch import rules as watch_rules
from armillary.service.watch.rules import Observation

# The pulse is noted every second; a batch of 5,000 check-ins keeps the loop busy for less than one.
STOPPED_AFTER_S: Final = 10.0
# A commit takes milliseconds; devices are told to come back when 5,000 wait, which a slow disk needs seconds for.
BEHIND_AFTER_S: Final = 5
# A restart for an upgrade takes less; devices miss a check-in only after an hour.
DOWN_AFTER_S: Final = 300
FEEL_EVERY_S: Final = 2.0
KEEP_EVERY_S: Final = 60.0
# Names among the watch's positions: the last pulse, negative after an orderly end; since when devices could check in
# without a longer gap, so that nobody is called silent who found nobody to speak to.
SOURCE: Final = "verifier"
OPEN_SINCE: Final = "verifier-open"

_log = structlog.get_logger("armillary.service.watch.heartbeat")


class Pulse(NamedTuple):
    """What the endpoint noted last.

    Attributes:
        at: When, seconds of the monotonic clock.
        oldest_wait_s: Seconds that the oldest check-in has waited for the disk by then.
    """

    at: float
    oldest_wait_s: int


def judge(pulse: Pulse, monotonic: float) -> tuple[str, int]:
    """``ok``, ``behind`` or ``stopped``, and for how many seconds."""
    silent = monotonic - pulse.at
    if silent >= STOPPED_AFTER_S:
        return "stopped", int(silent)
    if pulse.oldest_wait_s >= BEHIND_AFTER_S:
        return "behind", pulse.oldest_wait_s
    return "ok", 0


class VerifierWatch:
    """The thread. ``state`` is for ``/healthz``; :meth:`close` ends it in an orderly way."""

    def __init__(
        self,
        context: Context,
        pulse: Callable[[], Pulse],
        observe: Callable[[Observation], object],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._pulse = pulse
        self._observe = observe
        self._monotonic = monotonic
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier-watch", daemon=True)
        self._kept_at = float("-inf")
        self.state = "ok"
        self._told = "ok"  # the state that the findings know of

    def start(self) -> int:
        """Look back, then begin; returns since when devices could check in, Unix seconds, 0 for always."""
        open_since = self._look_back()
        self._keep()
        self._thread.start()
        return open_since

    def close(self) -> None:
        """End the thread; the next start knows that nothing went wrong."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._note(SOURCE, -self._context.now())

    def feel(self) -> None:
        """Feel the pulse once."""
        state, seconds = judge(self._pulse(), self._monotonic())
        before, self.state = self.state, state
        if state != before:
            _log.warning("the verifier's pulse changed", before=before, now=state, seconds=seconds)
        if state != self._told:
            if state == "stopped" or (state, self._told) == ("behind", "ok"):
                self._observe(watch_rules.of_verifier(state, seconds, self._context.now()))
            self._told = state
        if state != "stopped" and self._monotonic() - self._kept_at >= KEEP_EVERY_S:
            self._keep()

    def _run(self) -> None:
        try:
            while not self._ended.wait(FEEL_EVERY_S):
                try:
                    self.feel()
                except ArmillaryError as error:  # the records may be what is wrong; the next look tries again
                    _log.error("the verifier's pulse cannot be recorded", error=error.message, state=self.state)
        finally:
            if not self._ended.is_set():  # a bug of ours: who does not look must not say that all is well
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
            self._observe(watch_rules.of_verifier("down", gap, now))
        self._note(OPEN_SINCE, now)
        return now

    def _keep(self) -> None:
        self._note(SOURCE, self._context.now())
        self._kept_at = self._monotonic()

    def _note(self, source: str, at: int) -> None:
        self._context.records.write(lambda c: finding_rows.set_position(c, source, at))
