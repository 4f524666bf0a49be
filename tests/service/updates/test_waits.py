# SPDX-License-Identifier: Apache-2.0
"""Devices of a roll-out that wait for a maintenance window, or for an application, are not late; silent ones are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.service.updates.rollout_fleet import HERE, POLICY, Fleet

from armillary.engines.records.schema.rollout_rows import Rollout, RolloutDevice
from armillary.service.updates import sighting
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import UpdateStatus

HOUR_S = 3600
DAY_S = 24 * HOUR_S
# Everybody at once, a timeout of an hour, and no rule that holds it for the few that fail here.
AT_ONCE = replace(POLICY, cohorts=(100,), success_percent=50, min_failures=5, soak_s=10 * DAY_S, timeout_s=HOUR_S)


def set_windows(fleet: Fleet, *windows: str, max_deferral_s: int = DAY_S) -> None:
    fleet.service.updates.schedules.put(
        *HERE, actor="t", check_interval_s=None, zone="UTC", windows=windows, max_deferral_s=max_deferral_s
    )


def opens_in(clock: Clock, hours: int) -> tuple[str, int]:
    """A daily window of two hours that opens so many full hours from now on, and when it does."""
    start = int(clock.now) // HOUR_S * HOUR_S + hours * HOUR_S
    hour = start // HOUR_S % 24
    return f"daily {hour:02}:00-{(hour + 2) % 24:02}:00", start


def hear(*devices: WireDevice) -> None:
    for device in devices:
        device.challenge = b""  # the one before may have expired
        device.check_in()


def standing(fleet: Fleet, rollout: Rollout) -> dict[str, RolloutDevice]:
    fleet.service.updates.planner.run_once()
    return {one.device_id: one for one in fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items}


def test_who_waits_for_a_window_is_not_late_and_who_is_silent_is(fleet: Fleet, clock: Clock) -> None:
    window, start = opens_in(clock, 6)
    set_windows(fleet, window)
    rollout = fleet.start(AT_ONCE)
    fleet.service.updates.planner.run_once()
    *waiting, silent = fleet.devices
    hear(*waiting)
    clock.now += 3 * HOUR_S
    states = standing(fleet, rollout)
    assert [states[one.device_id].state for one in waiting] == ["offered"] * 4
    assert {states[one.device_id].waits_until for one in waiting} == {start}
    assert (states[silent.device_id].state, states[silent.device_id].waits_until) == ("timed-out", None)
    clock.now = start + HOUR_S - 1  # its time runs from when the window opens
    assert {standing(fleet, rollout)[one.device_id].state for one in waiting} == {"offered"}
    first, *others = waiting
    first.installed = (reports.installed(fleet.new),)
    hear(first)
    clock.now += 2
    states = standing(fleet, rollout)
    assert states[first.device_id].state == "confirmed"
    assert {states[one.device_id].state for one in others} == {"timed-out"}


def test_without_a_window_they_are_late(fleet: Fleet, clock: Clock) -> None:
    """Control of the test above."""
    rollout = fleet.start(AT_ONCE)
    fleet.service.updates.planner.run_once()
    hear(*fleet.devices)
    clock.now += 3 * HOUR_S
    assert {one.state for one in standing(fleet, rollout).values()} == {"timed-out"}


def test_who_was_heard_within_a_window_and_then_falls_silent_is_late(fleet: Fleet, clock: Clock) -> None:
    """However many windows open and close after that."""
    window, start = opens_in(clock, 1)
    set_windows(fleet, window)
    rollout = fleet.start(AT_ONCE)
    clock.now = start + 1
    fleet.service.updates.planner.run_once()
    hear(*fleet.devices)
    assert {one.waits_until for one in standing(fleet, rollout).values()} == {None}
    clock.now += 4 * HOUR_S  # the window is closed again
    assert {one.state for one in standing(fleet, rollout).values()} == {"timed-out"}


def test_those_that_wait_keep_nobody_from_being_found_late(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait: a look takes a bounded number of those whose time is up, and they are not among them."""
    monkeypatch.setattr(sighting, "OVERDUE_AT_ONCE", 1)
    set_windows(fleet, opens_in(clock, 12)[0])
    rollout = fleet.start(AT_ONCE)
    fleet.service.updates.planner.run_once()
    *waiting, silent = fleet.devices
    hear(*waiting)
    standing(fleet, rollout)
    clock.now += 2 * HOUR_S
    assert standing(fleet, rollout)[silent.device_id].state == "timed-out"


def test_urgency_ends_the_wait(fleet: Fleet, clock: Clock) -> None:
    window, _ = opens_in(clock, 12)
    set_windows(fleet, window)
    rollout = fleet.start(AT_ONCE)
    fleet.service.updates.planner.run_once()
    hear(*fleet.devices)
    assert None not in {one.waits_until for one in standing(fleet, rollout).values()}
    fleet.service.updates.schedules.urge(*HERE, reason="exploited", actor="t")
    hear(*fleet.devices)
    assert {one.waits_until for one in standing(fleet, rollout).values()} == {None}
    clock.now += HOUR_S + 1
    assert {one.state for one in standing(fleet, rollout).values()} == {"timed-out"}


def test_a_deferral_counts_for_as_long_as_the_group_allows(fleet: Fleet, clock: Clock) -> None:
    """What the device says of it holds no longer than that: a device cannot keep a roll-out from being judged."""
    set_windows(fleet, max_deferral_s=3 * HOUR_S)
    rollout = fleet.start(AT_ONCE)
    fleet.service.updates.planner.run_once()
    modest, greedy, *_ = fleet.devices
    began = int(clock.now)
    for device, until in ((modest, began + HOUR_S), (greedy, began + 1000 * DAY_S)):
        device.update_status = UpdateStatus(reason="deferred", until=until)
        hear(device)
    states = standing(fleet, rollout)
    assert states[modest.device_id].waits_until == began + HOUR_S
    assert states[greedy.device_id].waits_until == began + 3 * HOUR_S
    clock.now = began + 2 * HOUR_S + 1
    hear(greedy)
    states = standing(fleet, rollout)
    assert (states[modest.device_id].state, states[greedy.device_id].state) == ("timed-out", "offered")
    clock.now = began + 4 * HOUR_S + 1
    hear(greedy)
    assert standing(fleet, rollout)[greedy.device_id].state == "timed-out"
