# SPDX-License-Identifier: Apache-2.0
"""Quiet times: what a rule does in them, at their end, and over changes of the clock."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.json_form import from_json, to_json
from armillary.twin.rule.quiet import QuietClock
from armillary.twin.rule.rule import Facts, Rule
from armillary.twin.rule.state import State
from armillary.twin.rule.table import Event
from armillary.twin.rule.trace import why
from armillary.wire.text.week_windows import MINUTES_OF_WEEK, WeekWindow, minutes_of, parse_window

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"times": ["daily 22:00-06:00"], "zone": "Europe/Berlin"}
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")


def rule(**fields: Any) -> Rule:
    base: dict[str, Any] = {"name": "r", "conditions": [{"telemetry": "t", "op": ">", "value": 10}], "quiet": NIGHT}
    return from_json({**base, **fields})


def at(*moment: int, zone: dt.tzinfo = BERLIN) -> int:
    year, month, day, hour, minute = moment
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=zone).timestamp()) * 1000


class Run:
    """One rule and one device from an evening on."""

    def __init__(self, made: Rule) -> None:
        self.program = Program(made)
        self.state: State = start(self.program, at(2026, 11, 2, 12, 0))
        self.said = ""

    def then(self, now_ms: int, value: float | None = None) -> list[str]:
        event = None if value is None else Event(now_ms, {"t": value})
        self.state, entries = step(self.program, self.state, event, now_ms, Facts("d"))
        self.said = why(self.program.rule, entries[-1]) if entries else ""
        return [each.outcome.value for each in entries]


def test_what_is_met_in_a_quiet_time_fires_at_its_end_if_it_still_is() -> None:
    run = Run(rule())
    assert run.then(at(2026, 11, 2, 23, 0), 11.0) == ["quiet"]
    assert run.said == ("a message: did not fire, because the rule is quiet until 2026-11-03T05:00:00.000Z.")
    assert run.state.deadline_ms == at(2026, 11, 3, 6, 0)
    assert run.then(at(2026, 11, 3, 5, 59)) == []
    assert run.then(at(2026, 11, 3, 6, 0)) == ["fired"]


def test_what_is_over_before_the_end_fires_not_and_what_fired_before_goes_on_as_always() -> None:
    run = Run(rule())
    assert run.then(at(2026, 11, 2, 21, 59), 11.0) == ["fired"]
    assert run.then(at(2026, 11, 2, 23, 0), 12.0) == ["still met"]
    assert run.then(at(2026, 11, 2, 23, 1), 1.0) == ["cleared"]
    assert run.then(at(2026, 11, 2, 23, 2), 11.0) == ["quiet"]
    assert run.then(at(2026, 11, 2, 23, 3), 1.0) == ["not met"]
    assert run.then(at(2026, 11, 3, 6, 0)) == []
    assert run.state.firings == 1


def test_hold_cool_down_repeats_and_silence_are_with_quiet_times_as_without() -> None:
    held = Run(rule(hold_s=3600))
    assert held.then(at(2026, 11, 3, 5, 30), 11.0) == ["waiting"]
    assert held.then(at(2026, 11, 3, 6, 0)) == []
    assert held.then(at(2026, 11, 3, 6, 30)) == ["fired"]
    again = Run(rule(repeat=True))
    assert [again.then(at(2026, 11, 2, hour, 0), 11.0) for hour in (21, 23)] == [["fired"], ["quiet"]]
    cooled = Run(rule(cool_down_s=3600))
    for minute, value in ((30, 11.0), (40, 1.0)):
        cooled.then(at(2026, 11, 2, 21, minute), value)
    assert cooled.then(at(2026, 11, 2, 23, 0), 11.0) == ["quiet"]
    assert cooled.then(at(2026, 11, 3, 6, 0)) == ["fired"]
    silent = Run(rule(conditions=[{"silent_s": 600}]))
    silent.then(at(2026, 11, 2, 21, 55), 1.0)
    assert silent.then(at(2026, 11, 2, 22, 5)) == ["quiet"]
    assert silent.then(at(2026, 11, 3, 6, 0)) == ["fired"]


def test_it_comes_back_from_json_as_it_was() -> None:
    made = rule(quiet={"times": ["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"], "zone": "UTC"})
    assert from_json(to_json(made)) == made
    assert to_json(made)["quiet"] == {"times": ["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"], "zone": "UTC"}
    assert "quiet" not in to_json(rule(quiet=None))


@pytest.mark.parametrize(
    ("quiet", "said"),
    [
        ({}, "quiet.times: expected a list"),
        ({"times": [], "zone": "UTC"}, "quiet.times: expected a list"),
        ({"times": ["daily 01:00-02:00"] * 15, "zone": "UTC"}, "quiet.times: expected a list"),
        ({"times": ["at night"], "zone": "UTC"}, "quiet.times[0]: expected days"),
        ({"times": ["Mon 24:00-01:00"], "zone": "UTC"}, "quiet.times[0]: expected times"),
        ({"times": ["daily 00:00-24:00"], "zone": "UTC"}, "quiet.times: expected some time of the week"),
        ({"times": ["daily 01:00-02:00"]}, "quiet.zone: expected text"),
        ({"times": ["daily 01:00-02:00"], "zone": "CET/Now"}, "quiet.zone: expected a name such as"),
        ({"times": ["daily 01:00-02:00"], "zone": "../../etc/passwd"}, "quiet.zone: expected a name such as"),
        ({"times": ["daily 01:00-02:00"], "zone": "UTC", "days": 1}, "quiet: expected only"),
        ("nights", "quiet: expected a JSON object"),
    ],
)
def test_what_is_no_quiet_time_is_refused_by_its_field(quiet: object, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        rule(quiet=quiet)
    assert raised.value.message.startswith(said)
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("now", "end"),
    [
        # The clock goes from 2 to 3 h on 2026-03-29: the night is an hour shorter.
        ((2026, 3, 28, 23, 0), (2026, 3, 29, 6, 0)),
        # It goes from 3 to 2 h on 2026-10-25: the night is an hour longer.
        ((2026, 10, 24, 23, 0), (2026, 10, 25, 6, 0)),
    ],
)
def test_a_quiet_time_ends_by_the_clock_on_the_wall(now: tuple[int, ...], end: tuple[int, ...]) -> None:
    clock = QuietClock([parse_window("daily 22:00-06:00", "x")], BERLIN)
    assert clock.until_ms(at(*now)) == at(*end)


@settings(max_examples=60, deadline=None)
@given(
    windows=st.lists(
        st.builds(
            WeekWindow,
            st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
            st.integers(0, 1439),
            st.integers(15, 1440),
        ),
        min_size=1,
        max_size=3,
    ),
    zone_name=st.sampled_from(ZONES),
    day=st.integers(0, 364),
    minute=st.integers(0, 1439),
)
@example([WeekWindow((6,), 60, 60)], "Europe/Berlin", 87, 60)
@example([WeekWindow((6,), 105, 30)], "Australia/Lord_Howe", 93, 100)
def test_every_minute_before_the_end_is_quiet_by_the_wall_clock_and_the_end_is_not(
    windows: list[WeekWindow], zone_name: str, day: int, minute: int
) -> None:
    week = minutes_of(windows)
    if len(week) == MINUTES_OF_WEEK:
        return
    zone = ZoneInfo(zone_name)
    now = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()) + day * 86_400 + minute * 60 + 17

    def is_quiet(moment: int) -> bool:
        shown = dt.datetime.fromtimestamp(moment, zone)
        return shown.weekday() * 1440 + shown.hour * 60 + shown.minute in week

    end = QuietClock(windows, zone).until_ms(now * 1000) // 1000
    assert bool(end) is is_quiet(now)
    if end:
        assert all(is_quiet(moment) for moment in range(now, end, 60))
        assert not is_quiet(end)
