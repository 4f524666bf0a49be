# SPDX-License-Identifier: Apache-2.0
"""What the pages of roll-outs say: states, buttons, cohorts, and the truth after a roll-back."""

from __future__ import annotations

import re

import pytest
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN
from armillary.console.operations import pages_rollout, pages_updates


@pytest.fixture(scope="module")
def fleet() -> RehearsedFleet:
    return RehearsedFleet()


ROLL = ("proposed", "running", "held", "rolling-back", "rolled-back", "completed", "cancelled", "a word of tomorrow")


@pytest.mark.parametrize("state", ROLL)
def test_the_three_buttons_always_stand_in_the_same_order(fleet: RehearsedFleet, state: str):
    rollout = {**fleet.roll[0], "state": state}
    made = pages_rollout.actions(rollout, may_act=True, role="Contributor")
    more = ["Approve"] if state == "proposed" else []
    assert [action.label for action in made] == [*more, "Halt", "Resume", "Roll back"]
    allowed = {action.label for action in made if not action.refused}
    possible = {
        "proposed": {"Approve"},
        "running": {"Halt", "Roll back"},
        "held": {"Resume", "Roll back"},
        "completed": {"Roll back"},
    }
    assert allowed == possible.get(state, set())


def test_who_made_it_sees_that_somebody_else_approves_it(fleet: RehearsedFleet):
    rollout = {**fleet.roll[0], "state": "proposed", "counts": {"waiting": 1204}}
    (approve, *_) = pages_rollout.actions(rollout, may_act=True, role="Contributor", who="Maren")
    assert approve.refused == "you made it; a second person approves it"
    (approve, *_) = pages_rollout.actions(rollout, may_act=True, role="Contributor", who="ben")
    assert not approve.refused
    asked = pages_rollout.confirmation(rollout, "approve")
    assert asked.touches[0] == ("Touches", "1,204 devices may be offered the update, cohort by cohort.")
    page = pages_rollout.rollout_page(rollout, may_act=True, role="Contributor", now=fleet.now, who="ben")
    assert page.sentence == "coffee-control waits for a second person before it goes to 1,204 devices."


def test_images_of_a_roll_out_are_named_with_their_version(fleet: RehearsedFleet):
    images = [{"name": "gateway", "version": "2.0"}, {"name": "coffee-control", "version": ""}]
    rollout = {**fleet.roll[0], "state": "proposed", "counts": {"waiting": 4}, "images": images}
    page = pages_rollout.rollout_page(rollout, may_act=True, role="Contributor", now=fleet.now)
    assert page.sentence.startswith("gateway 2.0 and coffee-control wait"), page.sentence
    assert page.images == ("gateway 2.0", "coffee-control")


def test_one_that_runs_and_waits_for_signatures_is_not_drawn_as_good(fleet: RehearsedFleet):
    running = {**fleet.roll[0], "state": "running", "failed": 0, "reason": ""}
    assert pages_rollout.rollout_state(running).kind == GOOD
    waits = {**running, "reason": "the repository does not name it yet"}
    state = pages_rollout.rollout_state(waits)
    assert (state.kind, state.word) == (ATTENTION, "running, starts nobody yet")
    page = pages_rollout.rollout_page(waits, may_act=True, role="Contributor", now=fleet.now)
    assert page.detail == "The repository does not name it yet."


def test_an_os_release_is_named_by_its_version_and_its_feed(fleet: RehearsedFleet):
    system = {"release_id": "5f3a", "version": "27.1", "chip": "mt3620", "feed": "Retail", "deployment_id": None}
    rollout = {**fleet.roll[0], **system, "images": [], "previous_deployment_id": None, "catalog": ""}
    page = pages_rollout.rollout_page(rollout, may_act=True, role="Administrator", now=fleet.now)
    assert page.sentence.startswith("Rolling OS 27.1 for mt3620 out to 1,204 devices")
    assert (page.group, page.deployment, page.previous) == ("Retail groups of all catalogs", None, None)
    line = pages_rollout.rollout_line({**rollout, "catalog": "northwind"}, fleet.now)
    assert (line.name, line.group) == ("OS 27.1 for mt3620", "Retail groups of northwind")


def test_what_has_left_the_group_is_shown_and_counts_for_nothing(fleet: RehearsedFleet):
    rollout = {**fleet.roll[0], "counts": {"confirmed": 3, "left": 5, "waiting": 1}, "failed": 0}
    line = pages_rollout.rollout_line(rollout, fleet.now)
    assert (line.done, line.devices) == ("75 %", "4")
    assert {part.label: part.count for part in line.bar} == {"updated": 3, "left the group": 5, "waiting": 1}


def test_a_reader_sees_why_the_buttons_do_nothing(fleet: RehearsedFleet):
    for action in pages_rollout.actions(fleet.roll[0], may_act=False, role="Reader"):
        assert action.refused == "your role, Reader, may not change roll-outs"


def test_an_action_says_how_many_devices_it_touches(fleet: RehearsedFleet):
    halt = pages_rollout.confirmation(fleet.roll[0], "halt")
    assert halt.touches[0] == ("Touches", "923 devices not yet offered the update stay on what they have.")
    assert halt.word == ""  # the safe direction never asks for a word
    back = pages_rollout.confirmation(fleet.roll[0], "roll-back")
    assert back.touches[0] == ("Touches", "300 devices reached so far are offered the deployment before.")
    assert back.word == "roll-back"
    assert re.fullmatch(r"This affects [\d,]+ devices\.", back.wide)
    assert any("cannot be resumed" in text for _, text in back.touches)
    narrow = {**fleet.roll[0], "counts": {"confirmed": 3}}
    assert pages_rollout.confirmation(narrow, "roll-back").word == ""


@pytest.mark.parametrize("state", ROLL)
def test_every_state_of_a_roll_out_has_a_sentence(fleet: RehearsedFleet, state: str):
    page = pages_rollout.rollout_page(
        {**fleet.roll[0], "state": state}, may_act=True, role="Administrator", now=fleet.now
    )
    assert page.sentence.endswith(".")
    assert ("not known" in page.sentence) == (state == "a word of tomorrow")


def test_rings_show_what_failed_and_what_has_not_begun(fleet: RehearsedFleet):
    page = pages_rollout.rollout_page(fleet.roll[0], may_act=True, role="Administrator", now=fleet.now)
    assert page.sentence == "Rolling coffee-control out to 1,204 devices: 19 % updated, 8 failed."
    assert [cohort.state.word for cohort in page.cohorts] == ["done", "with failures", "not started"]
    assert [cohort.done for cohort in page.cohorts] == ["100 %", "72 %", "0 %"]
    assert sum(part.count for part in page.bar) == 1204


def test_a_ring_of_groups_says_which_and_is_not_empty_before_it_begins(fleet: RehearsedFleet):
    given = fleet.roll[0]
    ring = {"name": "Field", "devices": [], "groups": ["northwind/Coffee/Field Test"]}
    rollout = {
        **given,
        "policy": {**given["policy"], "rings": [ring]},
        "further": [{"group": "Field Test"}],
        "cohort": -1,
        "cohorts": [{"name": "Field", "counts": {}, "failed": 0}],
    }
    page = pages_rollout.rollout_page(rollout, may_act=True, role="Administrator", now=fleet.now)
    assert [cohort.state.word for cohort in page.cohorts] == ["not started"]
    assert page.group.endswith(" and 1 group more")
    assert "Field goes before the percentages: all devices of northwind/Coffee/Field Test." in page.gates


def test_a_roll_out_keeps_its_truth_after_its_roll_back(fleet: RehearsedFleet):
    """Who failed, why it was stopped, by whom and by which finding; and nothing in it is drawn as good."""
    rollout = fleet.rollout(fleet.roll[2]["rollout_id"])
    page = pages_rollout.rollout_page(rollout, may_act=True, role="Administrator", now=fleet.now)
    assert page.sentence == "dispenser was rolled back: 32 of 32 restored, 11 failed."
    assert page.detail == "5 of 32 devices failed."
    assert [(event.what, event.actor, event.reason) for event in page.events] == [
        ("halted", "planner", "5 of 32 devices failed."),
        ("roll-back begun", "maren", "Bad."),
    ]
    assert page.events[0].finding.startswith("/findings?status=open#f-")
    assert page.events[1].finding == ""
    assert {part.label: part.count for part in page.bar} == {
        "rolled back": 21,
        "failed, rolled back": 11,
        "waiting": 288,
    }
    first = page.cohorts[0]
    assert (first.done, first.failed, first.state.word) == ("0 %", "11", "with failures")
    assert (line := pages_rollout.rollout_line(rollout, fleet.now)).failed == "11"
    assert (line.done, line.state.kind) == ("0 %", BAD)
    troubles = pages_rollout.troubles(fleet.troubles(rollout["rollout_id"], limit=9), {}, fleet.now)
    assert [line.state.word for line in troubles] == ["reverted, then rolled back", "failed, then rolled back"]


@pytest.mark.parametrize("state", ["running", "completed"])
def test_a_roll_out_with_failures_wears_no_green_tick(fleet: RehearsedFleet, state: str):
    rollout = {**fleet.roll[0], "state": state}
    assert pages_rollout.rollout_state(rollout).kind == ATTENTION
    assert "with failures" in pages_rollout.rollout_line(rollout, fleet.now).state.word
    assert pages_rollout.rollout_state({**rollout, "failed": 0}).kind == GOOD


def test_a_state_of_a_device_that_is_new_is_still_counted(fleet: RehearsedFleet):
    rollout = {**fleet.roll[0], "counts": {"confirmed": 1, "paused": 3}}
    line = pages_rollout.rollout_line(rollout, fleet.now)
    assert {part.label: (part.state, part.count) for part in line.bar} == {"updated": (GOOD, 1), "paused": (UNKNOWN, 3)}


def test_the_updates_sentence_counts_what_moves(fleet: RehearsedFleet):
    assert pages_updates.updates_sentence(fleet.roll) == "Roll-outs: 1 running."
    assert pages_updates.updates_sentence(fleet.roll[1:]) == "Nothing is rolling out now; 2 roll-outs ended."
    assert pages_updates.updates_sentence([]) == "Nothing has been rolled out yet."
