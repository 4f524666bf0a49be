# SPDX-License-Identifier: Apache-2.0
"""The table of the uplink: every cell, what no cell allows, and how long each state waits."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from armillary.device.cellular.states import (
    MEANING,
    SIM_EVENTS,
    STEPS,
    TRANSITIONS,
    Step,
    UplinkEvent,
    UplinkState,
    advance,
    registration_event,
)
from armillary.device.cellular.waits import NEWS_ENDS_NO_WAIT, SIM_STARTS_S, STEADY_S, WAITS, Waits
from armillary.wire.modem.radio import Registration, SimState

S, E = UplinkState, UplinkEvent


def path(*events: UplinkEvent, begin: UplinkState = S.NO_MODEM) -> UplinkState:
    state = begin
    for event in events:
        state = advance(state, event)
    return state


def test_every_state_has_a_step_a_meaning_and_a_way_out() -> None:
    assert STEPS.keys() == MEANING.keys() == set(S)
    assert SIM_EVENTS.keys() == set(SimState)
    for state in S:
        assert {after for (before, _), after in TRANSITIONS.items() if before is state} - {state}
        assert advance(state, E.MODEM_GONE) is S.NO_MODEM
        assert advance(state, E.SWITCHED_OFF) is S.OFF


def test_the_whole_way_up_and_down() -> None:
    up = (E.MODEM_ANSWERS, E.PIN_WANTED, E.PIN_GIVEN, E.SIM_READY, E.REGISTERED, E.ATTACHED, E.SESSION_UP)
    assert path(*up) is S.CONNECTED
    assert path(*up, E.SESSION_UP) is S.CONNECTED
    assert path(*up, E.SESSION_GONE, E.SIM_READY, E.REGISTERED, E.ATTACHED, E.SESSION_UP) is S.CONNECTED
    assert path(*up, E.SESSION_GONE, E.SIM_READY, E.NETWORK_DENIES) is S.DENIED
    assert path(*up, E.ROAMING_NOT_WANTED) is S.ROAMING_REFUSED


def test_a_pin_is_never_tried_again_where_it_was_refused() -> None:
    """From PIN_REFUSED a SIM that still wants its PIN leads nowhere: only a change, or another answer of the SIM."""
    assert path(E.MODEM_ANSWERS, E.PIN_WANTED, E.PIN_WRONG) is S.PIN_REFUSED
    assert advance(S.PIN_REFUSED, E.PIN_WANTED) is S.PIN_REFUSED
    assert advance(S.PIN_REFUSED, E.CHANGED) is S.CHECKING_SIM
    for state in (S.PIN_REFUSED, S.CHECKING_PIN):
        assert S.ENTERING_PIN not in {after for (before, _), after in TRANSITIONS.items() if before is state}
    assert [state for state, step in STEPS.items() if step is Step.ENTER_PIN] == [S.ENTERING_PIN]


def test_a_pin_is_taken_when_the_sim_is_ready_and_not_when_the_modem_says_so() -> None:
    given = path(E.MODEM_ANSWERS, E.PIN_WANTED, E.PIN_GIVEN)
    assert given is S.CHECKING_PIN
    assert path(E.PIN_WANTED, E.SIM_UNKNOWN, E.PIN_WANTED, begin=given) is S.CHECKING_PIN
    assert path(E.PIN_WRONG, begin=given) is S.PIN_REFUSED
    assert {event for (before, event), after in TRANSITIONS.items() if (before, after) == (given, S.SEARCHING)} == {
        E.SIM_READY
    }
    assert waited(Waits(), [S.ENTERING_PIN, S.CHECKING_PIN, S.CHECKING_PIN]) == [0.0, 0.0, SIM_STARTS_S]


def test_what_hinders_the_device_ends_no_session_and_is_waited_for() -> None:
    for state, step in STEPS.items():
        if step not in (Step.NOTHING, Step.OPEN):
            after = advance(state, E.HINDERED)
            assert after is (S.CONNECTED if state is S.CONNECTED else S.LOST)
            assert after in WAITS


def test_what_has_a_network_tried_again_waits_whatever_the_modem_says() -> None:
    """From a wait that news ends, nothing leads at once to what asks a network, unless the session was there."""
    asks = {Step.ASK_REGISTRATION, Step.ATTACH, Step.START_SESSION}
    assert {state for state in WAITS if STEPS[state] in asks} | {S.LOST} == NEWS_ENDS_NO_WAIT


def test_what_cannot_happen_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError):
        advance(S.NO_MODEM, E.SESSION_UP)


@pytest.mark.parametrize(
    ("found", "roaming", "event"),
    [
        (Registration.HOME, False, E.REGISTERED),
        (Registration.ROAMING, True, E.REGISTERED),
        (Registration.ROAMING, False, E.ROAMING_NOT_WANTED),
        (Registration.DENIED, True, E.NETWORK_DENIES),
        (Registration.SEARCHING, True, E.NOT_REGISTERED),
        (Registration.IDLE, True, E.NOT_REGISTERED),
        (Registration.UNKNOWN, True, E.NOT_REGISTERED),
    ],
)
def test_registrations_become_events(found: Registration, roaming: bool, event: UplinkEvent) -> None:
    assert registration_event(found, roaming=roaming) is event


def waited(waits: Waits, states: Iterable[UplinkState]) -> list[float]:
    found, before = [], S.NO_MODEM
    for state in states:
        found.append(waits.after(before, state, 0.0))
        before = state
    return found


def test_a_state_that_lasts_waits_longer_and_longer_up_to_its_limit() -> None:
    found = waited(Waits(), [S.DENIED] * 8)
    assert found == [30.0, 60.0, 120.0, 240.0, 480.0, 720.0, 720.0, 720.0]


@pytest.mark.parametrize("state", sorted(WAITS))
def test_a_state_that_lasts_for_weeks_waits_as_long_as_ever(state: UplinkState) -> None:
    """A number that is doubled 1,024 times is none any more: the uplink ended for good after nine hours without network."""
    assert waited(Waits(), [state] * 3000)[20:] == [WAITS[state][1]] * 2980


def test_what_gets_on_does_not_wait() -> None:
    assert waited(Waits(), [S.CHECKING_SIM, S.REGISTERED, S.ATTACHED]) == [0.0, 0.0, 0.0]


def test_a_session_that_is_lost_again_and_again_is_started_more_and_more_slowly() -> None:
    waits, found = Waits(), []
    for _ in range(12):
        waits.after(S.ATTACHED, S.CONNECTED, 0.0)
        found.append(waits.after(S.CONNECTED, S.LOST, 1.0))
    assert found == [min(2.0**number, 300.0) for number in range(12)]


def test_a_session_that_stood_makes_up_for_what_failed_before() -> None:
    waits = Waits()
    for _ in range(5):
        waits.after(S.ATTACHED, S.LOST, 0.0)
    waits.after(S.ATTACHED, S.CONNECTED, 10.0)
    waits.after(S.CONNECTED, S.CONNECTED, 10.0 + STEADY_S)
    assert waits.after(S.CONNECTED, S.LOST, 200.0) == WAITS[S.LOST][0]


@given(st.lists(st.sampled_from(sorted(WAITS)), min_size=1, max_size=60))
def test_every_wait_has_its_bounds(states: list[UplinkState]) -> None:
    for state, wait_s in zip(states, waited(Waits(), states), strict=True):
        first, limit = WAITS[state]
        assert first <= wait_s <= limit


def test_a_pin_that_is_set_is_given_at_once() -> None:
    assert path(E.MODEM_ANSWERS, E.PIN_WANTED) is S.ENTERING_PIN
    assert waited(Waits(), [S.CHECKING_SIM, S.ENTERING_PIN]) == [0.0, 0.0]
    assert path(E.MODEM_ANSWERS, E.PIN_WANTED, E.NO_PIN, E.PIN_WANTED) is S.PIN_NEEDED
    assert path(E.MODEM_ANSWERS, E.PIN_WANTED, E.NO_PIN, E.CHANGED, E.PIN_WANTED) is S.ENTERING_PIN
