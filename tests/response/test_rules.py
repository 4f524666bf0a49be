# SPDX-License-Identifier: Apache-2.0
"""The state table, the budget of automatic actions, the second person, and kinds."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary import content
from armillary.engines.records.response.presence import ANSWERED
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.response import budget, state
from armillary.response.action import KINDS, TARGETS, check_target, kind_named
from armillary.response.approval import check_second_person, same_person
from armillary.response.budget import Spent
from armillary.response.playbook_file import read_playbooks
from armillary.service.response.effects import EFFECTS
from armillary.wire.notification.event import KINDS as EVENTS


@pytest.mark.parametrize(("before", "event"), list(itertools.product(state.STATES, state.EVENTS)))
def test_every_cell_of_the_table_leads_somewhere_known_or_is_refused(before: str, event: str) -> None:
    if event in state.TRANSITIONS[before]:
        assert state.after(before, event) in state.STATES
    else:
        with pytest.raises(ConflictError, match="takes no"):
            state.after(before, event)


def test_nothing_acts_without_an_approval_and_nothing_begins_again() -> None:
    assert {before for before in state.STATES if "running" in state.TRANSITIONS[before].values()} == set(state.DECIDING)
    assert {event for table in state.TRANSITIONS.values() for event, to in table.items() if to == "running"} == {
        "approve"
    }
    for ended in ("done", "failed", "cancelled", "expired", "undone"):
        assert set(state.TRANSITIONS[ended]) <= {"undo"}
    assert all(f"action.{word}" in EVENTS for word in state.STATES)


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(("proposed", "waiting", "running")), st.lists(st.sampled_from(state.EVENTS), max_size=12))
def test_whatever_happens_nothing_runs_that_was_not_approved_and_what_ended_stays_ended(
    begins: str, events: list[str]
) -> None:
    """Any sequence of events, of which those that are not possible are refused."""
    now, approved, ended = begins, begins == "running", False
    for event in events:
        if event not in state.TRANSITIONS[now]:
            continue
        before, now = now, state.after(now, event)
        approved |= event == "approve"
        assert now != "running" or approved
        assert not ended or now == "undone"
        ended |= now not in state.LIVING
        assert before != now


@settings(max_examples=examples(300), deadline=None)
@given(st.integers(0, 10**7), st.lists(st.integers(0, 120), max_size=60))
def test_whatever_comes_automatic_actions_stay_below_both_limits(fleet: int, wanted: list[int]) -> None:
    """One minute after the other, each asks for some devices and gets what is allowed."""
    touched: list[int] = []
    for more in wanted:
        spent = Spent(day=sum(touched), minute=0)
        left = more
        this_minute = 0
        while left and (some := min(left, budget.allowed(fleet, Spent(spent.day + this_minute, this_minute)))):
            this_minute += some
            left -= some
        touched.append(this_minute)
        assert this_minute <= budget.PER_MINUTE
    assert sum(touched) <= max(1, fleet // budget.FLEET_SHARE)


def test_a_small_fleet_has_one_device_a_day() -> None:
    assert [budget.allowed(fleet, Spent(0, 0)) for fleet in (0, 1, 999, 1_000, 2_000, 10**6)] == [1, 1, 1, 1, 2, 50]
    assert budget.allowed(10**6, Spent(day=999, minute=0)) == 1
    assert budget.allowed(10**6, Spent(day=1_000, minute=0)) == 0
    assert budget.allowed(10**6, Spent(day=10, minute=50)) == 0


@pytest.mark.parametrize("other", ["anna", "Anna", " anna", "\uff21\uff2e\uff2e\uff21", "an na", "ANNA "])
def test_names_that_read_the_same_are_one_person(other: str) -> None:
    assert same_person("anna", other)
    with pytest.raises(ConflictError, match="cannot approve"):
        check_second_person("anna", other, [])


def test_a_token_that_one_made_for_himself_is_no_second_person() -> None:
    makers = [("anna", "first-start"), ("ben", "first-start"), ("anna-2", "Anna"), ("temp", "ben")]
    check_second_person("anna", "ben", makers)
    for asked, approves in (("anna", "anna-2"), ("anna-2", "anna"), ("temp", "ben"), ("ben", "TEMP")):
        with pytest.raises(ConflictError, match="one person"):
            check_second_person(asked, approves, makers)


def test_a_token_that_was_made_with_a_made_one_is_no_second_person_either() -> None:
    makers = [("anna", "root"), ("ben", "root"), ("helper", "anna"), ("Third", "Helper"), ("ben-2", "ben")]
    for asked, approves in (("anna", "third"), ("THIRD", "anna"), ("root", "ben-2"), ("helper", "third")):
        with pytest.raises(ConflictError, match="one person"):
            check_second_person(asked, approves, makers)
    check_second_person("third", "ben-2", makers)
    check_second_person("anna", "ben", [*makers, ("anna", "anna"), ("x", "y"), ("y", "x")])  # circles end


@settings(max_examples=examples(200), deadline=None)
@given(st.text(min_size=1, max_size=20))
def test_no_spelling_of_a_name_approves_itself(name: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        spelt = unicodedata.normalize(form, name)
        with pytest.raises(ConflictError):
            check_second_person(name, spelt.casefold(), [])


def test_kinds_say_what_they_are_aimed_at_and_what_cannot_be_undone() -> None:
    with pytest.raises(InvalidArgumentError, match="kind"):
        kind_named("explode")
    with pytest.raises(InvalidArgumentError, match="target of halt"):
        check_target("halt", "devices")
    for name, kind in KINDS.items():
        assert kind.targets
        assert kind.targets <= set(TARGETS)
        if name in EFFECTS:
            assert (EFFECTS[name].undo is None) == bool(kind.final), name
    assert "out of reach" in KINDS["revoke"].final


def test_the_look_for_work_knows_every_finding_that_a_shipped_playbook_answers() -> None:
    shipped = [each for name, text in content.playbook_files().items() for each in read_playbooks(text, name)]
    assert {kind for each in shipped if each.is_enabled for kind in each.kinds} == ANSWERED
