# SPDX-License-Identifier: Apache-2.0
"""Every cell of the roll-out's state table."""

from __future__ import annotations

import pytest

from armillary.errors import ConflictError
from armillary.rollout.state import EVENTS, STATES, TRANSITIONS, after

ALLOWED = {
    ("proposed", "approve"): "running",
    ("proposed", "cancel"): "cancelled",
    ("running", "hold"): "held",
    ("running", "roll-back"): "rolling-back",
    ("running", "finish"): "completed",
    ("running", "cancel"): "cancelled",
    ("held", "resume"): "running",
    ("held", "roll-back"): "rolling-back",
    ("held", "cancel"): "cancelled",
    ("rolling-back", "restored"): "rolled-back",
    ("completed", "roll-back"): "rolling-back",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_cell(state: str, event: str) -> None:
    wanted = ALLOWED.get((state, event))
    if wanted is None:
        with pytest.raises(ConflictError) as refused:
            after(state, event)
        assert refused.value.remedy
    else:
        assert after(state, event) == wanted


def test_the_table_names_known_states_and_events_only() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert {event for row in TRANSITIONS.values() for event in row} == set(EVENTS)
    assert {state for row in TRANSITIONS.values() for state in row.values()} <= set(STATES)


def test_what_is_proposed_begins_by_approval_alone() -> None:
    assert [event for event, state in TRANSITIONS["proposed"].items() if state == "running"] == ["approve"]
    assert not [state for state, row in TRANSITIONS.items() if "proposed" in row.values()]


def test_only_a_person_ends_a_hold() -> None:
    assert set(TRANSITIONS["held"]) == {"resume", "roll-back", "cancel"}
