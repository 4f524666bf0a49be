# SPDX-License-Identifier: Apache-2.0
"""Rings, latecomers, a second person, what is held, and the way back, over the real device endpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text
from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.service.updates.rollout_fleet import HERE, POLICY, Fleet, step

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError
from armillary.rollout import comparison
from armillary.rollout.cohort import EVERYBODY, NOBODY, order_of
from armillary.rollout.plan import NOT_NAMED
from armillary.rollout.policy import Ring
from armillary.service.updates import planner as planning
from armillary.service.updates.planner import Planner


def ring(fleet: Fleet, name: str, *devices: int) -> Ring:
    return Ring(name=name, devices=tuple(fleet.devices[one].device_id for one in devices))


def ids(fleet: Fleet, *devices: int) -> set[str]:
    return {fleet.devices[one].device_id for one in devices}


def test_rings_go_first_and_the_percentages_take_the_rest(fleet: Fleet, clock: Clock) -> None:
    rings = (ring(fleet, "Laboratory", 3), ring(fleet, "Roof", 1, 4))
    fleet.start(replace(POLICY, rings=rings, cohorts=(80, 100), soak_s=0))
    reached = []
    for _ in range(4):
        step(fleet, clock)
        reached.append(fleet.having(fleet.new))
    assert reached[:2] == [ids(fleet, 3), ids(fleet, 1, 3, 4)]
    assert [len(each) for each in reached] == [1, 3, 4, 5]
    (done,) = fleet.service.updates.rollouts.list().items
    assert (done.state, done.reach) == ("completed", EVERYBODY)
    assert [(each.name, dict(each.counts)) for each in done.cohorts] == [
        ("Laboratory", {"confirmed": 1}),
        ("Roof", {"confirmed": 2}),
        ("to 80%", {"confirmed": 1}),
        ("to 100%", {"confirmed": 1}),
    ]


def test_a_ring_names_devices_of_the_group_or_nothing_begins(fleet: Fleet) -> None:
    elsewhere = Ring(name="Elsewhere", devices=("ab" * 64,))
    with pytest.raises(InvalidArgumentError, match=r"cohort Elsewhere: device abababab.* is not in group Production"):
        fleet.start(replace(POLICY, rings=(ring(fleet, "Laboratory", 0), elsewhere)))
    assert fleet.service.updates.rollouts.list().items == ()
    assert len(fleet.service.updates.deployments.list(*HERE).items) == 1  # nothing half-done stays


def join(fleet: Fleet, number: int) -> None:
    fleet.devices.append(fleet.host.claimed(bytes([number]) * 32))


def test_a_device_that_joins_late_gets_what_its_place_has_reached(fleet: Fleet, clock: Clock) -> None:
    """Of twenty newcomers those whose place was reached start at their first check-in; the others wait their turn."""
    rollout = fleet.start(replace(POLICY, cohorts=(60, 100), soak_s=1000))
    step(fleet, clock)
    step(fleet, clock)
    first = fleet.having(fleet.new)
    assert len(first) == 3
    for number in range(20, 40):
        join(fleet, number)
    place, reach = order_of(rollout.rollout_id).place, fleet.get(rollout).reach
    number_of = {one.device_id: fleet.service.context.records.lookup.device(one.device_id) for one in fleet.devices}
    reached = {name for name, found in number_of.items() if found is not None and place(found.number) <= reach}
    assert reached >= first
    step(fleet, clock)
    step(fleet, clock)
    assert fleet.having(fleet.new) == reached
    assert len(fleet.having(fleet.old)) == 25 - len(reached)
    counts = fleet.get(rollout).counts
    assert (counts["confirmed"], counts["waiting"]) == (len(reached), 25 - len(reached))
    for device in fleet.devices[5:]:
        device.disconnect()


def test_devices_that_leave_the_group_hold_nothing_up(fleet: Fleet, clock: Clock) -> None:
    rollout = fleet.start(replace(POLICY, cohorts=(60, 100), soak_s=0, timeout_s=100))
    fleet.service.updates.planner.run_once()
    started = [one.device_id for one in fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items]
    assert len(started) == 3
    fleet.service.registry.devices.move("Contoso", started[0], product="Kettle", group="Development", actor="t")
    step(fleet, clock)
    step(fleet, clock)
    stands = fleet.get(rollout)
    assert (stands.counts["left"], stands.counts["waiting"], stands.cohort) == (1, 0, 1)
    assert sum(count for state, count in stands.counts.items() if state != "left") == 4


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_cohort_starts_in_portions_and_waits_for_the_last(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(planning, "STARTS_AT_ONCE", at_once)
    rollout = fleet.start(replace(POLICY, cohorts=(60, 100), soak_s=0))
    fleet.service.updates.planner.run_once()
    assert (fleet.get(rollout).due, fleet.get(rollout).counts["started"]) == (3 - at_once, at_once)
    seen = []
    for _ in range(12):
        step(fleet, clock)
        seen.append(len(fleet.having(fleet.new)))
    assert seen[-1] == 5
    assert sorted(seen) == seen
    assert fleet.get(rollout).state == "completed"


def test_what_is_held_is_granted_to_nobody_and_taken_from_nobody(fleet: Fleet, clock: Clock) -> None:
    """Started and not yet offered, offered and not yet installed, installed: a hold leaves each where it is."""
    rollout = fleet.start(replace(POLICY, cohorts=(60, 100)))
    fleet.service.updates.planner.run_once()
    started = {one.device_id for one in fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items}
    has_it, has_begun, waits = (one for one in fleet.devices if one.device_id in started)
    assert has_it.check_in().offer is not None
    has_it.installed = (reports.installed(fleet.new),)
    begun = replace(reports.installed(fleet.new), state="trial")
    has_begun.check_in()
    has_begun.installed = (begun,)
    fleet.service.updates.rollouts.hold(rollout.rollout_id, reason="stop", actor="anna")
    for device in (has_it, has_begun, waits):
        assert device.check_in().offer is None
    stands = fleet.service.updates.rollouts
    fleet.service.updates.planner.run_once()
    states = {one.device_id: one.state for one in stands.list_devices(rollout.rollout_id).items}
    assert states == {has_it.device_id: "confirmed", has_begun.device_id: "offered", waits.device_id: "started"}
    clock.now += 100_000  # no time runs while it is held
    fleet.service.updates.planner.run_once()
    assert fleet.get(rollout).failed == 0
    stands.resume(rollout.rollout_id, actor="anna")
    waits.challenge = b""  # the one before has expired
    granted = waits.check_in().offer
    assert granted is not None
    assert granted.deployment_id == rollout.deployment_id


def test_what_has_begun_to_install_something_else_is_left_alone_while_it_is_held(fleet: Fleet, clock: Clock) -> None:
    """A device in the middle of the new set, with some image of it, is offered neither set."""
    rollout = fleet.start(replace(POLICY, cohorts=(100,)))
    fleet.service.updates.planner.run_once()
    device = fleet.devices[0]
    device.check_in()
    fleet.service.updates.rollouts.hold(rollout.rollout_id, reason="stop", actor="anna")
    device.installed = (reports.installed(fleet.new), reports.installed(fleet.old))
    assert device.check_in().offer is None
    device.installed = ()  # a factory reset: it gets what the group had before
    offer = device.check_in().offer
    assert offer is not None
    assert [one.image_id for one in offer.images] == [fleet.old.image_id]


def approving(fleet: Fleet) -> Rollout:
    rollouts = fleet.service.updates.rollouts
    assert rollouts.needs_approval("Contoso") is False
    rollouts.set_needs_approval("Contoso", needed=True, actor="boss")
    assert rollouts.needs_approval("Contoso") is True
    return rollouts.start(*HERE, [fleet.new.image_id], policy=POLICY, actor="anna")


def test_a_second_person_approves_and_until_then_nothing_moves(fleet: Fleet, clock: Clock) -> None:
    rollout, rollouts = approving(fleet), fleet.service.updates.rollouts
    assert (rollout.state, rollout.reach) == ("proposed", NOBODY)
    for _ in range(3):
        step(fleet, clock, 10_000)
    assert fleet.having(fleet.new) == set()
    for who in ("anna", "Anna"):
        with pytest.raises(ConflictError, match="made this roll-out"):
            rollouts.approve(rollout.rollout_id, actor=who)
    assert rollouts.get(rollout.rollout_id).state == "proposed"
    clock.now += 1
    assert rollouts.approve(rollout.rollout_id, actor="ben").state == "running"
    step(fleet, clock)
    step(fleet, clock)
    assert len(fleet.having(fleet.new)) == 1
    assert [(one.event, one.actor) for one in fleet.get(rollout).history] == [("approve", "ben")]
    with pytest.raises(ConflictError):
        rollouts.approve(rollout.rollout_id, actor="ben")


def test_no_way_around_the_second_person(fleet: Fleet) -> None:
    """A plain deployment reaches all at once, and a second plan for the group is refused while one is proposed."""
    rollout = approving(fleet)
    with pytest.raises(ConflictError, match="need a second person"):
        fleet.service.updates.deployments.create("Contoso", "Kettle", "Field Test", [fleet.new.image_id], actor="anna")
    with pytest.raises(ConflictError, match="decides for group"):
        fleet.service.updates.rollouts.start(*HERE, [fleet.old.image_id], actor="anna")
    fleet.service.updates.rollouts.cancel(rollout.rollout_id, reason="no", actor="ben")
    fleet.service.updates.rollouts.set_needs_approval("Contoso", needed=False, actor="boss")
    fleet.service.updates.deployments.create("Contoso", "Kettle", "Field Test", [fleet.new.image_id], actor="anna")
    with pytest.raises(NotFoundError):
        fleet.service.updates.rollouts.needs_approval("Nobody")


def test_one_person_does_not_bring_back_the_deployment_before_by_deleting_one(fleet: Fleet) -> None:
    deployments, rollouts = fleet.service.updates.deployments, fleet.service.updates.rollouts
    newer = deployments.create(*HERE, [fleet.new.image_id], actor="anna")
    older = deployments.list(*HERE).items[-1]
    rollouts.set_needs_approval("Contoso", needed=True, actor="boss")
    with pytest.raises(ConflictError, match="need a second person"):
        deployments.delete("Contoso", newer.deployment_id, actor="anna")
    assert deployments.current(*HERE).images == (fleet.new,)
    deployments.delete("Contoso", older.deployment_id, actor="anna")  # no device has it
    rollouts.set_needs_approval("Contoso", needed=False, actor="boss")
    deployments.delete("Contoso", newer.deployment_id, actor="anna")


def test_a_completed_rollout_is_rolled_back_by_one_call(fleet: Fleet, clock: Clock) -> None:
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0))
    for _ in range(3):
        step(fleet, clock)
    assert fleet.get(rollout).state == "completed"
    fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="it leaks", actor="anna")
    assert fleet.service.updates.deployments.current(*HERE).images == (fleet.old,)
    step(fleet, clock)
    step(fleet, clock)
    assert len(fleet.having(fleet.old)) == 5
    done = fleet.get(rollout)
    assert (done.state, done.counts["restored"]) == ("rolled-back", 5)
    assert [one.event for one in done.history] == ["finish", "roll-back", "restored"]


def test_what_something_newer_came_after_is_not_rolled_back(fleet: Fleet, clock: Clock) -> None:
    rollouts = fleet.service.updates.rollouts
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0))
    for _ in range(3):
        step(fleet, clock)
    newer = rollouts.start(*HERE, [fleet.old.image_id], policy=POLICY, actor="t")
    with pytest.raises(ConflictError, match=str(newer.rollout_id)):
        rollouts.roll_back(rollout.rollout_id, reason="", actor="t")
    rollouts.cancel(newer.rollout_id, reason="", actor="t")
    fleet.service.updates.deployments.create(*HERE, [fleet.old.image_id], actor="t")
    with pytest.raises(ConflictError, match="newer deployment"):
        rollouts.roll_back(rollout.rollout_id, reason="", actor="t")


def test_a_release_that_fails_more_often_than_the_one_before_is_held(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rules would let it go on: almost all may fail. The one before was rolled out here, and nobody failed."""
    monkeypatch.setattr(comparison, "ENOUGH_DEVICES", 5)
    careless = replace(POLICY, cohorts=(100,), soak_s=0, failure_percent=99, success_percent=1, hold_on_severity="")
    first = fleet.start(replace(careless, false_hold_percent=0))
    for _ in range(3):
        step(fleet, clock)
    assert fleet.get(first).state == "completed"
    fleet.old, fleet.new = fleet.new, fleet.old
    fleet.reverts = ids(fleet, 0, 1, 2, 3)
    rollout = fleet.start(replace(careless, soak_s=1000, false_hold_percent=50))
    step(fleet, clock)
    held = fleet.get(rollout)
    assert held.state == "held"
    assert held.reason == "worse than before: 4 of 5 devices reverted; 0 of 5 with the release before"


def test_without_that_test_it_goes_on(fleet: Fleet, clock: Clock) -> None:
    """Control of the test above."""
    careless = replace(POLICY, cohorts=(100,), soak_s=1000, failure_percent=99, success_percent=1, hold_on_severity="")
    fleet.reverts = ids(fleet, 0, 1, 2, 3)
    rollout = fleet.start(replace(careless, false_hold_percent=0))
    step(fleet, clock)
    stands = fleet.get(rollout)
    assert (stands.state, stands.failed) == ("running", 4)


def test_images_that_could_not_be_published_reach_nobody_and_hold_nothing(
    fleet: Fleet, clock: Clock, package: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise DataFolderError("no space left", remedy="Make room.")

    fleet.new = fleet.service.updates.images.upload("Contoso", package(), actor="t")
    with monkeypatch.context() as disk:
        disk.setattr(fleet.service.repository, "publish", full)
        rollout = fleet.start()
        for _ in range(3):
            step(fleet, clock, POLICY.timeout_s)
        waits = fleet.get(rollout)
        assert (waits.state, waits.cohort, waits.reason) == ("running", -1, NOT_NAMED)
        said = fleet.service.updates.standings.of(fleet.devices[0].device_id)
        assert (said.code, said.detail) == ("rollout-waits", f"roll-out {rollout.rollout_id}: {NOT_NAMED}")
    step(fleet, clock)
    assert (len(fleet.having(fleet.new)), fleet.get(rollout).reason) == (1, "")


def test_what_is_no_longer_named_costs_no_device_its_time(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "STARTS_AT_ONCE", 1)
    rollout, planner = fleet.start(replace(POLICY, cohorts=(40, 100))), fleet.service.updates.planner
    planner.run_once()
    with monkeypatch.context() as signed_again:
        signed_again.setattr(fleet.service.repository, "names", lambda *_: False)
        clock.now += POLICY.timeout_s
        planner.run_once()  # nor does the other device of the cohort start
        assert planner.run_once() == 0, "a run that changes something wakes the next one"
        (one,) = fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items
        assert (one.state, one.finished_at) == ("started", None)
    for left, states in ((POLICY.timeout_s - 1, ["started", "started"]), (1, ["started", "timed-out"])):
        clock.now += left
        planner.run_once()
        found = fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items
        assert sorted(each.state for each in found) == states
    assert fleet.get(rollout).state == "held"


def test_a_new_planner_goes_on_where_the_one_before_stopped(fleet: Fleet, clock: Clock) -> None:
    """After a restart what devices said in between is seen; and what several writers commit late is."""
    service = fleet.service
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0))
    service.updates.planner.run_once()
    fleet.check_in_all()
    again = Planner(service.context, service.updates.deployments, service.notices, service.repository)
    again.run_once()
    assert fleet.get(rollout).counts["confirmed"] == 5


def test_a_rollout_of_an_older_service_goes_on_with_what_it_had_started(fleet: Fleet, clock: Clock) -> None:
    """Its devices were chosen in another order: those that had started keep their turn, the others come by place."""
    rollout = fleet.start(replace(POLICY, cohorts=(60, 100), soak_s=0))
    fleet.service.updates.planner.run_once()

    def older(connection: Connection) -> None:
        connection.execute(text("UPDATE rollout SET by_place = false, reach = -1"))
        connection.execute(
            text(
                "UPDATE rollout_device SET device_number = (SELECT max(number) FROM device WHERE number NOT IN"
                " (SELECT device_number FROM rollout_device))"
                " WHERE device_number = (SELECT min(device_number) FROM rollout_device)"
            )
        )

    fleet.service.context.records.write(older)
    fleet.service.updates.offers.refresh()
    started = {one.device_id for one in fleet.service.updates.rollouts.list_devices(rollout.rollout_id).items}
    step(fleet, clock)
    assert fleet.having(fleet.new) == started
    for _ in range(3):
        step(fleet, clock)
    assert fleet.get(rollout).state == "completed"
    assert len(fleet.having(fleet.new)) == 5
