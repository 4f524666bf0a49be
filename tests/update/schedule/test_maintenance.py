# SPDX-License-Identifier: Apache-2.0
"""Maintenance windows: what people write, and the moments that the clock on the wall makes of it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.update.schedule.maintenance import (
    HORIZON_DAYS,
    MAX_OF_GROUP,
    moments,
    parse_windows,
)
from armillary.wire.device.offer_timing import MAX_WINDOWS, Window
from armillary.wire.text.week_windows import DAYS, MINUTES_OF_DAY, WeekWindow

BERLIN = ZoneInfo("Europe/Berlin")
# Half an hour of daylight saving; a date line that was moved; changes at midnight; no changes; 45 minutes off.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Kathmandu",
    "Africa/Casablanca",
)


def at(zone: dt.tzinfo, *moment: int, fold: int = 0) -> int:
    year, month, day, hour, minute = moment
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold).timestamp())


def test_windows_are_written_as_people_say_them() -> None:
    texts = ("Mon-Fri 01:00-05:00", "Sat,Sun 22:00-02:00", "daily 12:00-12:15", "Fri-Mon 08:00-09:00")
    assert [str(parse_windows([text])[0]) for text in texts] == [*texts[:3], "Mon,Fri,Sat,Sun 08:00-09:00"]
    assert parse_windows(["Sat 22:00-02:00"]) == (WeekWindow((5,), 22 * 60, 240),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01:00-05:00",
        "Mon 1:00-5:00",
        "Mon 01:00-24:00",
        "Mon 01:60-02:00",
        "mon 01:00-05:00",
        "Mon,Mon 01:00-05:00",
        "Mon-Sun,Tue 01:00-05:00",
        "Someday 01:00-05:00",
        "Mon-Tue-Wed 01:00-05:00",
        "Mon 01:00-05:00 ",
        "Mon 01:00-01:00",
        "Mon 01:00-01:14",
        "Mon \u0661\u0661:00-05:00",
    ],
)
def test_what_is_no_window_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="maintenance window"):
        parse_windows([text])


@pytest.mark.parametrize(
    "texts",
    [
        ("Mon 01:00-05:00", "Mon 04:00-06:00"),
        ("Mon 01:00-05:00", "Mon 05:00-06:00"),
        ("daily 22:00-02:00", "Wed 01:00-03:00"),
        ("Sun 23:00-02:00", "Mon 01:00-03:00"),
        ("Mon 01:00-05:00", "Mon 01:00-05:00"),
    ],
)
def test_windows_that_contradict_each_other_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="overlap or touch"):
        parse_windows(texts)


def test_too_many_windows_are_refused() -> None:
    texts = [f"{day} {hour:02}:00-{hour + 1:02}:00" for day in DAYS for hour in (1, 5, 9)]
    with pytest.raises(InvalidArgumentError, match="at most"):
        parse_windows(texts[: MAX_OF_GROUP + 1])


def test_a_night_in_berlin_is_an_hour_later_in_winter() -> None:
    night = parse_windows(["Sat 01:00-05:00"])
    summer, winter = at(BERLIN, 2026, 7, 10, 12, 0), at(BERLIN, 2026, 12, 4, 12, 0)
    assert moments(night, BERLIN, now=summer)[0] == Window(
        at(dt.UTC, 2026, 7, 10, 23, 0), at(dt.UTC, 2026, 7, 11, 3, 0)
    )
    assert moments(night, BERLIN, now=winter)[0] == Window(at(dt.UTC, 2026, 12, 5, 0, 0), at(dt.UTC, 2026, 12, 5, 4, 0))


def test_a_window_in_the_hour_that_is_skipped_is_not_there_that_day() -> None:
    skipped = parse_windows(["Sun 02:00-03:00"])
    found = moments(skipped, BERLIN, now=at(BERLIN, 2026, 3, 27, 0, 0))
    assert found[0].start == at(BERLIN, 2026, 4, 5, 2, 0)
    longer = moments(parse_windows(["Sun 01:00-05:00"]), BERLIN, now=at(BERLIN, 2026, 3, 27, 0, 0))
    assert (longer[0].end - longer[0].start) // 3600 == 3


def test_a_window_in_the_hour_that_comes_twice_is_there_twice() -> None:
    now = at(BERLIN, 2026, 10, 23, 0, 0)
    found = moments(parse_windows(["Sun 02:00-02:30"]), BERLIN, now=now)
    assert found[:2] == (
        Window(at(BERLIN, 2026, 10, 25, 2, 0), at(BERLIN, 2026, 10, 25, 2, 30)),
        Window(at(BERLIN, 2026, 10, 25, 2, 0, fold=1), at(BERLIN, 2026, 10, 25, 2, 30, fold=1)),
    )


def test_a_window_that_has_begun_is_the_first() -> None:
    now = at(BERLIN, 2026, 7, 12, 0, 30)
    found = moments(parse_windows(["Sat 23:00-02:00"]), BERLIN, now=now)
    assert found[0] == Window(at(BERLIN, 2026, 7, 11, 23, 0), at(BERLIN, 2026, 7, 12, 2, 0))


def test_as_many_windows_as_an_offer_holds() -> None:
    twice = parse_windows(["daily 01:00-02:00", "daily 13:00-14:00"])
    assert len(moments(twice, dt.UTC, now=0)) == MAX_WINDOWS


WINDOWS = st.builds(
    WeekWindow,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, MINUTES_OF_DAY - 1),
    st.integers(15, MINUTES_OF_DAY - 1),
)


@settings(deadline=None)
@given(WINDOWS, st.sampled_from(ZONES), st.integers(1_700_000_000, 2_000_000_000))
@example(WeekWindow((6,), 120, 60), "Europe/Berlin", at(BERLIN, 2026, 3, 28, 0, 0))
@example(WeekWindow((5, 6), 0, 30), "America/Havana", at(ZoneInfo("America/Havana"), 2026, 3, 7, 0, 0))
@example(WeekWindow((6,), 105, 30), "Australia/Lord_Howe", at(ZoneInfo("Australia/Lord_Howe"), 2026, 4, 4, 0, 0))
def test_a_moment_is_in_a_window_if_the_clock_on_the_wall_says_so(window: WeekWindow, zone_name: str, now: int) -> None:
    """The definition, minute by minute, around each change of the clock and a while after ``now``."""
    zone = ZoneInfo(zone_name)
    found = moments((window,), zone, now=now, limit=1_000)
    assert all(one.start < one.end for one in found)
    assert [one.start for one in found] == sorted(one.start for one in found)
    first = now - now % 60 + 60
    looked_at = {*range(first, first + 3 * 24 * 3600, 60), *_around_changes(zone, first)}
    for moment in looked_at:
        local = dt.datetime.fromtimestamp(moment, zone)
        minute = local.hour * 60 + local.minute
        yesterday = (local.weekday() - 1) % 7
        by_wall = (local.weekday() in window.days and window.start <= minute < window.start + window.minutes) or (
            yesterday in window.days and minute < window.start + window.minutes - MINUTES_OF_DAY
        )
        assert any(one.start <= moment < one.end for one in found) == by_wall, local


def _around_changes(zone: dt.tzinfo, first: int) -> set[int]:
    """The minutes of three hours before and after each change of the clock within the horizon."""
    found: set[int] = set()
    for hour in range(first - first % 3600 + 3600, first + (HORIZON_DAYS - 1) * 24 * 3600, 3600):
        before, after = (dt.datetime.fromtimestamp(each, zone).utcoffset() for each in (hour, hour + 3600))
        if before != after:
            found |= set(range(max(first, hour - 3 * 3600), hour + 3 * 3600, 60))
    return found
