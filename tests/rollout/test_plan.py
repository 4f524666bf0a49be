# SPDX-License-Identifier: Apache-2.0
"""The plan: every rule, alone and against its neighbours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.rollout.plan import Alarm, RolloutMember, RolloutPlan, RolloutProgress, Sight, plan
from armillary.rollout.policy import Ring, RolloutPolicy
from armillary.rollout.tally import FAILED, FINISHED, Tally
from armillary.wire.device.finding import Finding

IMAGE = UUID(int=7)
CATALOG = UUID(int=6)
PROGRESS = RolloutProgress(catalog_id=CATALOG, state="running", cohort=0, since=100)
POLICY = RolloutPolicy(
    cohorts=(10, 50, 100),
    success_percent=100,
    soak_s=60,
    min_failures=2,
    failure_percent=20,
    timeout_s=500,
    false_hold_percent=0,
)
WAITING = RolloutMember(
    device_id="",
    state="",
    cohort=-1,
    started_at=None,
    finished_at=None,
    offered=False,
    converged=False,
    restored=True,
    failure="",
    reason="",
)


def member(number: int, state: str = "started", **changes: Any) -> RolloutMember:
    values: dict[str, Any] = {"device_id": f"d{number}", "state": state, "restored": False}
    if state:
        values |= {"cohort": 0, "started_at": 100}
    if state == "confirmed" or state in FAILED:
        values["finished_at"] = 110
    return replace(WAITING, **{**values, **changes})


def waiting(*numbers: int) -> list[RolloutMember]:
    return [member(number, "") for number in numbers]


def finding(**changes: Any) -> Finding:
    values: dict[str, Any] = {
        "finding_id": UUID(int=9),
        "fingerprint": "f",
        "kind": "application-crashed",
        "severity": "high",
        "title": "It crashes",
        "cause": "",
        "device_ids": ("d1",),
        "device_count": 1,
        "proposed_action": "",
        "status": "open",
        "count": 1,
        "first_seen": 150,
        "last_seen": 150,
        "image_id": IMAGE,
        "catalog_id": CATALOG,
    }
    return Finding(**{**values, **changes})


def seen(members: list[RolloutMember], *findings: Finding, since: int = 100, **more: Any) -> Sight:
    """What the planner sees of a fleet of these devices, all of which have just reported."""
    devices: Counter[tuple[int, str]] = Counter()
    recent: Counter[tuple[int, str]] = Counter()
    for one in members:
        if one.state:
            devices[one.cohort, one.state] += 1
            recent[one.cohort, one.state] += one.finished_at is None or one.finished_at >= since
    started = {one.device_id for one in members if one.state}
    alarms = [Alarm(one, len(started & set(one.device_ids))) for one in findings]
    return Sight(members=members, tally=Tally(devices, recent), devices=len(members), alarms=alarms, **more)


def run(
    members: list[RolloutMember], *findings: Finding, now: int = 200, policy: RolloutPolicy = POLICY, **progress: Any
) -> RolloutPlan:
    stands = replace(PROGRESS, **progress)
    return plan(policy, stands, seen(members, *findings, since=stands.since), now)


def test_the_first_cohort_starts() -> None:
    made = run(waiting(*range(20)), cohort=-1)
    assert (made.cohort, made.due, made.event) == (0, 2, "")
    assert run(waiting(*range(20)), cohort=-1) == made


def test_an_empty_group_is_done_at_once() -> None:
    assert run([], cohort=-1).event == "finish"


@pytest.mark.parametrize(
    ("now", "changes", "state"),
    [
        (200, {}, None),
        (200, {"offered": True}, "offered"),
        (200, {"offered": True, "converged": True}, "confirmed"),
        (200, {"failure": "reverted", "reason": "it crashed"}, "reverted"),
        (200, {"failure": "failed"}, "failed"),
        (600, {}, "timed-out"),
        (600, {"offered": True}, "timed-out"),
        (600, {"converged": True, "offered": True}, "confirmed"),
        (599, {"offered": True}, "offered"),
        (600, {"offered": True, "may_begin_at": 101}, "offered"),
        (9000, {"offered": True, "may_begin_at": 8501}, "offered"),
        (9000, {"offered": True, "may_begin_at": 8500}, "timed-out"),
        (600, {"offered": True, "may_begin_at": 20}, "timed-out"),
    ],
)
def test_rule_1_each_started_device_is_looked_at(now: int, changes: dict[str, Any], state: str | None) -> None:
    made = run([member(1, **changes)], now=now)
    assert [move.state for move in made.moves] == ([] if state is None else [state])


def test_what_a_device_waits_for_is_recorded_when_it_changes() -> None:
    """An offered device is moved again where its time runs from another moment than recorded, and only then."""
    for recorded, may_begin_at, moved in ((None, 300, 300), (300, 300, None), (300, 250, 250), (None, None, None)):
        one = member(1, "offered", offered=True, timed_from=recorded, may_begin_at=may_begin_at)
        made = run([one], now=200)
        assert [(move.state, move.timed_from) for move in made.moves] == ([("offered", moved)] if moved else [])


def test_no_time_runs_while_a_rollout_is_held() -> None:
    devices = [member(1), member(2, "offered")]
    assert run(devices, state="held", now=10_000).moves == ()
    assert run(devices, since=9_900, now=10_000).moves == ()  # resumed
    assert [move.state for move in run(devices, since=9_500, now=10_000).moves] == ["timed-out"] * 2


@pytest.mark.parametrize("state", ["running", "held", "rolling-back"])
def test_a_device_that_is_gone_counts_no_longer(state: str) -> None:
    gone = member(1, gone=True, failure="reverted", offered=True)
    assert [move.state for move in run([gone, *waiting(2)], state=state).moves] == ["left"]
    assert run([member(1, "left", gone=True)], state=state).moves == ()
    assert [m.state for m in run([member(1, "left", offered=True, converged=True)]).moves] == ["confirmed"]


def test_what_is_left_of_a_cohort_decides() -> None:
    """Two of three left: the one that stays has confirmed, so the cohort has."""
    devices = [member(1, "confirmed"), member(2, gone=True), member(3, gone=True), *waiting(*range(4, 20))]
    assert run(devices, now=1000, reached_at=110).cohort == 1


def test_a_late_device_may_still_confirm_and_a_waiting_one_is_left_alone() -> None:
    made = run([member(1, "timed-out", converged=True, offered=True), *waiting(2)])
    assert [(move.device_id, move.state) for move in made.moves] == [("d1", "confirmed")]


def test_rule_2_too_many_failures_hold_and_one_alone_never_does() -> None:
    one = [member(1, "reverted"), *(member(n) for n in range(2, 10))]
    assert run(one).event == ""
    two = [member(1, "reverted"), member(2, failure="failed"), *(member(n) for n in range(3, 10))]
    made = run(two)
    assert (made.event, made.start) == ("hold", ())
    assert "2 of 2" in made.reason
    few = [member(1, "reverted"), member(2, "failed"), *(member(n, "confirmed") for n in range(3, 13)), member(20)]
    assert run(few).event == ""  # 2 of 12 are fewer than 20%


def test_rule_2_failures_from_before_a_resume_do_not_count() -> None:
    devices = [member(1, "reverted"), member(2, "failed"), *waiting(3, 4)]
    assert run(devices, since=100).event == "hold"
    assert run(devices, since=111).event == ""


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"severity": "critical"}, True),
        ({"severity": "medium"}, False),
        ({"status": "acknowledged"}, False),
        ({"status": "closed"}, False),
        ({"last_seen": 99, "first_seen": 99}, False),
        ({"image_id": None}, True),
        ({"device_ids": ("d5",)}, False),  # in the group, and not started
        ({"device_ids": ("e1", "e2", "e3")}, False),  # of the catalog, and not in the roll-out
        ({"device_ids": ("d1",), "catalog_id": UUID(int=8)}, False),
        ({"device_ids": ("d1",), "catalog_id": None}, False),
        ({"kind": "rollout-held"}, False),
        ({"kind": "vulnerability-in-field"}, False),
    ],
)
def test_rule_3_findings(changes: dict[str, Any], holds: bool) -> None:
    made = run([member(1), *waiting(5)], finding(**changes))
    assert (made.event == "hold") is holds
    if holds:
        assert "It crashes" in made.reason
    assert run([member(1)], finding(**changes), policy=replace(POLICY, hold_on_severity="")).event == ""


@pytest.mark.parametrize(
    ("named", "least", "holds"),
    [
        (("d1",), 2, False),  # one of several: its word stops nothing
        (("d1",), 1, True),
        (("d1", "d2"), 2, True),
        (("d1", "d2"), 3, False),
        (("d1", "d2", "d3"), 9, True),  # all that have started, fewer than min_failures
        (("d1", "e1", "e2", "e3"), 2, False),
        ((), 1, False),
    ],
)
def test_rule_3_counts_different_started_devices(named: tuple[str, ...], least: int, holds: bool) -> None:
    members = [member(1), member(2), member(3), *waiting(5)]
    policy = replace(POLICY, min_failures=least)
    seen = finding(device_ids=named, count=1000, severity="critical")
    assert (run(members, seen, policy=policy).event == "hold") is holds


def test_rule_4_a_release_that_is_worse_than_the_one_before_is_held() -> None:
    policy = replace(POLICY, false_hold_percent=1, failure_percent=50, success_percent=1)
    devices = [*(member(n, "confirmed") for n in range(60)), *(member(n, "reverted") for n in range(60, 75))]

    def hold(before: tuple[int, int], **more: Any) -> str:
        sight = seen(devices, before={"reverted": before, "crashed": before, "silent": before}, **more)
        return plan(policy, PROGRESS, sight, 200).reason

    assert hold((1, 500)) == "worse than before: 15 of 75 devices reverted; 1 of 500 with the release before"
    assert hold((100, 500)) == ""
    devices = [member(n, "confirmed") for n in range(75)]
    assert hold((1, 500)) == ""
    assert hold((1, 500), crashed=15).startswith("worse than before: 15 of 75 devices crashed")
    devices[:15] = [member(n, "timed-out") for n in range(15)]
    assert hold((1, 500)).startswith("worse than before: 15 of 75 devices silent")


def test_rule_5_a_cohort_that_can_no_longer_succeed_is_held() -> None:
    lost = [member(1, "confirmed"), member(2, "reverted"), *waiting(3)]
    made = run(lost)
    assert made.event == "hold"
    assert "1 of 2" in made.reason
    assert run([member(1), member(2, "reverted"), *waiting(3)]).event == ""  # one is still on its way
    assert run(lost, due=1).event == ""  # one has not even started
    assert run(lost, policy=replace(POLICY, success_percent=50)).event == ""


def test_rule_6_a_device_that_joins_when_its_place_was_reached_starts_at_once() -> None:
    devices = [member(1), member(8, "", reached=True), member(9, ""), member(7, "", reached=True, gone=True)]
    made = run(devices)
    assert (made.start, made.cohort) == (("d8",), 0)
    assert run(devices, state="held").start == ()
    assert run([*devices, member(2, "reverted"), member(3, "failed")]).start == ()  # it holds


def test_rule_7_the_next_cohort_waits_for_all_to_start_for_success_and_for_soak() -> None:
    devices = [member(1, "confirmed", finished_at=140), *waiting(*range(2, 11))]
    made = run(devices, now=140)
    assert (made.reached_at, made.cohort) == (140, 0)
    assert run(devices, now=199, reached_at=140).cohort == 0
    made = run(devices, now=200, reached_at=140)
    assert (made.cohort, made.due, made.reached_at) == (1, 4, None)
    assert run(devices, now=200, reached_at=140, due=1) == replace(made, cohort=0, due=1, reason="")
    assert run(devices, now=200, reached_at=140, since=150).cohort == 0  # resumed since
    late = [member(1), member(20, "confirmed"), *waiting(2)]
    made = run(late, now=1000, reached_at=140, policy=replace(POLICY, timeout_s=5000))
    assert (made.cohort, made.reached_at) == (0, None)  # a newcomer has not confirmed: it soaks anew


def test_rule_8_rings_go_first_and_the_last_cohort_finishes() -> None:
    ring = Ring(name="Lab", devices=("a" * 128, "b" * 128))
    policy = replace(POLICY, rings=(ring,))
    made = run(waiting(*range(20)), cohort=-1, policy=policy)
    assert (made.cohort, made.due) == (0, 0)
    made = run(waiting(*range(20)), cohort=0, policy=policy)  # nobody of the ring is here
    assert (made.cohort, made.due) == (1, 2)
    lab = [member(1, "confirmed"), member(2, "confirmed"), *waiting(*range(3, 31))]
    made = run(lab, cohort=0, policy=policy, now=1000, reached_at=140)
    assert (made.cohort, made.due) == (1, 1)  # 10% of 30 are three, two of which are the ring's
    devices = [member(n, "confirmed", cohort=3) for n in range(3)]
    assert run(devices, cohort=3, policy=policy, now=1000, reached_at=140).event == "finish"
    devices = [member(n, "confirmed", cohort=2) for n in range(3)]
    assert run([*devices, *waiting(8)], cohort=2, now=1000, reached_at=140).event == "finish"


def test_a_held_rollout_is_looked_at_and_starts_nothing() -> None:
    devices = [member(1, converged=True, offered=True), *waiting(*range(2, 9))]
    made = run(devices, finding(), state="held", now=100_000)
    assert [move.state for move in made.moves] == ["confirmed"]
    assert (made.start, made.event, made.cohort) == ((), "", 0)


def test_roll_back_on_hold() -> None:
    devices = [member(1, "reverted"), member(2, "failed")]
    assert run(devices, policy=replace(POLICY, roll_back_on_hold=True)).event == "roll-back"


def test_rolling_back_ends_when_every_started_device_is_restored() -> None:
    devices = [member(1, "confirmed", restored=True), member(2, "failed"), *waiting(3)]
    made = run(devices, state="rolling-back")
    assert [move.device_id for move in made.moves] == ["d1"]
    assert made.event == ""
    devices[1] = replace(devices[1], restored=True)
    assert run(devices, state="rolling-back").event == "restored"
    assert run(waiting(1), state="rolling-back").event == "restored"


@pytest.mark.parametrize(
    ("changes", "move"),
    [
        ({"restored": True}, ("restored", "", "")),
        ({"restored": True, "failure": "reverted", "reason": "it crashed"}, ("restored", "it crashed", "reverted")),
        ({"failure": "failed", "reason": "no room"}, ("failed", "no room", "")),
        ({"state": "reverted", "restored": True, "failure": "reverted", "reason": "x"}, ("restored", "", "")),
        ({"state": "reverted", "failure": "reverted", "reason": "x"}, None),
        ({"state": "restored", "restored": True, "failure": "reverted", "reason": "x"}, None),
        ({}, None),
        ({"state": "started"}, None),
        ({"state": "started", "offered": True}, ("offered", "", "")),
    ],
)
def test_a_failure_is_told_once_and_not_lost_on_the_way_back(changes: dict[str, Any], move: object) -> None:
    made = run([member(1, **{"state": "offered", **changes})], state="rolling-back")
    assert [(one.state, one.reason, one.failure) for one in made.moves] == ([] if move is None else [move])


STATES = ("", "started", "offered", "confirmed", "reverted", "failed", "timed-out", "left")


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(STATES), st.booleans(), st.booleans(), st.integers(0, 2), st.booleans()), max_size=25
    ),
    st.integers(-1, 2),
    st.integers(100, 2000),
    st.sampled_from(("running", "held", "rolling-back")),
    st.integers(0, 3),
)
def test_no_plan_starts_a_device_twice_or_anything_while_it_holds(
    rows: list[tuple[str, bool, bool, int, bool]], cohort: int, now: int, state: str, due: int
) -> None:
    members = [
        member(n, row[0], offered=row[1], converged=row[2], reached=row[4], **({"cohort": row[3]} if row[0] else {}))
        for n, row in enumerate(rows)
    ]
    made = run(members, state=state, cohort=cohort, now=now, due=due)
    assert made == run(members, state=state, cohort=cohort, now=now, due=due)
    fresh = {m.device_id for m in members if not m.state}
    assert set(made.start) <= fresh
    assert len(set(made.start)) == len(made.start)
    if state != "running" or made.event in ("hold", "roll-back"):
        assert made.start == ()
    assert made.cohort in (cohort, cohort + 1)
    if made.cohort == cohort:
        assert made.due in (0, due)
    else:
        assert 0 <= made.due <= len(members)
    if state == "held":
        assert made.event == ""


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATES[1:]), st.sampled_from(STATES[1:]), st.integers(0, 2)), max_size=30))
def test_a_tally_after_changes_is_the_tally_of_the_changed_devices(rows: list[tuple[str, str, int]]) -> None:
    before = seen([member(n, old, cohort=cohort) for n, (old, _, cohort) in enumerate(rows) if old != "left"]).tally
    changed = before.with_changes((cohort, old, True, new) for old, new, cohort in rows)
    for cohort in range(3):
        for state in STATES[1:-1]:
            expected = sum(new == state and where == cohort for _, new, where in rows)
            assert changed.count((state,), cohort=cohort) == expected
            assert changed.count_recent((state,), cohort=cohort) == expected
    assert changed.count(FINISHED) == sum(new in FINISHED for _, new, _ in rows)


def test_while_the_repository_does_not_name_it_no_device_starts_and_no_time_runs() -> None:
    members = [member(0), member(1, "offered", offered=True), member(2, converged=True), *waiting(3)]
    members[3] = replace(members[3], reached=True)
    progress = replace(PROGRESS, due=2)
    waits, named = (
        plan(POLICY, progress, seen(members, is_named=is_named), 100 + POLICY.timeout_s) for is_named in (False, True)
    )
    assert [(move.device_id, move.state, move.timed_from) for move in waits.moves] == [
        ("d0", "started", 600),
        ("d1", "offered", 600),
        ("d2", "confirmed", None),
    ]
    assert (waits.start, waits.due, waits.event) == ((), 2, "")
    assert "release keys show" in waits.waits
    # The control: as soon as it is named, or if nobody asked, who did not confirm is late, and that holds it.
    assert [move.state for move in named.moves] == ["timed-out", "timed-out", "confirmed"]
    assert (named.waits, named.event) == ("", "hold")


def test_what_is_not_named_is_held_for_failures_all_the_same() -> None:
    members = [member(n, failure="reverted") for n in range(2)]
    made = plan(POLICY, PROGRESS, seen(members, is_named=False), 200)
    assert (made.event, made.waits) == ("hold", "")
    begun = plan(POLICY, replace(PROGRESS, cohort=-1), seen(waiting(0, 1), is_named=False), 200)
    assert (begun.cohort, begun.due, bool(begun.waits)) == (-1, 0, True)
