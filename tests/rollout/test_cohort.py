# SPDX-License-Identifier: Apache-2.0
"""Who comes first: sticky per roll-out, different between roll-outs."""

from __future__ import annotations

from uuid import UUID

from armillary.rollout.cohort import in_order, size_after

DEVICES = [f"{n:0128x}" for n in range(200)]


def test_the_order_is_the_same_for_the_same_rollout_and_another_for_another() -> None:
    one = in_order(UUID(int=1), DEVICES)
    assert one == in_order(UUID(int=1), reversed(DEVICES))
    assert sorted(one) == DEVICES
    firsts = {in_order(UUID(int=n), DEVICES)[0] for n in range(50)}
    assert len(firsts) > 20  # nobody is always the first


def test_a_device_that_joins_does_not_reorder_the_others() -> None:
    before = in_order(UUID(int=1), DEVICES[:100])
    after = [one for one in in_order(UUID(int=1), DEVICES) if one in set(before)]
    assert after == before


def test_cohort_sizes_round_up_and_are_never_empty_while_devices_are_left() -> None:
    assert [size_after((1, 10, 100), k, 3) for k in range(3)] == [1, 2, 3]
    assert [size_after((1, 10, 100), k, 1000) for k in range(3)] == [10, 100, 1000]
    assert [size_after((1, 10, 100), k, 1) for k in range(3)] == [1, 1, 1]
    assert size_after((1, 100), 0, 0) == 0
    assert size_after((33, 100), 0, 10) == 4
