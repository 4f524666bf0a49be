# SPDX-License-Identifier: Apache-2.0
"""Played attacks are found within the budget of false incidents, on fleets by which nothing was chosen."""

from __future__ import annotations

import json

import pytest

from armillary.cli.main import run
from armillary.detect import baseline as baselines
from armillary.detect.quality import BUDGET, average_precision, false_per_thousand_days, recall_at_rate
from armillary.sim.attacks.evaluation import evaluate
from armillary.sim.attacks.fleet import ATTACKS, WINDOWS_A_DAY, Play, fleet

SEEDS = (11, 12, 13)


def test_attacks_are_found_within_the_budget_of_false_incidents() -> None:
    found = [evaluate(fleet(Play(seed=seed))) for seed in SEEDS]
    assert sum(one.recall for one in found) / len(found) >= 0.9
    assert sum(one.false_per_1000_days for one in found) / len(found) <= BUDGET
    assert all(one.precision >= 0.8 and one.recall_at_rate >= 0.9 for one in found)
    assert all(one.delay is not None and one.delay <= 4 for one in found)


def test_without_the_past_of_the_cohort_and_the_drift_people_are_called_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: the budget is not kept by honest devices alone."""
    monkeypatch.setattr(baselines, "DRIFT", 0.5)
    monkeypatch.setattr(baselines, "LIMIT", 8.0)
    assert evaluate(fleet(Play(seed=SEEDS[0]))).false_per_1000_days > 5 * BUDGET


def test_a_fleet_follows_from_its_seed_and_has_no_attack_while_it_is_learned() -> None:
    play = Play(devices=60, days=4, learning=1, seed=5)
    one = fleet(play)
    assert one == fleet(play)
    assert one != fleet(Play(devices=60, days=4, learning=1, seed=6))
    assert {attack.kind for attack in fleet(Play(seed=5)).attacks} == set(ATTACKS)
    assert all(play.judged_from <= attack.first < attack.last <= play.windows for attack in one.attacks)
    assert one.sizes(0) == {"old": 60}
    assert one.sizes(play.windows - 1) == {"old": 30, "new": 30}
    assert {one.cohort(3, 0), one.cohort(3, play.windows - 1)} == {"old", "new"}
    assert play.windows == 4 * WINDOWS_A_DAY


def test_the_command_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(("sim", "attacks", "--devices", "60", "--days", "3", "--seed", "5", "--json"))
    found = json.loads(capsys.readouterr().out)
    assert (ended.value.code, found["attacks"], found["seed"]) == (0, 3, 5)
    assert 0 <= found["recall"] <= 1


def test_measures_of_quality() -> None:
    assert average_precision([(3, True), (2, False), (1, True)]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([(1, True), (1, False)]) == 0.5, "what is equal is taken together"
    assert average_precision([(1, False)]) == 0
    rows = [(9.0, True), (8.0, False), (7.0, True), (1.0, False), (0.5, True)]
    assert recall_at_rate(rows, negatives=2, rate=0.0) == pytest.approx(1 / 3)
    assert recall_at_rate(rows, negatives=2, rate=0.5) == pytest.approx(2 / 3)
    assert recall_at_rate([(1.0, True)], negatives=0, rate=0.1) == 1
    assert false_per_thousand_days(3, 1500) == 2
