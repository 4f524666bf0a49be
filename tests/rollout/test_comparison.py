# SPDX-License-Identifier: Apache-2.0
"""The test against the release before: how often it holds a good release, and how soon a bad one. Computed, not drawn.

``chance`` walks through every way that trials can go, with its probability, and looks after every single device: what
it returns is exact, and no number depends on a random generator.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.rollout.comparison import (
    ENOUGH_DEVICES,
    LOWEST_RATE,
    SIGNALS,
    Signal,
    baseline,
    limit,
    log_evidence,
    worse_than_before,
)
from armillary.rollout.policy import RolloutPolicy

POLICY = RolloutPolicy(min_failures=1, failure_percent=5)


def chance(rate: float, before: float, devices: int, bound: float) -> tuple[float, list[float]]:
    """The probability that the evidence against ``before`` reaches ``bound`` within ``devices`` that fail at ``rate``.

    Also the probability, device by device, that it does so exactly there.
    """
    ways, held, when = {0: 1.0}, 0.0, []
    for trials in range(1, devices + 1):
        after: dict[int, float] = defaultdict(float)
        now = 0.0
        for failures, share in ways.items():
            for more, part in ((1, rate), (0, 1 - rate)):
                if log_evidence(before, failures + more, trials) >= bound:
                    now += share * part
                else:
                    after[failures + more] += share * part
        # Ways of no weight are left out: together they are less than a millionth of a millionth.
        ways = {failures: share for failures, share in after.items() if share > 1e-18}
        held += now
        when.append(now)
    return held, when


@pytest.mark.parametrize("percent", [1, 5, 20])
@pytest.mark.parametrize("before", [0.01, 0.05, 0.3])
def test_a_release_as_good_as_the_one_before_is_held_no_more_often_than_the_policy_says(
    percent: int, before: float
) -> None:
    """One signal has a third of the policy's share, however often one looks: here after each of 600 devices."""
    bound = limit(replace(POLICY, false_hold_percent=percent))
    held, _ = chance(before, before, 600, bound)
    assert 0 < held <= percent / 100 / len(SIGNALS)
    better, _ = chance(before / 2, before, 600, bound)
    assert better < held


def test_the_bound_is_what_keeps_it() -> None:
    """Control: with a bound that anybody reaches, good releases are held."""
    held, _ = chance(0.05, 0.05, 600, 0.5)
    assert held > 0.05


@pytest.mark.parametrize(
    ("rate", "before", "most"), [(1.0, 0.05, 3), (0.5, 0.01, 6), (0.1, 0.01, 52), (0.2, 0.05, 53), (0.05, 0.01, 180)]
)
def test_a_worse_release_is_held_soon(rate: float, before: float, most: int) -> None:
    """The mean number of devices until the hold, of a release that fails at ``rate`` where ``before`` was usual."""
    held, when = chance(rate, before, 1500, limit(POLICY))
    assert held > 0.999
    mean = sum(number * share for number, share in enumerate(when, start=1)) / held
    assert mean <= most


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(0.001, 0.9), st.integers(0, 500), st.integers(0, 500))
def test_another_failure_is_evidence_and_another_success_is_not(before: float, failures: int, works: int) -> None:
    trials = failures + works
    evidence = log_evidence(before, failures, trials)
    assert log_evidence(before, failures + 1, trials + 1) > evidence
    assert log_evidence(before, failures, trials + 1) < evidence


@settings(max_examples=examples(100), deadline=None)
@given(st.floats(0.001, 0.9), st.integers(0, 200), st.integers(0, 200))
def test_the_evidence_is_a_fair_bet_against_the_release_before(before: float, failures: int, works: int) -> None:
    """The step of Ville's inequality: at the rate of the release before, nothing is gained by one more device."""
    trials = failures + works
    now = log_evidence(before, failures, trials)
    fails = math.exp(log_evidence(before, failures + 1, trials + 1) - now)
    works_on = math.exp(log_evidence(before, failures, trials + 1) - now)
    assert before * fails + (1 - before) * works_on == pytest.approx(1, rel=1e-9)


def signal(failures: int, trials: int, before: tuple[int, int] = (1, 1000), name: str = "crashed") -> Signal:
    return Signal(name, failures, trials, *before)


def test_the_rate_before_is_estimated_and_never_below_the_lowest() -> None:
    assert baseline(signal(0, 0, (49, 998)), POLICY) == pytest.approx(0.05)
    assert baseline(signal(0, 0, (0, 10_000)), POLICY) == LOWEST_RATE
    assert baseline(signal(0, 0, (ENOUGH_DEVICES, ENOUGH_DEVICES - 1)), POLICY) == 0.05  # too few: the policy's
    assert baseline(signal(0, 0, (100, 100)), POLICY) < 1


def test_words_say_what_was_compared() -> None:
    said = worse_than_before(POLICY, [signal(0, 50, name="silent"), signal(10, 50)])
    assert said == "worse than before: 10 of 50 devices crashed; 1 of 1000 with the release before"
    said = worse_than_before(POLICY, [signal(10, 20, (0, 3), "reverted")])
    assert said == "worse than before: 10 of 20 devices reverted; at most 5% was expected"


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, signal(1, 50)),
        ({}, signal(10, 50, (200, 1000))),  # as bad as before
        ({"false_hold_percent": 0}, signal(50, 50)),
        ({"min_failures": 11}, signal(10, 50)),
    ],
)
def test_what_does_not_hold(changes: dict[str, int], seen: Signal) -> None:
    assert worse_than_before(replace(POLICY, **changes), [seen]) == ""
