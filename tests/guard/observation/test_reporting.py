# SPDX-License-Identifier: Apache-2.0
"""Report by exception: deadband, least and longest time, quality; nothing that moved enough is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.guard.observation.reporting import Reporter
from armillary.wire.equipment.profile import ReportRule
from armillary.wire.equipment.reading import Quality, Reading, Value

RULE = ReportRule(absolute=0.3, min_s=2.0, max_s=60.0)


def reading(value: Value | None, quality: Quality = Quality.GOOD, point: str = "brewTemp") -> Reading:
    return Reading(point, value, quality, 1000.0)


def sent(reporter: Reporter, value: Value | None, now: float, quality: Quality = Quality.GOOD) -> bool:
    return bool(reporter.take([reading(value, quality)], now))


def test_the_first_reading_is_sent_and_what_moves_less_than_the_deadband_is_not():
    reporter = Reporter({"brewTemp": RULE})
    assert sent(reporter, 92.5, 0)
    assert not sent(reporter, 92.5, 10)
    assert not sent(reporter, 92.7, 20)
    assert sent(reporter, 92.8, 30)  # 0.3 in decimals, a little less in doubles
    assert not sent(reporter, 92.6, 40)


def test_a_slow_drift_is_measured_from_what_was_sent_last():
    reporter = Reporter({"brewTemp": RULE})
    values = [90.0 + step * 0.1 for step in range(31)]
    assert sum(sent(reporter, value, 3.0 * step) for step, value in enumerate(values)) == 11


def test_a_change_that_comes_too_early_is_sent_later():
    reporter = Reporter({"brewTemp": RULE})
    assert sent(reporter, 92.0, 0)
    assert not sent(reporter, 95.0, 1.9)
    assert sent(reporter, 95.0, 2.0)


def test_after_the_longest_time_a_value_is_sent_again_although_it_stands():
    reporter = Reporter({"brewTemp": RULE})
    assert sent(reporter, 92.0, 0)
    assert not sent(reporter, 92.0, 59.9)
    assert sent(reporter, 92.0, 60.0)
    assert not sent(reporter, 92.0, 119.9)


def test_a_change_of_quality_is_sent_at_once_and_once():
    reporter = Reporter({"brewTemp": RULE})
    assert sent(reporter, 92.0, 0)
    assert sent(reporter, 92.0, 0.1, Quality.STALE)
    assert not sent(reporter, 92.0, 0.2, Quality.STALE)
    assert sent(reporter, None, 0.3, Quality.BAD)
    assert sent(reporter, 92.0, 0.4)


def test_a_percentage_is_of_the_last_sent_value_and_the_larger_deadband_counts():
    reporter = Reporter({"brewTemp": ReportRule(absolute=0.5, percent=10.0)})
    assert sent(reporter, 100.0, 0)
    assert not sent(reporter, 109.9, 1)
    assert sent(reporter, 110.0, 2)
    assert sent(reporter, 1.0, 3)
    assert not sent(reporter, 1.4, 4)
    assert sent(reporter, 1.5, 5)


@pytest.mark.parametrize(("before", "after"), [("idle", "brewing"), (False, True), (0, 1), (2.0, 2.0001)])
def test_without_a_deadband_every_change_is_sent(before, after):
    reporter = Reporter({"brewTemp": ReportRule()})
    assert sent(reporter, before, 0)
    assert not sent(reporter, before, 1)
    assert sent(reporter, after, 2)


def test_points_without_a_rule_are_not_sent():
    assert Reporter({"brewTemp": RULE}).take([reading(1.0, point="other")], 0) == []


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 30),
            st.one_of(st.none(), st.integers(-1000, 1000).map(lambda number: number / 10)),
        ),
        max_size=60,
    )
)
def test_what_is_known_outside_is_never_further_off_than_the_deadband_for_longer_than_the_least_time(steps):
    reporter, now, known, off_since = Reporter({"brewTemp": RULE}), 0.0, None, None
    for passed, value in steps:
        now += passed
        quality = Quality.BAD if value is None else Quality.GOOD
        if reporter.take([reading(value, quality)], now):
            known, off_since = (value, quality), None
            continue
        assert known is not None
        assert quality is known[1]
        if value is not None and abs(value - known[0]) >= RULE.absolute:
            off_since = now if off_since is None else off_since
            assert now - off_since < RULE.min_s
