# SPDX-License-Identifier: Apache-2.0
"""Quiet times of a rule: times of the week, by the wall clock of a time zone, in which it does not fire.

A rule whose conditions are met in a quiet time waits, and fires at its end if they are still met then. What was met and
over in between is no alert. A rule that fired before stays active, and clears as always.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.wire.text.week_windows import (
    MINUTES_OF_WEEK,
    WeekWindow,
    clock_changes,
    local,
    minute_of_week,
    minutes_of,
)

# Windows of one rule: more are a calendar, which nobody can check by looking at it.
MAX_QUIET_WINDOWS: Final = 14
# Changes of the clock that one quiet time is followed over: it is a week at most, and no zone changes twice in it.
MAX_STEPS: Final = 16


@dataclass(frozen=True, slots=True)
class QuietTimes:
    """When a rule is quiet, as its author wrote it."""

    windows: tuple[WeekWindow, ...]
    zone: str  # Name of the time zone (IANA), ``UTC`` or ``Europe/Berlin``


class QuietClock:
    """Quiet times, prepared: whether a moment is in one, and when that ends."""

    def __init__(self, windows: Sequence[WeekWindow], zone: dt.tzinfo) -> None:
        self._zone = zone
        self._week = minutes_of(windows)
        if len(self._week) == MINUTES_OF_WEEK:
            raise ValueError("quiet times without an end")

    def until_ms(self, now_ms: int) -> int:
        """When the quiet time ends that a moment is in (Unix milliseconds); 0 where it is in none."""
        moment, zone = now_ms // 1000, self._zone
        if minute_of_week(moment, zone) not in self._week:
            return 0
        for _ in range(MAX_STEPS):
            shown = minute_of_week(moment, zone)
            left = next(each for each in range(MINUTES_OF_WEEK) if (shown + each) % MINUTES_OF_WEEK not in self._week)
            if not left:
                break
            begin = moment - local(moment, zone).second
            # Up to a change of its offset the wall clock goes as time does; there it is looked at again.
            moment = next(clock_changes(zone, begin, begin + left * 60), begin + left * 60)
            moment = min(moment, begin + left * 60)
        return moment * 1000
