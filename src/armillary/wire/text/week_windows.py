# SPDX-License-Identifier: Apache-2.0
"""Times of the week by a wall clock, as people write them: ``Mon-Fri 01:00-05:00``, ``Sat 22:00-02:00``, ``daily ...``.

A window that ends at or before its begin ends on the day after; ``00:00-24:00`` is a whole day. **A moment is in a
window if the wall clock there shows a time in it**, whatever daylight saving time does: a window over the hour that is
skipped is shorter that day, one over the hour that comes twice is longer, or comes twice.

The zone is an argument (``datetime.tzinfo``); ambiguous times of the wall clock are as in PEP 495.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.errors import InvalidArgumentError

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY: Final = "daily"
MINUTES_OF_DAY: Final = 24 * 60
MINUTES_OF_WEEK: Final = 7 * MINUTES_OF_DAY
# Shorter windows are slips of the hand: nothing that is done by the week fits into them.
MIN_MINUTES: Final = 15
DAY_S: Final = 24 * 3600

_FORM: Final = re.compile(r"(?P<days>[A-Za-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)", re.ASCII)
_WHOLE_DAY: Final = " 00:00-24:00"
_REMEDY: Final = "Write for example 'Mon-Fri 01:00-05:00', 'Sat,Sun 22:00-02:00' or 'daily 03:00-04:00'."


@dataclass(frozen=True, slots=True)
class WeekWindow:
    """A window by the wall clock.

    ``days`` are those it begins on, Monday is 0; ``start`` and ``minutes`` are its begin and its length, in minutes.
    """

    days: tuple[int, ...]
    start: int
    minutes: int

    def starts(self) -> Iterator[int]:
        """Its begins, in minutes of the week."""
        return (day * MINUTES_OF_DAY + self.start for day in self.days)

    def __str__(self) -> str:
        end = MINUTES_OF_DAY if self.minutes == MINUTES_OF_DAY else (self.start + self.minutes) % MINUTES_OF_DAY
        return f"{_days_text(self.days)} {_clock(self.start)}-{_clock(end)}"


def parse_window(text: str, what: str) -> WeekWindow:
    """A window as people write it; ``what`` it is, for the message.

    Raises:
        InvalidArgumentError: it is none, or shorter than :data:`MIN_MINUTES`.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise _no_window(text, what, "days and two times of day")
    if text.endswith(_WHOLE_DAY):
        start, minutes = 0, MINUTES_OF_DAY
    else:
        start = _minutes(text, what, match["start"])
        minutes = (_minutes(text, what, match["end"]) - start) % MINUTES_OF_DAY
    window = WeekWindow(_days(text, what, match["days"]), start, minutes)
    if window.minutes < MIN_MINUTES:
        raise _no_window(text, what, f"at least {MIN_MINUTES} minutes")
    return window


def minutes_of(windows: Sequence[WeekWindow]) -> frozenset[int]:
    """The minutes of the week that are in any of the windows."""
    return frozenset(
        minute % MINUTES_OF_WEEK
        for window in windows
        for start in window.starts()
        for minute in range(start, start + window.minutes)
    )


def local(moment: int, zone: dt.tzinfo) -> dt.datetime:
    """What the wall clock shows at a moment (Unix seconds)."""
    return dt.datetime.fromtimestamp(moment, zone)


def minute_of_week(moment: int, zone: dt.tzinfo) -> int:
    """The minute of the week that the wall clock shows at a moment (Unix seconds); Monday 00:00 is 0."""
    shown = local(moment, zone)
    return shown.weekday() * MINUTES_OF_DAY + shown.hour * 60 + shown.minute


def clock_changes(zone: dt.tzinfo, since: int, until: int) -> Iterator[int]:
    """The moments (Unix seconds) at which the offset of a zone changes, to the minute; ``since`` is a whole minute."""
    for day in range(since, until, DAY_S):
        if _offset(day, zone) == _offset(day + DAY_S, zone):
            continue
        for minute in range(day, day + DAY_S, 60):
            if _offset(minute, zone) != _offset(minute + 60, zone):
                yield minute + 60


def _offset(moment: int, zone: dt.tzinfo) -> dt.timedelta | None:
    return local(moment, zone).utcoffset()


def _minutes(text: str, what: str, clock: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if hour > 23 or minute > 59:
        raise _no_window(text, what, "times from 00:00 to 23:59")
    return hour * 60 + minute


def _days(text: str, what: str, words: str) -> tuple[int, ...]:
    if words == EVERY_DAY:
        return tuple(range(7))
    found: set[int] = set()
    for part in words.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise _no_window(text, what, f"{EVERY_DAY}, or days such as Mon-Fri or Sat,Sun")
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 if dash else 0
        named = {(begin + each) % 7 for each in range(count + 1)}
        if found & named:
            raise _no_window(text, what, "each day once")
        found |= named
    return tuple(sorted(found))


def _no_window(text: str, what: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{what} {text!r:.60}: expected {expected}", remedy=_REMEDY)


def _days_text(days: Iterable[int]) -> str:
    chosen = tuple(days)
    if len(chosen) == 7:
        return EVERY_DAY
    if len(chosen) > 2 and chosen == tuple(range(chosen[0], chosen[-1] + 1)):
        return f"{DAYS[chosen[0]]}-{DAYS[chosen[-1]]}"
    return ",".join(DAYS[day] for day in chosen)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
