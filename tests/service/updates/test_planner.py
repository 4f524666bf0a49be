# SPDX-License-Identifier: Apache-2.0
"""Roll-outs from start to end: cohorts, hold, resume, roll back, over the real device endpoint."""

from __future__ import annotations

import pytest
from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.service.updates.rollout_fleet import HERE, Fleet, Make, step

from armillary.engines.records.schema.rows import Image
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.rollout.policy import RolloutPolicy
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice


def test_a_good_release_goes_out_in_cohorts_and_becomes_the_deployment(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    rollout = fleet.start()
    assert service.updates.deployments.current(*HERE).images == (fleet.old,)
    sizes = []
    for _ in range(3):
        step(fleet, clock)
        sizes.append(len(fleet.having(fleet.new)))
        step(fleet, clock, 5)  # soaking: nothing new starts
        assert len(fleet.having(fleet.new)) == sizes[-1]
        clock.now += 10
    assert sizes == [1, 3, 5]
    service.updates.planner.run_once()
    done = fleet.get(rollout)
    assert (done.state, done.counts["confirmed"], done.counts["waiting"]) == ("completed", 5, 0)
    assert service.updates.deployments.current(*HERE).deployment_id == rollout.deployment_id


def test_a_bad_release_is_held_and_stays_held_until_somebody_resumes(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    fleet.reverts = {d.device_id for d in fleet.devices}
    rollout = fleet.start()
    step(fleet, clock)
    held = fleet.get(rollout)
    assert held.state == "held"
    assert "1 of 1 devices failed" in held.reason
    (finding,) = service.watch.list(kind="rollout-held").items
    assert finding.rollout_id == rollout.rollout_id
    for _ in range(5):
        step(fleet, clock, 10_000)
    assert fleet.get(rollout).state == "held"
    assert sum(fleet.get(rollout).counts.values()) == 5
    assert fleet.get(rollout).counts["waiting"] == 4
    fleet.reverts = set()
    clock.now += 1
    service.updates.rollouts.resume(rollout.rollout_id, actor="t")
    step(fleet, clock)
    assert fleet.get(rollout).state == "running"
    step(fleet, clock, 11)
    assert len(fleet.having(fleet.new)) == 3  # the one that failed has tried again, and the second cohort


def test_rolling_back_gives_the_old_images_to_those_who_got_the_new_ones(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    rollout = fleet.start()
    step(fleet, clock)
    step(fleet, clock, 11)
    assert len(fleet.having(fleet.new)) == 3
    for reason, got in (("two\nlines", r"the character U\+000A"), ("x" * 1025, "1025")):
        with pytest.raises(InvalidArgumentError, match=f"on one line, got {got}"):
            service.updates.rollouts.hold(rollout.rollout_id, reason=reason, actor="anna")
    service.updates.rollouts.hold(rollout.rollout_id, reason="a doubt", actor="anna")
    service.updates.rollouts.roll_back(rollout.rollout_id, reason="bad", actor="anna")
    assert fleet.get(rollout).state == "rolling-back"
    step(fleet, clock)
    assert len(fleet.having(fleet.old)) == 5
    done = fleet.get(rollout)
    assert (done.state, done.counts.get("restored")) == ("rolled-back", 3)
    operations = [line.operation for line in service.audit.list().items if line.operation.startswith("rollout.")]
    assert operations[:4] == ["rollout.restored", "rollout.roll-back", "rollout.hold", "rollout.cohort"]


def test_rolling_back_a_first_release_takes_it_off_the_devices(host: ServiceHost, package: Make, clock: Clock) -> None:
    fleet = Fleet(host, package)
    rollout = fleet.start(RolloutPolicy(cohorts=(100,), soak_s=100))
    step(fleet, clock)
    assert len(fleet.having(fleet.new)) == 5
    host.service.updates.rollouts.roll_back(rollout.rollout_id, reason="bad", actor="t")
    step(fleet, clock)
    assert fleet.having(fleet.new) == set()
    assert fleet.get(rollout).state == "rolled-back"
    for device in fleet.devices:
        device.disconnect()


def test_crashes_of_the_new_image_hold_the_rollout(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    rollout = fleet.start()
    step(fleet, clock)
    (newest,) = [d for d in fleet.devices if d.device_id in fleet.having(fleet.new)]
    crash(newest, fleet.new, sequence=1, count=1, at=int(clock.now))
    service.watch.run_once()
    service.updates.planner.run_once()
    assert fleet.get(rollout).state == "running"  # one crash is an accident
    crash(newest, fleet.new, sequence=2, count=2, at=int(clock.now))
    service.watch.run_once()
    service.updates.planner.run_once()
    assert fleet.get(rollout).state == "held"
    assert "crashes" in fleet.get(rollout).reason
    (finding,) = service.watch.list(kind="application-crashed").items
    assert fleet.get(rollout).history[0].finding_id == finding.finding_id


def crash(device: WireDevice, image: Image, *, sequence: int, count: int, at: int) -> None:
    device.check_in(
        error_reports=(
            reports.crash(
                sequence=sequence,
                boot_count=device.prover.boot_count,
                component_id=image.component_id,
                image_id=image.image_id,
                count=count,
                start=at,
                end=at,
            ),
        )
    )


def test_a_silent_device_counts_as_failed(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    rollout = fleet.start()
    service.updates.planner.run_once()
    clock.now += 1001  # nobody checks in
    service.updates.planner.run_once()
    held = fleet.get(rollout)
    assert (held.state, held.counts["timed-out"]) == ("held", 1)


def test_roll_back_on_hold_needs_no_person_and_hides_no_failure(fleet: Fleet, clock: Clock) -> None:
    """The device that failed is restored in the same look: it has failed all the same, and why it was stopped stays."""
    bad = {fleet.devices[0].device_id, fleet.devices[3].device_id}
    fleet.reverts = set(bad)
    policy = RolloutPolicy(cohorts=(100,), min_failures=2, soak_s=0, roll_back_on_hold=True)
    service = fleet.service
    rollout = fleet.start(policy)
    step(fleet, clock)
    step(fleet, clock)
    done = fleet.get(rollout)
    assert done.state == "rolled-back"
    assert len(fleet.having(fleet.old)) == 5
    assert (done.counts, done.failed) == ({"restored": 5, "waiting": 0}, 2)
    devices = service.updates.rollouts.list_devices(rollout.rollout_id).items
    failed = {one.device_id: (one.state, one.failure, one.reason) for one in devices if one.failure}
    assert failed == dict.fromkeys(bad, ("restored", "reverted", "it crashed"))
    assert "devices failed" in done.reason
    (finding,) = service.watch.list(kind="rollout-held").items
    begun, ended = done.history
    assert (begun.event, begun.actor, begun.reason) == ("roll-back", "planner", done.reason)
    assert begun.finding_id == finding.finding_id
    assert (ended.event, ended.reason) == ("restored", "every device runs what it ran before")


def test_what_happened_stays_whoever_goes_on(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    fleet.reverts = {d.device_id for d in fleet.devices}
    rollout = fleet.start()
    step(fleet, clock)
    cause = fleet.get(rollout).reason
    assert (fleet.get(rollout).state, fleet.get(rollout).failed) == ("held", 1)
    service.updates.rollouts.roll_back(rollout.rollout_id, reason="back to the old one", actor="anna")
    step(fleet, clock)
    done = fleet.get(rollout)
    assert (done.state, done.failed, done.reason) == ("rolled-back", 1, "back to the old one")
    told = [(one.event, one.actor, one.reason) for one in done.history]
    assert told[:2] == [("hold", "planner", cause), ("roll-back", "anna", "back to the old one")]
    assert done.history[0].finding_id == service.watch.list(kind="rollout-held").items[0].finding_id


def test_a_failure_that_was_made_good_is_none(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    fleet.reverts = {d.device_id for d in fleet.devices}
    policy = RolloutPolicy(cohorts=(100,), min_failures=1, soak_s=10)
    rollout = fleet.start(policy)
    step(fleet, clock)
    assert (fleet.get(rollout).state, fleet.get(rollout).failed) == ("held", 5)
    fleet.reverts = set()
    clock.now += 1
    service.updates.rollouts.resume(rollout.rollout_id, actor="t")
    step(fleet, clock)
    assert (fleet.get(rollout).counts["confirmed"], fleet.get(rollout).failed) == (5, 0)
    assert {one.reason for one in service.updates.rollouts.list_devices(rollout.rollout_id).items} == {""}


def test_two_plans_for_one_group_are_refused(fleet: Fleet, clock: Clock) -> None:
    service = fleet.service
    rollout = fleet.start()
    with pytest.raises(ConflictError):
        service.updates.rollouts.start(*HERE, [fleet.new.image_id], actor="t")
    with pytest.raises(ConflictError):
        service.updates.deployments.create(*HERE, [fleet.new.image_id], actor="t")
    service.updates.rollouts.cancel(rollout.rollout_id, reason="never mind", actor="t")
    assert fleet.get(rollout).state == "cancelled"
    assert service.updates.deployments.current(*HERE).images == (fleet.old,)
    service.updates.deployments.create(*HERE, [fleet.new.image_id], actor="t")
    with pytest.raises(ConflictError):
        service.updates.rollouts.start("Contoso", "Kettle", "Development", [fleet.new.image_id], actor="t")


def test_a_command_between_plan_and_execution_wins(fleet: Fleet, clock: Clock) -> None:
    service, planner = fleet.service, fleet.service.updates.planner
    rollout = fleet.start()
    now = service.context.now()
    made, numbers = service.context.records.read(lambda c: planner._plan(c, rollout, 0, 1000, now, is_named=True))
    assert made.due
    service.updates.rollouts.hold(rollout.rollout_id, reason="wait", actor="t")
    assert not service.context.records.write(lambda c: planner._execute(c, rollout, made, numbers, now))
    assert service.updates.rollouts.list_devices(rollout.rollout_id).items == ()
