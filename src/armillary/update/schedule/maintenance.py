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
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.device.offer_timing import MAX_WINDOWS, Window
from armillary.wire.text.week_windows import (
    MINUTES_OF_DAY,
    MINUTES_OF_WEEK,
    WeekWindow,
    clock_changes,
    local,
    minute_of_week,
    minutes_of,
    parse_window,
)

# Windows of one group: more are a calendar, which nobody can check by looking at it.
MAX_OF_GROUP: Final = 14
# How far ahead moments are reckoned, days: a little more than the longest interval between two check-ins.
HORIZON_DAYS: Final = 32


def parse_windows(texts: Sequence[str]) -> tuple[WeekWindow, ...]:
    """Windows as people write them, in the order of the week.

    Raises:
        InvalidArgumentError: one of them is no window or too short, there are too many, or two overlap or touch.
    """
    if len(texts) > MAX_OF_GROUP:
        raise InvalidArgumentError(
            f"maintenance windows: expected at most {MAX_OF_GROUP}, got {len(texts)}", remedy="Join some of them."
        )
    found = sorted(
        (parse_window(text, "maintenance window") for text in texts), key=lambda window: next(window.starts())
    )
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
    windows: Sequence[WeekWindow], zone: dt.tzinfo, *, now: int, limit: int = MAX_WINDOWS
) -> tuple[Window, ...]:
    """The windows that are not over at ``now``, as moments (Unix seconds UTC), for :data:`HORIZON_DAYS` ahead.

    The first one may have begun. At most ``limit``, the nearest.
    """
    since = now - now % 60 - 24 * 3600  # a window that began yesterday may last
    until = now + HORIZON_DAYS * 24 * 3600
    week = minutes_of(windows)
    found: list[Window] = []
    begun: int | None = None
    for moment in (*_changes(windows, zone, since, until), until):
        is_open = moment < until and minute_of_week(moment, zone) in week
        if is_open and begun is None:
            begun = moment
        elif not is_open and begun is not None:
            if moment > now:
                found.append(Window(begun, moment))
            begun = None
        if len(found) == limit:
            break
    return tuple(found)


def _changes(windows: Sequence[WeekWindow], zone: dt.tzinfo, since: int, until: int) -> list[int]:
    """Every moment at which a window can open or close, rising: begins, ends, and changes of the clock."""
    clocks = {minute % MINUTES_OF_DAY for one in windows for minute in (one.start, one.start + one.minutes)}
    found = {since}
    day, last = local(since, zone).date(), local(until, zone).date()
    while day <= last:
        for clock in clocks:
            at = dt.datetime.combine(day, dt.time(*divmod(clock, 60)), zone)
            found |= {int(at.replace(fold=fold).timestamp()) for fold in (0, 1)}
        day += dt.timedelta(days=1)
    found |= set(clock_changes(zone, since, until))
    return sorted(moment for moment in found if since <= moment < until)
