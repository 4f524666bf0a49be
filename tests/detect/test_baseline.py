# SPDX-License-Identifier: Apache-2.0
"""Baselines: unusual is what is above a device's own past and its cohort's, for more than one window."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.detect.baseline import DRIFT, LEAP, Baseline, Unusual

DAY = 288


def learned(windows: int = DAY, devices: int = 10, each: int = 0) -> Baseline:
    """A cohort in which each device has ``each`` events a window, for so many windows."""
    baseline = Baseline(("events",))
    for window in range(windows):
        for device in range(devices if each else 0):
            baseline.observe(window, device, "old", (each,))
        baseline.close(window, {"old": devices})
    return baseline


def said(baseline: Baseline, device: object, *counts: int, start: int = DAY, cohort: str = "old") -> list[Any]:
    return [baseline.observe(start + index, device, cohort, (count,)) for index, count in enumerate(counts)]


def test_two_windows_far_above_are_unusual_and_one_is_not() -> None:
    assert said(learned(), "a", 1000) == [None]
    first, second = said(learned(), "a", 50, 40)
    assert first is None
    assert second == Unusual("a", "events", DAY + 1, 40, second.expected, 2 * LEAP)
    assert said(learned(), "a", 50, 0, 0, 0, 0, 0, 50) == [None] * 7, "the sum has gone down meanwhile"


def test_a_little_in_many_windows_is_noticed() -> None:
    found = said(learned(), "a", *[2] * 12)
    assert sum(one is not None for one in found) == 1
    assert said(learned(), "a", *[1] * 3, 0, 0, 0) == [None] * 6


def test_what_is_usual_for_its_cohort_is_usual_for_a_new_device() -> None:
    baseline = learned(each=20)
    assert said(baseline, "new", 20, 21, 19, 22, 20) == [None] * 5
    alone = learned(each=0)
    assert any(said(alone, "new", 20, 21, 19)), "the control: in a quiet cohort it is not"


def test_what_is_usual_for_one_device_is_learned_for_it_alone() -> None:
    baseline = learned(devices=50)
    for window in range(DAY, 3 * DAY):
        baseline.observe(window, "busy", "old", (4,))
        baseline.close(window, {"old": 50})
    assert said(baseline, "busy", 4, 4, 5, 4, start=3 * DAY) == [None] * 4
    assert any(said(baseline, "other", 5, 5, 5, 5, 5, start=3 * DAY))


def test_other_firmware_begins_anew() -> None:
    baseline = learned(each=20)
    baseline.close(DAY, {"old": 5, "new": 5})
    assert any(said(baseline, 1, 20, 20, start=DAY + 1, cohort="new"))
    assert baseline.devices[1].cohort == "new"


def test_it_is_said_once_until_it_is_over() -> None:
    baseline = learned()
    found = said(baseline, "a", *[50] * 20)
    assert [one is not None for one in found] == [False, True, *[False] * 18]
    later = DAY + 20 + int(20 * LEAP / DRIFT) + 2
    assert sum(one is not None for one in said(baseline, "a", 90, 90, 90, start=later)) == 1


def test_the_memory_is_bounded() -> None:
    baseline = Baseline(("events",), most=3)
    for device in range(9):
        baseline.observe(0, device, "old", (1,))
    assert list(baseline.devices) == [6, 7, 8]
    baseline.close(0, {"old": 9})
    baseline.close(1, {"new": 9})
    assert set(baseline.cohorts) == {"new"}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(1, 40))
def test_windows_without_events_are_as_if_they_were_told(counts: list[int], quiet: int) -> None:
    """Telling of every empty window comes to the same as leaving it out."""
    lazy, eager, window = Baseline(("events",)), Baseline(("events",)), 0
    for count in [*counts, 5]:
        scores = [one.judge(window, "a", "c", (count,))[1] for one in (lazy, eager)]
        assert scores[0] == pytest.approx(scores[1])
        for passed in range(1, quiet):
            eager.judge(window + passed, "a", "c", (0,))
        for one in (lazy, eager):
            for passed in range(quiet):
                one.close(window + passed, {"c": 3})
        window += quiet
