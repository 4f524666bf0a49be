# SPDX-License-Identifier: Apache-2.0
"""The A/B table: every cell, and whole histories."""

from __future__ import annotations

import itertools

import pytest

from armillary.boot.slots import TRANSITIONS, TRIES, SlotEffect, SlotEvent, SlotState, SlotTable, select
from armillary.errors import BootRefusedError


def table(state: SlotState, active: str = "a", tries_left: int = 2) -> SlotTable:
    return SlotTable(active=active, state=state, tries_left=0 if state is SlotState.STEADY else tries_left)


def test_every_cell_is_filled():
    assert set(TRANSITIONS) == set(itertools.product(SlotState, SlotEvent))


@pytest.mark.parametrize("active", ["a", "b"])
@pytest.mark.parametrize(("state", "event"), list(itertools.product(SlotState, SlotEvent)))
def test_walk_every_cell(state: SlotState, event: SlotEvent, active: str):
    before = table(state, active)
    following, effect = TRANSITIONS[state, event]
    if effect is SlotEffect.REFUSE:
        with pytest.raises(BootRefusedError, match=event.value):
            before.after(event)
        return
    after = before.after(event)
    assert after.state is following
    expected_tries = {
        SlotEffect.KEEP: before.tries_left,
        SlotEffect.OFFER: TRIES,
        SlotEffect.TRY: before.tries_left - 1,
        SlotEffect.SWITCH: 0,
        SlotEffect.DROP: 0,
    }[effect]
    assert after.tries_left == expected_tries
    assert after.active == (before.inactive if effect is SlotEffect.SWITCH else active)


def test_only_a_confirmation_changes_the_active_slot():
    for (state, event), (_, effect) in TRANSITIONS.items():
        assert (effect is SlotEffect.SWITCH) == ((state, event) == (SlotState.TRIAL, SlotEvent.CONFIRM))


def test_update_that_works():
    staged = SlotTable().after(SlotEvent.STAGE)
    assert staged.running == "a", "staging starts nothing"
    trial, slot = select(staged)
    assert (slot, trial.tries_left) == ("b", TRIES - 1), "the try is used up before the jump"
    confirmed = trial.after(SlotEvent.CONFIRM)
    assert confirmed == SlotTable(active="b")
    assert select(confirmed) == (confirmed, "b")


def test_candidate_that_never_comes_up_falls_back_after_its_tries():
    current = SlotTable().after(SlotEvent.STAGE)
    booted = []
    for _ in range(TRIES + 2):
        current, slot = select(current)
        booted.append(slot)
    assert booted == ["b"] * TRIES + ["a", "a"]
    assert current == SlotTable(active="a")


@pytest.mark.parametrize("boots", range(1, TRIES + 1))
def test_revert_returns_to_the_old_slot(boots: int):
    current = SlotTable(active="b").after(SlotEvent.STAGE)
    for _ in range(boots):
        current, slot = select(current)
        assert slot == "a"
    assert select(current.after(SlotEvent.REVERT))[1] == "b"


def test_nothing_may_be_staged_over_the_only_way_back():
    trial, _ = select(SlotTable().after(SlotEvent.STAGE))
    with pytest.raises(BootRefusedError, match="stage"):
        trial.after(SlotEvent.STAGE)


def test_confirming_what_always_ran_does_not_confirm_a_candidate():
    staged = SlotTable().after(SlotEvent.STAGE)
    assert staged.after(SlotEvent.CONFIRM) == staged


def test_every_history_of_four_events_keeps_a_confirmed_slot_bootable():
    for history in itertools.product(SlotEvent, repeat=4):
        current, confirmed = SlotTable(), {"a"}
        for event in history:
            try:
                following = current.after(event)
            except BootRefusedError:
                continue
            if event is SlotEvent.CONFIRM:
                confirmed.add(current.running)
            current = following
            assert current.active in confirmed, history
        for _ in range(TRIES + 1):
            current, slot = select(current)
        assert slot in confirmed, f"{history}: unconfirmed candidates are left within their tries"


@pytest.mark.parametrize(
    "values",
    [
        {"active": "c"},
        {"tries_left": -1, "state": SlotState.TRIAL},
        {"tries_left": TRIES + 1, "state": SlotState.TRIAL},
        {"tries_left": 1},
    ],
)
def test_damaged_table_is_refused(values: dict):
    with pytest.raises(BootRefusedError, match="slot table"):
        SlotTable(**values)
