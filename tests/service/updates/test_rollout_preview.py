# SPDX-License-Identifier: Apache-2.0
"""What a roll-out would do is said by what starts it, and nothing of it stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures.clocks import Clock
from tests.service.updates.os_fleet import OsFleet
from tests.service.updates.rollout_fleet import HERE, POLICY, Fleet, step
from tests.service.updates.test_group_rings import into_field

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, QuotaExceededError
from armillary.rollout.policy import Ring
from armillary.service.updates import rollouts


def state(fleet: Fleet | OsFleet) -> tuple[object, ...]:
    service = fleet.service
    made = service.updates.rollouts.list().items, service.updates.deployments.list("Contoso").items
    return service.audit.verify(), *made


def test_a_preview_counts_devices_and_cohorts_and_leaves_nothing(fleet: Fleet, clock: Clock) -> None:
    field = sorted(into_field(fleet, 1, 3))
    one, two = (fleet.devices[each].device_id for each in (0, 2))
    rings = (
        Ring(name="Bench", devices=(one, field[0])),
        Ring(name="Field", groups=("contoso/kettle/field test",)),
        Ring(name="Site", devices=(two,)),
    )
    policy, before = replace(POLICY, rings=rings), state(fleet)
    found = fleet.service.updates.rollouts.previews.of(*HERE, [fleet.new.image_id], policy=policy)
    assert state(fleet) == before
    assert (found.devices, found.needs_approval) == (5, False)
    groups = [(each.group, each.devices, each.before, each.after) for each in found.groups]
    assert groups == [("Field Test", 2, (), (fleet.new,)), ("Production", 3, (fleet.old,), (fleet.new,))]
    steps = [(each.name, each.devices) for each in found.steps]
    assert steps == [("Bench", 2), ("Field", 1), ("Site", 1), ("to 20%", 1), ("to 60%", 0), ("to 100%", 0)]
    fleet.start(policy)
    for _ in range(8):  # what begins is what was said
        step(fleet, clock, 20)
    (made,) = fleet.service.updates.rollouts.list().items
    begun = {one.name: sum(one.counts.values()) for one in made.cohorts}
    assert begun == {name: count for name, count in steps if count}


def test_a_preview_is_refused_as_the_start_is(fleet: Fleet) -> None:
    previews = fleet.service.updates.rollouts.previews
    with pytest.raises(NotFoundError):
        previews.of("Contoso", "Kettle", "Absent", [fleet.new.image_id])
    with pytest.raises(InvalidArgumentError, match="is there twice"):
        previews.of(*HERE, [fleet.new.image_id, fleet.old.image_id])
    strange = replace(POLICY, rings=(Ring(name="x", devices=("0" * 128,)),))
    with pytest.raises(InvalidArgumentError, match="is not in group"):
        previews.of(*HERE, [fleet.new.image_id], policy=strange)
    fleet.start()
    with pytest.raises(ConflictError, match="decides for group"):
        previews.of(*HERE, [fleet.new.image_id])


def test_one_is_previewed_at_a_time(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    previews = fleet.service.updates.rollouts.previews
    monkeypatch.setattr(rollouts, "PREVIEW_WAIT_S", 0.05)
    refused: list[str] = []

    def meanwhile(*_: object) -> object:
        with pytest.raises(QuotaExceededError, match="are being previewed") as found:
            previews.of(*HERE, [fleet.new.image_id])
        refused.append(found.value.code)
        raise ConflictError("the first fails")

    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "previewed", meanwhile)
        with pytest.raises(ConflictError, match="the first fails"):
            previews.of(*HERE, [fleet.new.image_id])
    assert refused == ["request.too-many"]
    assert previews.of(*HERE, [fleet.new.image_id]).devices == 5


def test_a_preview_says_that_a_second_person_is_needed(fleet: Fleet) -> None:
    fleet.service.updates.rollouts.set_needs_approval("Contoso", needed=True, actor="t")
    assert fleet.service.updates.rollouts.previews.of(*HERE, [fleet.new.image_id]).needs_approval


def test_an_os_release_is_previewed_over_the_devices_of_its_feed(os_fleet: OsFleet) -> None:
    release, before = os_fleet.new, state(os_fleet)
    found = os_fleet.service.updates.os_rollouts.preview(release.release_id)
    assert state(os_fleet) == before
    assert found.devices == len(os_fleet.devices)
    assert found.groups == ()
    assert "Retail groups of all catalogs" in found.target
