# SPDX-License-Identifier: Apache-2.0
"""Played roll-outs: one that crashes five times as often is held soon, and one that crashes as before is not."""

from __future__ import annotations

import json

import pytest
from tests.fixtures.effort import effort

from armillary.cli.main import run
from armillary.rollout import plan as plans
from armillary.sim.rollouts.crash_play import Play, played, summarised

EXCESS = 20  # of the promise
RUNS = 40


@pytest.mark.parametrize("play", [Play(), Play(temper=5.0, swing=0.0)], ids=["uneven", "alike"])
def test_five_times_the_crashes_are_held_at_one_percent(play: Play) -> None:
    found = summarised(play, RUNS)
    assert found.held == RUNS
    assert found.in_first_cohort >= RUNS - 1
    assert found.excess is not None
    assert found.excess[1] <= EXCESS
    assert found.late_s <= 60


def test_control_without_the_test_nothing_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "worse_than_before", lambda *_: "")
    assert summarised(Play(), 2).held == 0


def test_a_release_that_crashes_as_before_goes_to_everybody() -> None:
    """Of a thousand (``make test-long``) at most as many are held as the policy's part of one percent allows."""
    runs = effort(5, 1000)
    found = summarised(Play(times=1.0, devices=2000), runs)
    assert found.held <= max(1, runs // 300)


def test_control_of_the_bound_whoever_looks_at_the_count_alone_holds_good_releases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it was: some crashes on some devices are enough."""
    monkeypatch.setattr(plans, "worse_than_before", lambda _, __, rates: "crashes" if rates.crashed >= 3 else "")
    assert summarised(Play(times=1.0, devices=2000), 3).held == 3


def test_a_roll_out_follows_from_its_seed() -> None:
    play = Play(devices=2000, crashes_a_day=1.0)
    assert played(play) == played(play)
    assert summarised(Play(times=1.0, devices=200, crashes_a_day=0.01), 1).excess is None


def test_the_command_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(("sim", "crashes", "--runs", "2", "--devices", "1000", "--a-day", "2", "--json"))
    found = json.loads(capsys.readouterr().out)
    assert (ended.value.code, found["runs"], found["held"]) == (0, 2, 2)
