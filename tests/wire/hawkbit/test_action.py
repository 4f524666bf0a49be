# SPDX-License-Identifier: Apache-2.0
"""The states of an action: every cell of the table, and what a controller's words lead to."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from armillary.errors import ConflictError
from armillary.wire.hawkbit.action import (
    EVENTS,
    FINAL,
    STATES,
    TRANSITIONS,
    after,
    cancel_event_of,
    event_of,
)
from armillary.wire.hawkbit.feedback import EXECUTIONS, RESULTS, Feedback


@pytest.mark.parametrize(("state", "event"), list(itertools.product(STATES, EVENTS)))
def test_every_cell(state: str, event: str) -> None:
    possible = TRANSITIONS[state]
    if event in possible:
        assert after(state, event) == possible[event]
        assert possible[event] in STATES
    else:
        with pytest.raises(ConflictError) as refused:
            after(state, event)
        assert refused.value.code == "bridge.action-closed"


def test_what_is_closed_stays_closed_and_everything_else_can_be_closed() -> None:
    assert {state for state in STATES if not TRANSITIONS[state]} == FINAL
    for state in set(STATES) - FINAL:
        assert after(state, "succeed") == "finished"
        assert after(state, "fail") == "error"


def test_a_cancellation_is_only_answered_while_there_is_one() -> None:
    for state in set(STATES) - FINAL - {"canceling"}:
        for event in ("confirm-cancel", "reject-cancel", "fail-cancel"):
            with pytest.raises(ConflictError, match="cannot"):
                after(state, event)
    assert [after("canceling", event) for event in ("confirm-cancel", "reject-cancel", "fail-cancel")] == [
        "canceled", "running", "error",
    ]  # fmt: skip


@given(st.lists(st.sampled_from(EVENTS)))
def test_progress_never_undoes_that_the_server_cancels(events: list[str]) -> None:
    """From ``cancel`` on only the controller's answer to it, or the end of the action, leads out of ``canceling``."""
    state = after("offered", "cancel")
    for event in events:
        if event not in TRANSITIONS[state]:
            continue
        was, state = state, after(state, event)
        if was == "canceling" and state not in ("canceling", *FINAL):
            assert event == "reject-cancel"


# hawkBit's DDI root controller: what a controller says, what the action is then.
UPDATES = {
    ("closed", "success"): "finished",
    ("closed", "none"): "finished",
    ("closed", "failure"): "error",
    ("proceeding", "none"): "running",
    ("proceeding", "failure"): "warning",
    ("scheduled", "none"): "running",
    ("resumed", "none"): "running",
    ("download", "none"): "download",
    ("downloaded", "none"): "downloaded",
    ("rejected", "none"): "warning",
    ("canceled", "none"): "error",
}
CANCELLATIONS = {
    ("closed", "success"): "canceled",
    ("closed", "none"): "canceled",
    ("closed", "failure"): "error",
    ("rejected", "none"): "running",
    ("canceled", "none"): "canceled",
    ("proceeding", "none"): "canceling",
}


@pytest.mark.parametrize(("said", "state"), UPDATES.items())
def test_feedback_about_an_update(said: tuple[str, str], state: str) -> None:
    assert after("retrieved", event_of(Feedback(execution=said[0], finished=said[1]))) == state


@pytest.mark.parametrize(("said", "state"), CANCELLATIONS.items())
def test_feedback_about_a_cancellation(said: tuple[str, str], state: str) -> None:
    assert after("canceling", cancel_event_of(Feedback(execution=said[0], finished=said[1]))) == state


def test_every_word_of_a_controller_is_an_event_of_every_open_state() -> None:
    for execution, finished, state in itertools.product(EXECUTIONS, RESULTS, set(STATES) - FINAL):
        assert after(state, event_of(Feedback(execution=execution, finished=finished))) in STATES
        assert after("canceling", cancel_event_of(Feedback(execution=execution, finished=finished))) in STATES
