# SPDX-License-Identifier: Apache-2.0
"""The test of crash rates: a fair bet at every step, and evidence that a worse release gathers soon."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.detect.sequential import COUNTED, RATIOS, AtRisk, CrashEvidence, factor
from armillary.rollout.comparison import limit
from armillary.rollout.policy import RolloutPolicy

counts = st.integers(1, 100_000)


@settings(max_examples=examples(300), deadline=None)
@given(counts, counts, st.sampled_from(RATIOS))
def test_each_step_is_a_fair_bet_while_both_crash_alike(new: int, before: int, ratio: float) -> None:
    """The step of Ville's inequality: the expected factor is 1 where the crash strikes any device alike."""
    share = new / (new + before)
    gained = math.exp(factor(ratio, new, before, is_new=True))
    lost = math.exp(factor(ratio, new, before, is_new=False))
    assert share * gained + (1 - share) * lost == pytest.approx(1, rel=1e-9)
    assert lost < 1 < gained


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), counts, counts), max_size=40))
def test_a_crash_with_the_new_release_is_evidence_and_one_before_is_not(
    crashes: list[tuple[bool, bool, int, int]],
) -> None:
    evidence = CrashEvidence()
    assert evidence.log == pytest.approx(0)
    for is_new, is_first, new, before in crashes:
        after = evidence.after(AtRisk(new, before), is_new=is_new, is_first=is_first)
        assert (after.log > evidence.log) == is_new
        evidence = after
    firsts = [is_new for is_new, is_first, *_ in crashes if is_first]
    assert (evidence.new, evidence.before) == (sum(firsts), len(firsts) - sum(firsts))


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(counts, counts), min_size=COUNTED, max_size=COUNTED))
def test_one_device_alone_is_never_enough(at_risk: list[tuple[int, int]]) -> None:
    """By the default policy; whatever the others are, and whatever it says."""
    evidence = CrashEvidence()
    for new, before in at_risk:
        evidence = evidence.after(AtRisk(new, before), is_new=True, is_first=True)
    assert evidence.log < limit(RolloutPolicy()) - 0.5
    most = CrashEvidence()
    for _ in range(COUNTED):
        most = most.after(AtRisk(1, 10**9), is_new=True, is_first=True)
    assert most.log < math.log(174), "the bound that the module states"


def test_without_devices_to_compare_with_nothing_is_evidence() -> None:
    evidence = CrashEvidence()
    for _ in range(1000):
        evidence = evidence.after(AtRisk(50, 0), is_new=True, is_first=True)
    assert evidence.log == pytest.approx(0)


def test_a_device_cannot_be_the_one_that_crashes_where_none_is_counted() -> None:
    """A count that is a little old is put right, and is no division by nothing."""
    assert CrashEvidence().after(AtRisk(0, 0), is_new=True, is_first=True).log == pytest.approx(0)
    assert CrashEvidence().after(AtRisk(0, 99), is_new=True, is_first=True).log > 0
