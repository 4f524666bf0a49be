# SPDX-License-Identifier: Apache-2.0
"""The table of transfers: every cell, and any history of what anybody says at any time."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.errors import ConflictError, NotFoundError
from armillary.identity.transfer import TRANSITIONS, Side, TransferEvent, TransferState, settle, standing

GIVER, TAKER, STRANGER = UUID(int=1), UUID(int=2), UUID(int=3)
RIGHT = {TransferEvent.ACCEPT: TAKER, TransferEvent.DECLINE: TAKER, TransferEvent.CANCEL: GIVER}
SAID = st.tuples(st.sampled_from(list(TransferEvent)), st.sampled_from([GIVER, TAKER, STRANGER]), st.integers(0, 20))


def said(state: TransferState, event: TransferEvent, speaker: UUID, now: int) -> TransferState:
    return settle(state, event, speaker=speaker, giver=GIVER, taker=TAKER, now=now, expires_at=10)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(TransferState, TransferEvent)))
def test_every_cell(state: TransferState, event: TransferEvent) -> None:
    for speaker in (GIVER, TAKER, STRANGER):
        if state is TransferState.OFFERED and RIGHT.get(event) == speaker:
            assert said(state, event, speaker, 9) is TRANSITIONS[state, event][1]
        else:
            with pytest.raises((NotFoundError, ConflictError)):
                said(state, event, speaker, 9)


@given(st.lists(SAID, max_size=30))
def test_no_history_settles_twice_or_without_the_right_speaker_in_time(history: list[tuple]) -> None:
    state, changes = TransferState.OFFERED, []
    for event, speaker, now in history:
        try:
            state = said(state, event, speaker, now)
        except (NotFoundError, ConflictError):
            continue
        changes.append((event, speaker, now))
    assert len(changes) <= 1
    for event, speaker, now in changes:
        assert RIGHT[event] == speaker
        assert now < 10
    if state is TransferState.ACCEPTED:
        assert changes[0][:2] == (TransferEvent.ACCEPT, TAKER)


def test_an_offer_to_oneself_would_need_no_second_person_so_both_sides_are_asked_for() -> None:
    assert {side for side, _ in TRANSITIONS.values()} == set(Side)
    assert TRANSITIONS[TransferState.OFFERED, TransferEvent.ACCEPT][0] is Side.TAKER


def test_an_offer_whose_time_is_over_counts_as_expired() -> None:
    assert standing(TransferState.OFFERED, now=9, expires_at=10) is TransferState.OFFERED
    assert standing(TransferState.OFFERED, now=10, expires_at=10) is TransferState.EXPIRED
    assert standing(TransferState.ACCEPTED, now=10, expires_at=10) is TransferState.ACCEPTED
