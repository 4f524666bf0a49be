# SPDX-License-Identifier: Apache-2.0
"""The guardian's time: the wall clock until the hub says what time it is, then that counted on (``guard/clock.py``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from armillary.engines.equipment.queue import monotonic
from armillary.guard.clock import ClockState, Pair, look, time_of, told
from armillary.guard.situation import Moment
from armillary.wire.equipment.message import ClockQuality


@dataclass(slots=True)
class GuardianClock:
    """The time, and how far it can be relied on."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = monotonic
    state: ClockState = field(default_factory=ClockState)

    def now(self) -> Pair:
        """This moment: the time (Unix seconds) and seconds since the machine started."""
        pair = Pair(self.wall(), self.monotonic())
        return Pair(time_of(self.state, pair), pair.monotonic)

    @property
    def quality(self) -> ClockQuality:
        """How far :meth:`now` can be relied on."""
        return self.state.quality

    @property
    def moment(self) -> Moment:
        """This moment, for the guard."""
        now = self.now()
        return Moment(now.wall, now.monotonic, self.quality is ClockQuality.SYNCED)

    def look(self) -> None:
        """Look at both clocks; call it every second or so."""
        self.state = look(self.state, Pair(self.wall(), self.monotonic()))

    def told(self, reference: float) -> bool:
        """The hub said what time it is (Unix seconds); True where the time was not known before."""
        was_unknown = self.quality is ClockQuality.UNSYNCED
        self.state = told(self.state, Pair(self.wall(), self.monotonic()), reference)
        return was_unknown
