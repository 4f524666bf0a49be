# SPDX-License-Identifier: Apache-2.0
"""Maintenance windows: when devices of a group may begin to install, by the wall clock where they are.

A window is a time of day on days of the week, such as ``Mon-Fri 01:00-05:00`` or ``Sat 22:00-02:00``, which ends on the
day after. **A moment is in a window if the wall clock there shows a time in it.** So nothing begins outside what the
clock on the wall says, whatever daylight saving time does: a window over the hour that is skipped is shorter that day,
or is not there at all; one over the hour that comes twice is longer, or comes twice. ``tests/update/schedule`` holds it
against the wall clock itself, minute by minute.

The zone is an argument (``datetime.tzinfo``): where zones come from, and by which name, is not decided here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.device.offer_timing import MAX_WINDOWS, Window

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY: Final = "daily"
MINUTES_OF_DAY: Final = 24 * 60
MINUTES_OF_WEEK: Final = 7 * MINUTES_OF_DAY
# Windows of one group: more are a calendar, which nobody can check by looking at it.
MAX_OF_GROUP: Final = 14
# Shorter ones end before a download and a restart have.
MIN_MINUTES: Final = 15
# How far ahead moments are reckoned, days: a little more than the longest interval between two check-ins.
HORIZON_DAYS: Final = 32

_FORM: Final = re.compile(r"(?P<days>[A-Za-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)", re.ASCII)
_REMEDY: Final = "Write for example 'Mon-Fri 01:00-05:00', 'Sat,Sun 22:00-02:00' or 'daily 03:00-04:00'."


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
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
        end = (self.start + self.minutes) % MINUTES_OF_DAY
        return f"{_days_text(self.days)} {_clock(self.start)}-{_clock(end)}"


def parse_windows(texts: Sequence[str]) -> tuple[MaintenanceWindow, ...]:
    """Windows as people write them, in the order of the week.

    Raises:
        InvalidArgumentError: one of them is no window or too short, there are too many, or two overlap or touch.
    """
    if len(texts) > MAX_OF_GROUP:
        raise InvalidArgumentError(
            f"maintenance windows: expected at most {MAX_OF_GROUP}, got {len(texts)}", remedy="Join some of them."
        )
    found = sorted((_parsed(text) for text in texts), key=lambda window: next(window.starts()))
    occurrences = sorted((start, start + one.minutes, one) for one in found for start in one.starts())
    if len(occurrences) > 1:
        first = occurrences[0]
        around = (first[0] + MINUTES_OF_WEEK, first[1] + MINUTES_OF_WEEK, first[2])
        for (_, end, earlier), (start, _, later) in pairwise((*occurrences, around)):
            if start <= end:
                raise InvalidArgumentError(
                    f"maintenance windows: {earlier} and {later} overlap or touch", remedy="Make them one window."
                )
    return tuple(found)


def moments(
    windows: Sequence[MaintenanceWindow], zone: dt.tzinfo, *, now: int, limit: int = MAX_WINDOWS
) -> tuple[Window, ...]:
    """The windows that are not over at ``now``, as moments (Unix seconds UTC), for :data:`HORIZON_DAYS` ahead.

    The first one may have begun. At most ``limit``, the nearest.
    """
    since = now - now % 60 - 24 * 3600  # a window that began yesterday may last
    until = now + HORIZON_DAYS * 24 * 3600
    week = frozenset(
        minute % MINUTES_OF_WEEK
        for window in windows
        for start in window.starts()
        for minute in range(start, start + window.minutes)
    )
    found: list[Window] = []
    begun: int | None = None
    for moment in (*_changes(windows, zone, since, until), until):
        is_open = moment < until and _minute_of_week(moment, zone) in week
        if is_open and begun is None:
            begun = moment
        elif not is_open and begun is not None:
            if moment > now:
                found.append(Window(begun, moment))
            begun = None
        if len(found) == limit:
            break
    return tuple(found)


def _changes(windows: Sequence[MaintenanceWindow], zone: dt.tzinfo, since: int, until: int) -> list[int]:
    """Every moment at which a window can open or close, rising: begins, ends, and changes of the clock."""
    clocks = {minute % MINUTES_OF_DAY for one in windows for minute in (one.start, one.start + one.minutes)}
    found = {since}
    day, last = _local(since, zone).date(), _local(until, zone).date()
    while day <= last:
        for clock in clocks:
            at = dt.datetime.combine(day, dt.time(*divmod(clock, 60)), zone)
            found |= {int(at.replace(fold=fold).timestamp()) for fold in (0, 1)}
        day += dt.timedelta(days=1)
    found |= set(_clock_changes(zone, since, until))
    return sorted(moment for moment in found if since <= moment < until)


def _clock_changes(zone: dt.tzinfo, since: int, until: int) -> Iterator[int]:
    """The moments at which the offset of a zone changes, to the minute."""
    for day in range(since, until, 24 * 3600):
        if _offset(day, zone) == _offset(day + 24 * 3600, zone):
            continue
        for minute in range(day, day + 24 * 3600, 60):
            if _offset(minute, zone) != _offset(minute + 60, zone):
                yield minute + 60


def _local(moment: int, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment, zone)


def _offset(moment: int, zone: dt.tzinfo) -> dt.timedelta | None:
    return _local(moment, zone).utcoffset()


def _minute_of_week(moment: int, zone: dt.tzinfo) -> int:
    local = _local(moment, zone)
    return local.weekday() * MINUTES_OF_DAY + local.hour * 60 + local.minute


def _parsed(text: str) -> MaintenanceWindow:
    match = _FORM.fullmatch(text)
    if match is None:
        raise _no_window(text, "days and two times of day")
    start, end = _minutes(text, match["start"]), _minutes(text, match["end"])
    window = MaintenanceWindow(_days(text, match["days"]), start, (end - start) % MINUTES_OF_DAY)
    if window.minutes < MIN_MINUTES:
        raise _no_window(text, f"at least {MIN_MINUTES} minutes")
    return window


def _minutes(text: str, clock: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if hour > 23 or minute > 59:
        raise _no_window(text, "times from 00:00 to 23:59")
    return hour * 60 + minute


def _days(text: str, words: str) -> tuple[int, ...]:
    if words == EVERY_DAY:
        return tuple(range(7))
    found: set[int] = set()
    for part in words.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise _no_window(text, f"{EVERY_DAY}, or days such as Mon-Fri or Sat,Sun")
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 if dash else 0
        named = {(begin + each) % 7 for each in range(count + 1)}
        if found & named:
            raise _no_window(text, "each day once")
        found |= named
    return tuple(sorted(found))


def _no_window(text: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"maintenance window {text!r:.60}: expected {expected}", remedy=_REMEDY)


def _days_text(days: Iterable[int]) -> str:
    chosen = tuple(days)
    if len(chosen) == 7:
        return EVERY_DAY
    if len(chosen) > 2 and chosen == tuple(range(chosen[0], chosen[-1] + 1)):
        return f"{DAYS[chosen[0]]}-{DAYS[chosen[-1]]}"
    return ",".join(DAYS[day] for day in chosen)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
