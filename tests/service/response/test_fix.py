# SPDX-License-Identifier: Apache-2.0
"""The fix goes to the devices that an advisory affects and to no others, by the roll-outs that there are, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.service.advisories.fleet import osv
from tests.service.response.acted_on import ActedOn

from armillary.api.views import service as views
from armillary.engines.records.queries.planning import reach
from armillary.errors import ConflictError
from armillary.service.updates.staging import Staging
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice

WHERE = ("Contoso", "Kettle", "Production")
AT_ONCE = {"cohorts": [100], "soak_s": 0, "success_percent": 100}


class Scene:
    """Two devices that run what is affected, one of their group that has not installed it, and one elsewhere."""

    def __init__(self, host: ServiceHost, folder: Path, clock: Clock) -> None:
        self.service, self.clock = host.service, clock
        nobody_wakes(host.service)
        self.known = ActedOn(host.service, folder, clock)
        self.bad, self.good = self.known.image("pkg:pypi/django@3.2.10"), self.known.image("pkg:pypi/django@3.2.13")
        self.known.release_bill("pkg:pypi/flask@3.0")
        images = self.service.updates.images
        self.images = {each: images.get("Contoso", each) for each in (self.bad, self.good)}
        self.service.updates.deployments.create(*WHERE, [self.bad], actor="t")
        self.affected = [host.claimed(bytes([n]) * 32) for n in (1, 2)]
        self.late = host.claimed(b"l" * 32)
        self.elsewhere = host.claimed(b"e" * 32, group="Production OS Evaluation")
        for device in self.affected:
            self.installs(device)
        self.late.check_in()
        self.elsewhere.check_in()
        self.known.feed(osv("PYSEC-1"))
        self.service.advisories.look()

    def installs(self, device: WireDevice) -> UUID | None:
        """A device checks in and installs what it is offered; the image, None where it is offered nothing."""
        offer = device.check_in().offer
        if offer is None:
            return None
        image = self.images[offer.images[0].image_id] if offer.images else None
        device.installed = () if image is None else (reports.installed(image),)
        outcome = reports.reverted(image, offer_id=offer.offer_id, outcome="confirmed", reason="", at=int(self.clock()))
        device.check_in(outcomes=(outcome,))
        return None if image is None else image.image_id

    def fix(self, **more: Any) -> Any:
        """The fix, asked for by its advisory."""
        request = self.known.request("deploy-fix", advisory="PYSEC-1", **more)
        at_once = replace(request, options={**request.options, "policy": AT_ONCE})
        return self.service.response.actions.run(at_once, actor="anna")

    def plan(self) -> None:
        self.clock.now += 1
        self.service.updates.planner.run_once()

    def rollout(self, action: Any) -> Any:
        (made,) = action.effects["rollouts"]
        return self.service.updates.rollouts.get(UUID(made))


@pytest.fixture
def scene(host: ServiceHost, tmp_path: Path, clock: Clock) -> Iterator[Scene]:
    made = Scene(host, tmp_path, clock)
    yield made
    for device in (*made.affected, made.late, made.elsewhere):
        device.disconnect()


def test_the_affected_get_the_repaired_image_and_nobody_else_gets_anything(scene: Scene) -> None:
    action = scene.fix()
    assert (action.state, action.devices) == ("done", 2)
    rollout = scene.rollout(action)
    assert (rollout.action_id, rollout.counts["waiting"]) == (action.action_id, 2)
    scene.plan()
    standings = scene.service.updates.standings
    assert standings.of(scene.late.device_id).code != "rollout-waits"
    assert [scene.installs(each) for each in scene.affected] == [scene.good, scene.good]
    offered = scene.late.check_in().offer
    assert offered is not None
    assert [each.image_id for each in offered.images] == [scene.bad]  # its group's own, as before
    assert scene.elsewhere.check_in().offer is None
    for _ in range(2):
        scene.plan()
    assert scene.rollout(action).state == "completed", scene.rollout(action).reason
    own = scene.service.updates.deployments.current(*WHERE)
    assert own is not None
    assert [each.image_id for each in own.images] == [scene.bad]
    scene.service.updates.offers.refresh()  # and after a restart
    assert [each.check_in().offer for each in scene.affected] == [None, None]
    shown = [views.device_deployment(scene.service, each.device_id) for each in (*scene.affected, scene.late)]
    assert [each["status"] for each in shown] == ["up-to-date", "up-to-date", "waiting"]
    scene.service.advisories.look()
    assert scene.known.states("PYSEC-1") == {"fixed": 2, "not-affected": 2}


def test_without_the_set_of_devices_everybody_of_the_group_gets_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what keeps it from the others is the set of the action, in the planner and in the offers."""
    genuine = reach.in_reach
    monkeypatch.setattr(reach, "in_reach", lambda rollout: genuine(replace(rollout, action_id=None)))
    monkeypatch.setattr("armillary.engines.records.queries.planning.starts.in_reach", reach.in_reach)
    monkeypatch.setattr(Staging, "has_turn", lambda staging, number, _: staging.order.place(number) <= staging.reach)
    scene.fix()
    scene.plan()
    assert scene.installs(scene.late) == scene.good


def test_a_newer_deployment_of_the_group_is_everybodys_again(scene: Scene) -> None:
    action = scene.fix()
    scene.plan()
    for each in scene.affected:
        scene.installs(each)
    for _ in range(2):
        scene.plan()
    assert scene.rollout(action).state == "completed", scene.rollout(action).reason
    newer = scene.known.image("pkg:pypi/django@3.2.14")
    scene.images[newer] = scene.service.updates.images.get("Contoso", newer)
    scene.clock.now += 1
    scene.service.updates.deployments.create(*WHERE, [newer], actor="t")
    assert [scene.installs(each) for each in (*scene.affected, scene.late)] == [newer] * 3
    with pytest.raises(ConflictError):  # it would undo the newer one
        scene.service.updates.rollouts.roll_back(scene.rollout(action).rollout_id, reason="r", actor="t")


def test_the_fix_is_undone_on_those_devices_and_nothing_happens_to_others(scene: Scene) -> None:
    action = scene.fix()
    scene.plan()
    for each in scene.affected:
        scene.installs(each)
    for _ in range(2):
        scene.plan()
    undone = scene.service.response.actions.undo(action.action_id, actor="ben")
    assert (undone.state, scene.rollout(action).state) == ("undone", "rolling-back")
    assert [scene.installs(each) for each in scene.affected] == [scene.bad, scene.bad]
    for _ in range(2):
        scene.plan()
    assert scene.rollout(action).state == "rolled-back"
    scene.service.updates.offers.refresh()
    assert [each.check_in().offer for each in scene.affected] == [None, None]


def test_a_halted_rollout_of_what_is_affected_makes_place_for_the_fix(scene: Scene) -> None:
    worse = scene.known.image("pkg:pypi/django@3.2.11")
    scene.clock.now += 1
    repaired = scene.known.image("pkg:pypi/django@3.2.15")
    for each in (worse, repaired):
        scene.images[each] = scene.service.updates.images.get("Contoso", each)
    scene.service.advisories.look()
    bad = scene.service.updates.rollouts.start(*WHERE, [worse], actor="t")
    assert scene.known.run("halt", advisory="PYSEC-1").state == "done"
    assert scene.service.updates.rollouts.get(bad.rollout_id).state == "held"
    found = scene.service.response.actions.preview(scene.known.request("deploy-fix", advisory="PYSEC-1"))
    assert f"roll-out {bad.rollout_id}, which brings what is affected, is cancelled" in found.words[0]
    action = scene.fix()
    assert action.state == "done", action.said
    assert scene.service.updates.rollouts.get(bad.rollout_id).state == "cancelled"
    scene.plan()
    assert scene.installs(scene.affected[0]) == repaired


def test_where_there_is_no_repair_nothing_is_rolled_out_and_it_says_why(scene: Scene) -> None:
    scene.known.feed(osv("PYSEC-2", fixed="9.0"), age_s=-1)
    scene.service.advisories.look()
    found = scene.service.response.actions.preview(scene.known.request("deploy-fix", advisory="PYSEC-2"))
    assert found.devices == 0
    assert "no image of tap after" in found.words[0]
    with pytest.raises(ConflictError, match="known to be repaired"):
        scene.known.run("deploy-fix", advisory="PYSEC-2")
    named = scene.service.response.actions.preview(
        scene.known.request("deploy-fix", advisory="PYSEC-2", images=[str(scene.good)])
    )
    assert named.devices == 2  # a person names what repairs it: a fix may leave the version as it is
    assert "by its bill of materials is no repair" in named.words[0]


def test_another_rollout_that_decides_for_the_group_goes_first(scene: Scene) -> None:
    scene.service.updates.rollouts.start(*WHERE, [scene.good], actor="t")
    found = scene.service.response.actions.preview(scene.known.request("deploy-fix", advisory="PYSEC-1"))
    assert (found.devices, "(running) decides for it" in found.words[0]) == (0, True)
