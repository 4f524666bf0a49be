# SPDX-License-Identifier: Apache-2.0
"""Rings of whole device groups: for applications over several groups of a catalog, for an OS across catalogs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures.clocks import Clock
from tests.service.updates.os_fleet import OsFleet, step as os_step
from tests.service.updates.rollout_fleet import HERE, POLICY, Fleet, step

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.rollout.policy import Ring
from armillary.service.updates import planner as planning

FIELD = ("Contoso", "Kettle", "Field Test")
RINGED = replace(POLICY, rings=(Ring(name="Field", groups=("contoso/kettle/field test",)),), cohorts=(100,), soak_s=0)


def into_field(fleet: Fleet, *devices: int) -> set[str]:
    """Move devices into the group of the ring."""
    moved = {fleet.devices[one].device_id for one in devices}
    for device_id in moved:
        fleet.service.registry.devices.move("Contoso", device_id, product="Kettle", group="Field Test", actor="t")
    return moved


def in_force(fleet: Fleet) -> list[list[object]]:
    found = (fleet.service.updates.deployments.current(*group) for group in (HERE, FIELD))
    return [[] if one is None else list(one.images) for one in found]


def start(fleet: Fleet, *, devices: tuple[int, ...] = (1, 3)) -> tuple[Rollout, set[str]]:
    field = into_field(fleet, *devices)
    return fleet.start(RINGED), field


def test_a_group_goes_first_and_then_the_group_of_the_rollout(fleet: Fleet, clock: Clock) -> None:
    rollout, field = start(fleet)
    assert [part.group for part in rollout.parts] == ["Field Test", "Production"]
    assert rollout.target == "Kettle/Production and 1 more"
    step(fleet, clock)
    assert fleet.having(fleet.new) == field
    assert in_force(fleet) == [[fleet.old], []]
    for _ in range(3):
        step(fleet, clock)
    assert len(fleet.having(fleet.new)) == 5
    done = fleet.get(rollout)
    assert done.state == "completed"
    assert [(one.name, dict(one.counts)) for one in done.cohorts] == [
        ("Field", {"confirmed": 2}),
        ("to 100%", {"confirmed": 3}),
    ]
    assert in_force(fleet) == [[fleet.new], [fleet.new]]


def test_both_groups_go_back_to_what_each_had(fleet: Fleet, clock: Clock) -> None:
    """The group of the ring had no deployment: its devices learn that none of the images is wanted."""
    rollout, field = start(fleet)
    for _ in range(4):
        step(fleet, clock)
    clock.now += 1
    fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="bad", actor="ben")
    assert in_force(fleet) == [[fleet.old], []]
    for _ in range(2):
        step(fleet, clock)
    assert fleet.get(rollout).state == "rolled-back"
    assert fleet.having(fleet.old) == {one.device_id for one in fleet.devices} - field
    assert [device.installed for device in fleet.devices if device.device_id in field] == [(), ()]


def test_who_joins_the_group_late_starts_with_its_first_check_in(fleet: Fleet, clock: Clock) -> None:
    """Whatever its place; a device of the other group waits for its turn."""
    rollout = fleet.start(replace(RINGED, soak_s=1000))
    step(fleet, clock)
    assert fleet.having(fleet.new) == set()
    late = into_field(fleet, 0)
    step(fleet, clock)
    step(fleet, clock)
    assert fleet.having(fleet.new) == late
    assert fleet.get(rollout).counts == {"confirmed": 1, "waiting": 4}


def test_who_has_what_its_own_group_was_given_is_up_to_date(fleet: Fleet, clock: Clock) -> None:
    """Each group of a roll-out has a deployment of its own: that of the ring is none that the roll-out passed over."""
    field = into_field(fleet, 1, 3)
    fleet.start(replace(RINGED, soak_s=1000))
    step(fleet, clock)
    assert fleet.having(fleet.new) == field
    codes = {one.device_id: fleet.service.updates.standings.of(one.device_id).code for one in fleet.devices}
    assert {codes.pop(one) for one in field} == {"up-to-date"}
    assert set(codes.values()) == {"rollout-waits"}


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_group_starts_in_portions_and_its_ring_waits_for_the_last(
    fleet: Fleet, clock: Clock, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(planning, "STARTS_AT_ONCE", at_once)
    monkeypatch.setattr(planning, "IN_FLIGHT", 0)  # else who checked in before starts as one that joins late
    rollout, field = start(fleet, devices=(0, 1, 2, 3))
    fleet.service.updates.planner.run_once()
    assert (fleet.get(rollout).due, fleet.get(rollout).counts["started"]) == (4 - at_once, at_once)
    for expected in range(2 * at_once, 5, at_once):
        fleet.service.updates.planner.run_once()
        assert fleet.get(rollout).counts["started"] == expected
    step(fleet, clock)
    assert fleet.having(fleet.new) == field
    line = next(one for one in fleet.service.audit.list().items if one.operation == "rollout.cohort")
    assert line.detail["devices"] == (4 if fleet.get(rollout).cohort == 0 else 1)


def test_the_rollout_alone_decides_for_every_group_of_it(fleet: Fleet, clock: Clock) -> None:
    rollout, updates = start(fleet)[0], fleet.service.updates
    with pytest.raises(ConflictError, match=str(rollout.rollout_id)):
        updates.deployments.create(*FIELD, [fleet.old.image_id], actor="t")
    with pytest.raises(ConflictError, match=str(rollout.rollout_id)):
        updates.rollouts.start(*FIELD, [fleet.old.image_id], actor="t")
    updates.rollouts.cancel(rollout.rollout_id, reason="", actor="t")
    other = updates.rollouts.start(*FIELD, [fleet.old.image_id], actor="t")
    with pytest.raises(ConflictError, match=str(other.rollout_id)):
        fleet.start(RINGED)


def test_a_ring_of_a_group_that_is_out_of_reach_is_refused_and_nothing_is_made(fleet: Fleet) -> None:
    fleet.host.catalog("Fabrikam")
    for path, error, words in (
        ("Fabrikam/Kettle/Production", InvalidArgumentError, "not of catalog Contoso"),
        ("Contoso/Kettle/Nowhere", NotFoundError, "Nowhere"),
        ("Contoso/Kettle/Development", ConflictError, "takes no application updates"),
    ):
        policy = replace(POLICY, rings=(Ring(name="Out", groups=(path,)),))
        with pytest.raises(error, match=words):
            fleet.start(policy)
    assert fleet.service.updates.rollouts.list().items == ()
    assert len(fleet.service.updates.deployments.list("Contoso").items) == 1


def test_a_group_of_another_catalog_goes_first_with_an_os(os_fleet: OsFleet, clock: Clock) -> None:
    ring = Ring(name="Friendly", groups=("Fabrikam/Kettle/Production",))
    policy = replace(POLICY, rings=(ring,), cohorts=(100,), soak_s=0)
    for path, catalog in (("Fabrikam/Kettle/Nowhere", None), ("Fabrikam/Kettle/Production", "Contoso")):
        with pytest.raises(InvalidArgumentError, match="cohort Out: device group"):
            os_fleet.start(replace(policy, rings=(Ring(name="Out", groups=(path,)),)), catalog=catalog)
    evaluating = Ring(name="Out", groups=("Contoso/Kettle/Field Test OS Evaluation",))
    with pytest.raises(InvalidArgumentError, match="is not in the Retail groups"):
        os_fleet.start(replace(policy, rings=(evaluating,)))
    rollout = os_fleet.start(policy)
    os_step(os_fleet, clock)
    assert os_fleet.running("27.1") == {os_fleet.devices[3].device_id}
    for _ in range(3):
        os_step(os_fleet, clock)
    assert len(os_fleet.running("27.1")) == 4
    assert os_fleet.get(rollout).state == "completed"
