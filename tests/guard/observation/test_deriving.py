# SPDX-License-Identifier: Apache-2.0
"""Derived values by the fixed operators, and counters that wrap or begin anew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from armillary.guard.observation.deriving import SAMPLES, Deriver, growth
from armillary.wire.equipment.profile import Derived, ModbusAddress, ModbusTcp, Operator, Point, Profile, Table
from armillary.wire.equipment.reading import Quality, Reading


def deriver(operator: Operator, *inputs: str, window_s: float = 3600.0, limit: float = 0.0) -> Deriver:
    points = tuple(
        Point(
            name=name, address=ModbusAddress(Table.INPUT, 2 * at), raw="u16", group="g", counter=name.endswith("Count")
        )
        for at, name in enumerate(inputs)
    )
    derived = Derived(name="d", operator=operator, inputs=inputs, window_s=window_s, limit=limit)
    link = ModbusTcp(host="10.9.0.2")
    return Deriver(
        Profile(
            name="guard/x",
            version=1,
            title="x",
            manufacturer="x",
            model="x",
            link=link,
            groups={"g": 1.0},
            points=points,
            derived=(derived,),
        )
    )


def given_values(values: Deriver, now: float, **readings: float | None) -> Reading | None:
    fresh = [
        Reading(point, value, Quality.BAD if value is None else Quality.GOOD, 1000.0 + now)
        for point, value in readings.items()
    ]
    found = values.take(fresh, now)
    return found[0] if found else None


def value_of(reading: Reading | None) -> float | None:
    assert reading is not None
    assert (reading.value is None) == (reading.quality is not Quality.GOOD)
    assert not isinstance(reading.value, str)
    return reading.value


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [(10, 15, 5), (65530, 4, 10), (30000, 3, 3), (5, 5, 0), (1, 0, 0), (65535, 0, 1)],
)
def test_a_counter_that_falls_wrapped_or_began_anew(before, after, grown):
    assert growth(before, after, 65536) == grown


@given(st.integers(0, 65535), st.integers(0, 32767))
def test_every_step_of_less_than_half_the_range_is_counted_rightly_across_the_wrap(start, step):
    assert growth(start, (start + step) % 65536, 65536) == step


def test_a_ratio_is_of_growths_in_the_window():
    ratio = deriver(Operator.RATIO, "washCount", "passCount")
    assert value_of(given_values(ratio, 0, washCount=100, passCount=1000)) is None  # Nothing passed yet
    assert value_of(given_values(ratio, 60, washCount=103, passCount=1004)) == 0.75
    assert value_of(given_values(ratio, 1800, washCount=110, passCount=1020)) == 0.5
    assert value_of(given_values(ratio, 9000, passCount=1024)) == 0  # What was washed before the window is over
    assert value_of(given_values(ratio, 9060, washCount=112)) == 0.5


def test_sums_differences_and_means_need_all_their_inputs():
    for operator, expected in ((Operator.SUM, 10.0), (Operator.DIFFERENCE, 4.0), (Operator.MEAN, 5.0)):
        derived = deriver(operator, "a", "b")
        first = given_values(derived, 0, a=7.0)
        assert first is not None
        assert first.quality is Quality.BAD
        assert value_of(given_values(derived, 1, b=3.0)) == expected
        lost = given_values(derived, 2, a=None)
        assert lost is not None
        assert (lost.value, lost.quality) == (expected, Quality.STALE)
        assert value_of(given_values(derived, 3, a=7.0)) == expected


def test_readings_of_other_points_derive_nothing():
    assert given_values(deriver(Operator.SUM, "a", "b"), 0, c=1.0) is None


def test_a_rate_is_growth_a_second_over_the_wrap():
    rate = deriver(Operator.RATE, "cupCount", window_s=100.0)
    assert value_of(given_values(rate, 0, cupCount=65530)) is None
    assert value_of(given_values(rate, 50, cupCount=4)) == 0.2
    assert value_of(given_values(rate, 100, cupCount=4)) == 0.1


def walk(derived: Deriver, values: Sequence[float], every_s: float = 60.0, start: float = 0.0) -> list[float | None]:
    return [value_of(given_values(derived, start + index * every_s, v=value)) for index, value in enumerate(values)]


def test_a_filter_is_used_up_in_as_long_as_its_rate_says():
    assert walk(deriver(Operator.REMAINING, "v"), [240, 239, 238, 236]) == [None, 14340, 14280, 10620]


def test_a_new_filter_begins_a_new_course():
    derived = deriver(Operator.REMAINING, "v")
    assert walk(derived, [4, 3, 2]) == [None, 180, 120]
    assert walk(derived, [240, 239], start=180) == [None, 14340]


def test_what_is_over_its_limit_stays_due_until_it_goes_back():
    derived = deriver(Operator.REMAINING, "v", limit=60.0)
    assert walk(derived, [58, 59, 60, 61, 62]) == [None, 60, 0, 0, 0]
    assert walk(derived, [0, 1], start=300) == [None, 3540]


def test_what_was_over_its_limit_from_the_start_is_due_when_it_moved_twice():
    assert walk(deriver(Operator.REMAINING, "v", limit=60.0), [65, 66, 67, 68]) == [None, None, 0, 0]


def test_what_does_not_move_has_no_time_left_to_tell():
    assert walk(deriver(Operator.REMAINING, "v"), [240, 240, 240]) == [None, None, None]


def test_the_window_is_bounded_whatever_is_read():
    derived = deriver(Operator.RATE, "cupCount", window_s=60.0)
    for step in range(20_000):
        given_values(derived, step * 0.01, cupCount=step % 65536)
    (track,) = derived._values[0]._tracks.values()  # The bound itself is inside
    assert len(track.samples) <= SAMPLES + 2


@given(st.lists(st.tuples(st.floats(0.1, 4000), st.one_of(st.none(), st.integers(0, 65535))), max_size=40))
def test_whatever_comes_a_derived_value_is_finite_or_none(steps):
    for operator in Operator:
        two = operator in (Operator.RATIO, Operator.DIFFERENCE)
        derived, now = deriver(operator, *(("aCount", "bCount") if two else ("aCount",)), limit=100.0), 0.0
        for passed, value in steps:
            now += passed
            reading = given_values(derived, now, **dict.fromkeys(("aCount", "bCount") if two else ("aCount",), value))
            assert reading is not None
            if reading.quality is Quality.GOOD:
                assert isinstance(reading.value, (int, float))
                assert abs(reading.value) < 1e12
