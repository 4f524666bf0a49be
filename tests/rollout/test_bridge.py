# SPDX-License-Identifier: Apache-2.0
"""What a bridged device that polls is to do, rule by rule, and that it always comes to rest."""

from __future__ import annotations

from uuid import UUID, uuid4

from hypothesis import given, strategies as st

from armillary.rollout.bridge import CANCELING, OpenAction, Step, WantedDeployment, next_step
from armillary.wire.hawkbit.action import FINAL, STATES

OLD, NEW, EMPTY = UUID(int=1), UUID(int=2), UUID(int=3)
ONE, TWO = uuid4(), uuid4()
WANTED = {
    OLD: WantedDeployment(OLD, frozenset({ONE})),
    NEW: WantedDeployment(NEW, frozenset({TWO})),
    EMPTY: WantedDeployment(EMPTY, frozenset()),
}
OPEN = [state for state in STATES if state not in FINAL]


def step(wanted: UUID | None, has: set[UUID], action: OpenAction | None = None, *, may_repeat: bool = True) -> Step:
    return next_step(None if wanted is None else WANTED[wanted], frozenset(has), action, may_repeat=may_repeat)


def test_who_has_what_is_wanted_gets_nothing() -> None:
    assert step(NEW, {TWO}) is Step.NOTHING
    assert step(EMPTY, set()) is Step.NOTHING


def test_who_has_something_else_is_offered_what_is_wanted() -> None:
    assert step(NEW, {ONE}) is Step.OFFER
    assert step(NEW, set()) is Step.OFFER


def test_where_nothing_is_wanted_a_device_keeps_what_it_has() -> None:
    assert step(None, {ONE}) is Step.NOTHING
    assert step(EMPTY, {ONE}) is Step.FORGET


def test_what_failed_is_not_offered_again() -> None:
    assert step(NEW, {ONE}, may_repeat=False) is Step.NOTHING


def test_an_action_for_something_else_is_canceled_once() -> None:
    for state in OPEN:
        assert step(NEW, {ONE}, OpenAction(NEW, state)) is Step.NOTHING
        expected = Step.NOTHING if state == CANCELING else Step.CANCEL
        assert step(OLD, {ONE}, OpenAction(NEW, state)) is expected
        assert step(None, {ONE}, OpenAction(NEW, state)) is expected


@given(
    st.sampled_from([None, OLD, NEW, EMPTY]),
    st.sampled_from([set(), {ONE}, {TWO}]),
    st.sampled_from([None, *(OpenAction(each, state) for each in (OLD, NEW) for state in OPEN)]),
    st.booleans(),
)
def test_a_device_that_does_what_it_is_told_comes_to_rest(
    wanted: UUID | None, has: set[UUID], action: OpenAction | None, may_repeat: bool
) -> None:
    for _ in range(5):
        told = step(wanted, has, action, may_repeat=may_repeat)
        if told is Step.CANCEL:
            assert action is not None
            action = OpenAction(action.deployment_id, CANCELING)
        elif told is Step.OFFER:
            assert wanted is not None
            action = OpenAction(wanted, "offered")
        elif told is Step.FORGET:
            has = set()
        elif action is None:
            break
        elif action.state == CANCELING:
            action = None
        else:
            has, action = set(WANTED[action.deployment_id].image_ids), None
    else:
        raise AssertionError("it never comes to rest")
    if wanted is not None and (may_repeat or not WANTED[wanted].image_ids):
        assert frozenset(has) == WANTED[wanted].image_ids
