# SPDX-License-Identifier: Apache-2.0
"""Who comes first: sticky per roll-out, different between roll-outs, spread over the devices."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.rollout.cohort import EVERYBODY, NOBODY, PRIME, order_of, size_after

DEVICES = range(1, 201)
ROLLOUTS = [uuid5(UUID(int=0), str(n)) for n in range(50)]


def in_order(rollout: UUID, numbers: range = DEVICES) -> list[int]:
    return sorted(numbers, key=order_of(rollout).place)


def test_the_order_is_the_same_for_the_same_rollout_and_another_for_another() -> None:
    assert in_order(ROLLOUTS[0]) == in_order(ROLLOUTS[0])
    assert len({in_order(rollout)[0] for rollout in ROLLOUTS}) > 20  # nobody is always the first


def test_a_device_that_joins_does_not_reorder_the_others() -> None:
    before = in_order(ROLLOUTS[0], range(1, 101))
    assert [one for one in in_order(ROLLOUTS[0]) if one <= 100] == before


@settings(max_examples=examples(100), deadline=None)
@given(st.uuids(), st.sets(st.integers(0, PRIME - 1), max_size=50))
def test_no_two_devices_have_the_same_place_and_every_place_is_between_the_ends(
    rollout: UUID, numbers: set[int]
) -> None:
    places = {order_of(rollout).place(number) for number in numbers}
    assert len(places) == len(numbers)
    assert all(NOBODY < place < EVERYBODY for place in places)


@pytest.mark.parametrize("devices", [1_000, 10_000])
def test_the_first_tenth_is_spread_over_the_fleet(devices: int) -> None:
    """Devices that were made together are not the first together: both halves of the numbers have their share."""
    lower = []
    for rollout in ROLLOUTS:
        first = in_order(rollout, range(devices))[: devices // 10]
        lower.append(sum(number < devices // 2 for number in first) / len(first))
    assert 0.45 < sum(lower) / len(lower) < 0.55
    assert sum(0.3 <= share <= 0.7 for share in lower) > 45


def test_cohort_sizes_round_up_and_are_never_empty_while_devices_are_left() -> None:
    assert [size_after((1, 10, 100), k, 3) for k in range(3)] == [1, 2, 3]
    assert [size_after((1, 10, 100), k, 1000) for k in range(3)] == [10, 100, 1000]
    assert [size_after((1, 10, 100), k, 1) for k in range(3)] == [1, 1, 1]
    assert size_after((1, 100), 0, 0) == 0
    assert size_after((33, 100), 0, 10) == 4
