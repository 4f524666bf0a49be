# SPDX-License-Identifier: Apache-2.0
"""The plan: every rule, alone and against its neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.rollout.plan import FAILED, RolloutMember, RolloutPlan, RolloutProgress, plan
from armillary.rollout.policy import RolloutPolicy
from armillary.wire.device.finding import Finding

IMAGE = UUID(int=7)
CATALOG = UUID(int=6)
PROGRESS = RolloutProgress(rollout_id=UUID(int=1), catalog_id=CATALOG, state="running", cohort=0, since=100)
POLICY = RolloutPolicy(
    cohorts=(10, 50, 100), success_percent=100, soak_s=60, min_failures=2, failure_percent=20, timeout_s=500
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


def run(
    members: list[RolloutMember], *findings: Finding, now: int = 200, policy: RolloutPolicy = POLICY, **progress: Any
) -> RolloutPlan:
    return plan(policy, replace(PROGRESS, **progress), members, findings, now)


def test_the_first_cohort_starts() -> None:
    made = run(waiting(*range(20)), cohort=-1)
    assert (made.cohort, len(made.start), made.event) == (0, 2, "")
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
    ],
)
def test_rule_1_each_started_device_is_looked_at(now: int, changes: dict[str, Any], state: str | None) -> None:
    made = run([member(1, **changes)], now=now)
    assert [move.state for move in made.moves] == ([] if state is None else [state])


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


def test_rule_4_a_cohort_that_can_no_longer_succeed_is_held() -> None:
    lost = [member(1, "confirmed"), member(2, "reverted"), *waiting(3)]
    made = run(lost)
    assert made.event == "hold"
    assert "1 of 2" in made.reason
    assert run([member(1), member(2, "reverted"), *waiting(3)]).event == ""  # one is still on its way
    assert run(lost, policy=replace(POLICY, success_percent=50)).event == ""


def test_rule_5_the_next_cohort_waits_for_success_and_soak() -> None:
    devices = [member(1, "confirmed", finished_at=140), *waiting(*range(2, 11))]
    assert run(devices, now=199).start == ()
    made = run(devices, now=200)
    assert (made.cohort, len(made.start)) == (1, 4)
    assert (
        run([member(1), member(20, "confirmed"), *waiting(2)], now=1000, policy=replace(POLICY, timeout_s=5000)).start
        == ()
    )


def test_rule_6_the_last_cohort_finishes_and_takes_newcomers() -> None:
    devices = [member(n, "confirmed", cohort=2) for n in range(3)]
    assert run(devices, cohort=2, now=1000).event == "finish"
    late = [member(0, cohort=2), *waiting(8, 9)]
    assert set(run(late, cohort=2).start) == {"d8", "d9"}
    assert run([member(0, cohort=1), *waiting(8)], cohort=1).start == ()


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
    ],
)
def test_a_failure_is_told_once_and_not_lost_on_the_way_back(changes: dict[str, Any], move: object) -> None:
    made = run([member(1, **{"state": "offered", **changes})], state="rolling-back")
    assert [(one.state, one.reason, one.failure) for one in made.moves] == ([] if move is None else [move])


STATES = ("", "started", "offered", "confirmed", "reverted", "failed", "timed-out")


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(STATES), st.booleans(), st.booleans(), st.integers(0, 2)), max_size=25),
    st.integers(-1, 2),
    st.integers(100, 2000),
    st.sampled_from(("running", "held", "rolling-back")),
)
def test_no_plan_starts_a_device_twice_or_anything_while_it_holds(
    rows: list[tuple[str, bool, bool, int]], cohort: int, now: int, state: str
) -> None:
    members = [
        member(n, row[0], offered=row[1], converged=row[2], **({"cohort": row[3]} if row[0] else {}))
        for n, row in enumerate(rows)
    ]
    made = run(members, state=state, cohort=cohort, now=now)
    assert made == run(members, state=state, cohort=cohort, now=now)
    fresh = {m.device_id for m in members if not m.state}
    assert set(made.start) <= fresh
    assert len(set(made.start)) == len(made.start)
    if state != "running" or made.event:
        assert made.start == ()
    assert made.cohort in (cohort, cohort + 1)
    if state == "held":
        assert made.event == ""
