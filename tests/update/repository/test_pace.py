# SPDX-License-Identifier: Apache-2.0
"""How slow a transfer may be, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import TransferError
from armillary.update.repository.pace import Pace, PaceRules

RULES = PaceRules(min_bytes_per_s=100, window_s=10, allowance_s=20)


def test_one_byte_a_second_ends_with_the_first_window():
    pace = Pace("kernel", RULES, length=10_000, started=0)
    for second in range(1, 10):
        pace.received(1, second)
    with pytest.raises(TransferError, match="kernel: 10 bytes in 10 s: expected at least 100 bytes/s"):
        pace.received(1, 10)


def test_nothing_at_all_ends_with_the_first_window():
    pace = Pace("kernel", RULES, length=10_000, started=5)
    assert pace.patience_s(5) == 10
    with pytest.raises(TransferError):
        pace.received(0, 15)


def test_a_fast_start_does_not_pay_for_a_slow_end():
    pace = Pace("kernel", RULES, length=100_000, started=0)
    pace.received(50_000, 1)
    pace.received(1, 10)  # the first window had enough
    with pytest.raises(TransferError):
        pace.received(1, 20)


def test_the_last_bytes_may_be_fewer_than_a_window_asks():
    pace = Pace("kernel", RULES, length=1_010, started=0)
    pace.received(1_000, 10)
    pace.received(9, 19.9)
    with pytest.raises(TransferError):
        pace.received(0, 20)


def test_the_whole_has_an_end_however_steady():
    pace = Pace("kernel", RULES, length=1_000, started=0)
    for second in (10, 20):
        pace.received(1_000, second)  # more than was to come: its source decides how much it sends
    with pytest.raises(TransferError, match="not finished within"):
        pace.received(1_000, 30)


@settings(max_examples=examples(200))
@given(
    length=st.integers(1, 100_000),
    steps=st.lists(st.tuples(st.integers(0, 5_000), st.floats(0.01, 15)), min_size=1, max_size=80),
)
def test_no_transfer_outlives_its_deadline_and_patience_is_never_beyond_it(length: int, steps: list[tuple[int, float]]):
    pace, now = Pace("x", RULES, length=length, started=0), 0.0
    deadline = RULES.allowance_s + length / RULES.min_bytes_per_s
    for count, waited in steps:
        assert 0 <= pace.patience_s(now) <= max(0.0, deadline - now)
        now += min(waited, pace.patience_s(now))
        try:
            pace.received(count, now)
        except TransferError:
            return
        assert now < deadline
