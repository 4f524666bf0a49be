# SPDX-License-Identifier: Apache-2.0
"""The install lease of an offer: it ends, is renewed while the roll-out runs, and is renewed to nobody once it is held."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.clocks import Clock
from tests.fixtures.effort import examples
from tests.service.updates.os_fleet import POLICY as OS_POLICY, OsFleet
from tests.service.updates.rollout_fleet import POLICY, Fleet

from armillary.rollout.policy import RolloutPolicy
from armillary.service.updates.staging import LEASE_PARTS, LEASE_STEP_S, leased
from armillary.wire.device.checkin import Offer
from armillary.wire.device.update_status import UpdateStatus


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 90 * 86400), st.integers(0, 2**33))
def test_a_lease_is_no_longer_than_the_policy_says_and_at_least_seven_eighths_of_it(lease_s: int, now: int) -> None:
    until, renewed_at = leased(lease_s, now)
    assert until <= now + lease_s
    assert until > now + lease_s - max(1, lease_s // LEASE_PARTS)
    assert now < renewed_at <= now + LEASE_STEP_S
    assert leased(lease_s, renewed_at - 1) == (until, renewed_at)  # the same offer until then
    assert leased(lease_s, renewed_at)[0] > until


def lease_of(offer: Offer | None) -> int | None:
    """Until when an offer may be installed."""
    assert offer is not None
    assert offer.when is not None
    return offer.when.lease_until


@pytest.mark.parametrize("lease_s", [0, 600, 86_400])
def test_offers_of_a_rollout_end_and_the_way_back_does_not(fleet: Fleet, clock: Clock, lease_s: int) -> None:
    device = fleet.devices[0]
    device.update_status = UpdateStatus()
    rollout = fleet.start(RolloutPolicy(cohorts=(100,), lease_s=lease_s))
    fleet.service.updates.planner.run_once()
    expected = leased(lease_s, int(clock.now))[0] if lease_s else None
    assert lease_of(device.check_in().offer) == expected
    clock.now += 1
    fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="", actor="t")
    device.installed = ()
    assert lease_of(device.check_in().offer) is None


def test_a_lease_is_renewed_by_asking_and_by_nothing_else(fleet: Fleet, clock: Clock) -> None:
    device = fleet.devices[0]
    device.update_status = UpdateStatus()
    fleet.start(RolloutPolicy(cohorts=(100,), lease_s=600))
    fleet.service.updates.planner.run_once()
    clock.now = clock.now // 75 * 75
    first = lease_of(device.check_in().offer)
    assert first is not None
    clock.now += 74
    assert lease_of(device.check_in().offer) == first  # the same offer, signed once
    clock.now += 1
    assert lease_of(device.check_in().offer) == first + 75


def test_what_was_halted_is_leased_to_nobody_again(fleet: Fleet, clock: Clock) -> None:
    """A device that comes back after its lease gets no new one: it stays on what it has."""
    device = fleet.devices[0]
    device.update_status = UpdateStatus()
    rollout = fleet.start(replace(POLICY, cohorts=(100,), lease_s=600))
    fleet.service.updates.planner.run_once()
    first = lease_of(device.check_in().offer)
    fleet.service.updates.rollouts.hold(rollout.rollout_id, reason="stop", actor="t")
    clock.now += 601
    assert first is not None
    assert first < clock.now
    assert device.check_in().offer is None
    fleet.service.updates.rollouts.resume(rollout.rollout_id, actor="t")
    again = lease_of(device.check_in().offer)
    assert again is not None
    assert again > clock.now


def test_an_os_is_leased_as_applications_are_and_the_way_back_is_not(os_fleet: OsFleet, clock: Clock) -> None:
    device, updates = os_fleet.devices[0], os_fleet.service.updates
    rollout = os_fleet.start(replace(OS_POLICY, cohorts=(100,), lease_s=600))
    updates.planner.run_once()
    assert lease_of(device.check_in().offer) == leased(600, int(clock.now))[0]
    os_fleet.boot(device, "27.1")
    device.check_in()
    clock.now += 1
    updates.rollouts.roll_back(rollout.rollout_id, reason="bad", actor="ben")
    assert lease_of(device.check_in().offer) is None
