# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given, strategies as st

from armillary.guard.clock import _NEXT, MAX_UNCONFIRMED_S, ClockEvent, ClockState, Pair, corrected, look, time_of, told
from armillary.wire.equipment.message import ClockQuality

NOON = 1_780_000_000.0


def test_the_table_has_every_cell() -> None:
    assert set(_NEXT) == {(quality, event) for quality in ClockQuality for event in ClockEvent}


def test_time_is_the_wall_clocks_until_somebody_says_it() -> None:
    state = look(ClockState(), Pair(1000.0, 10.0))
    assert (state.quality, time_of(state, Pair(1001.0, 11.0))) == (ClockQuality.UNSYNCED, 1001.0)


def test_once_it_was_said_steps_of_the_wall_clock_change_nothing() -> None:
    state = told(look(ClockState(), Pair(1000.0, 10.0)), Pair(1010.0, 20.0), NOON)
    assert state.quality is ClockQuality.SYNCED
    for wall in (0.0, 4e9, 1020.0):
        state = look(state, Pair(wall, 30.0))
        assert (state.quality, time_of(state, Pair(wall, 30.0))) == (ClockQuality.SYNCED, NOON + 10)
    assert state.steps == 3


def test_the_kernels_word_is_one_too() -> None:
    state = look(ClockState(), Pair(NOON, 10.0), kernel_synced=True)
    assert (state.quality, state.right) == (ClockQuality.SYNCED, Pair(NOON, 10.0))


def test_what_nobody_confirmed_for_days_is_not_relied_on() -> None:
    state = told(ClockState(), Pair(NOON, 10.0), NOON)
    assert look(state, Pair(NOON, 10.0 + MAX_UNCONFIRMED_S)).quality is ClockQuality.SYNCED
    late = look(state, Pair(NOON, 11.0 + MAX_UNCONFIRMED_S))
    assert late.quality is ClockQuality.UNSYNCED
    assert told(late, Pair(NOON, 12.0 + MAX_UNCONFIRMED_S), NOON).quality is ClockQuality.SYNCED


def test_a_clock_that_is_slewed_was_not_set() -> None:
    state = ClockState()
    for second in range(0, 6000, 600):  # as fast as an NTP client slews
        state = look(state, Pair(NOON + second * 1.0005, float(second)))
    assert state.steps == 0
    state = look(state, Pair(NOON - 3600, 6000.0))
    assert (state.steps, round(state.last_step_s)) == (1, -3600 - 5400 - 3 - 600)


@given(st.floats(0, 1e8), st.floats(0, 1e8), st.floats(-1e9, 4e9))
def test_a_correction_keeps_the_distances_that_the_monotonic_clock_saw(
    first: float, second: float, wall: float
) -> None:
    right = Pair(wall, 500.0)
    assert abs((corrected(second, right) - corrected(first, right)) - (second - first)) < 1e-3
    assert corrected(500.0, right) == wall
