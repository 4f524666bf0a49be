# SPDX-License-Identifier: Apache-2.0
"""What a device says about images: believed of what it was offered, and nobody else's business.

Alpha rolls an image out to its three devices; Beta, in another catalog, has the same vendor's package.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.fixtures import images, reports
from tests.fixtures.looks import nobody_wakes

from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Image
from armillary.rollout.policy import RolloutPolicy
from armillary.service.watch import detections
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.finding import Finding

PRODUCT = ("Kettle", "Production")
POLICY = RolloutPolicy(cohorts=(60, 100), soak_s=1000, min_failures=2)  # two of three devices begin


class Scene:
    """Alpha's roll-out under way, and a device of Beta."""

    def __init__(self, host: ServiceHost) -> None:
        self.service = host.service
        nobody_wakes(host.service)
        self.sequence = 0
        data = images.package(images.manifest())
        for name in ("Alpha", "Beta"):
            host.catalog(name)
        self.image: Image = self.service.updates.images.upload("Alpha", data, actor="t")
        self.service.updates.images.upload("Beta", data, actor="t")
        self.alpha = [host.claimed(bytes([n]) * 32, catalog="Alpha") for n in (1, 2, 3)]
        self.beta = host.claimed(b"b" * 32, catalog="Beta")
        self.rollout: Rollout = self.service.updates.rollouts.start(
            "Alpha", *PRODUCT, [self.image.image_id], policy=POLICY, actor="t"
        )
        self.look()
        self.started: list[WireDevice] = []
        for device in self.alpha:
            if device.check_in().offer is not None:
                device.installed = (reports.installed(self.image),)
                device.check_in()
                self.started.append(device)
        self.look()

    def look(self) -> None:
        self.service.watch.run_once()
        self.service.updates.planner.run_once()

    def crash(self, device: WireDevice, times: int = 5) -> None:
        """So many crashes of Alpha's image, as ``device`` tells them."""
        now = self.service.context.now()
        told = {"component_id": self.image.component_id, "image_id": self.image.image_id, "start": now, "end": now}
        told["boot_count"] = device.prover.boot_count
        crashes = tuple(
            reports.crash(sequence=self.sequence + number, description=f"AppCrash (exit_status={number})", **told)
            for number in range(1, times + 1)
        )
        self.sequence += times
        device.check_in(error_reports=crashes)
        self.look()

    @property
    def state(self) -> str:
        return self.service.updates.rollouts.get(self.rollout.rollout_id).state

    def findings(self, catalog: str) -> tuple[Finding, ...]:
        found = self.service.watch.list(catalog=catalog).items
        return tuple(one for one in found if one.kind != "rollout-held")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ServiceHost(tmp_path / "data", planner_interval_s=3600.0) as host, ExitStack() as stack:
        made = Scene(host)
        for device in (*made.alpha, made.beta):
            stack.enter_context(device)
        assert len(made.started) == 2
        assert made.state == "running"
        yield made


def test_a_device_of_another_catalog_stops_no_rollout_and_mixes_with_no_finding(scene: Scene) -> None:
    scene.crash(scene.beta)
    assert scene.state == "running"
    assert scene.findings("Alpha") == ()
    (told,) = scene.findings("Beta")
    assert (told.image_id, told.severity, told.device_ids) == (None, "low", (scene.beta.device_id,))
    scene.crash(scene.started[0])  # the real crash is Alpha's, and Alpha's alone
    (real,) = scene.findings("Alpha")
    assert (real.image_id, real.count, real.severity) == (scene.image.image_id, 5, "high")
    assert real.device_ids == (scene.started[0].device_id,)
    assert scene.started[0].device_id[:16] in real.cause
    (told,) = scene.findings("Beta")
    assert told.device_ids == (scene.beta.device_id,)
    assert scene.state == "running", "one of two started devices is fewer than min_failures"
    scene.crash(scene.started[1])
    assert scene.state == "held", "two different devices are enough"


def test_also_where_both_catalogs_run_the_image_each_has_a_finding_of_its_own(scene: Scene) -> None:
    scene.service.updates.deployments.create("Beta", *PRODUCT, [scene.image.image_id], actor="t")
    assert scene.beta.check_in().offer is not None
    scene.crash(scene.beta)
    scene.crash(scene.started[0], times=1)
    (alpha,), (beta,) = scene.findings("Alpha"), scene.findings("Beta")
    assert (alpha.image_id, alpha.count, alpha.severity) == (scene.image.image_id, 1, "low")
    assert (beta.image_id, beta.count, beta.severity) == (scene.image.image_id, 5, "high")
    assert alpha.device_ids != beta.device_ids
    assert scene.state == "running"


def test_a_device_that_was_not_offered_the_image_speaks_for_itself_only(scene: Scene) -> None:
    (waiting,) = [device for device in scene.alpha if device not in scene.started]
    scene.crash(waiting)
    assert scene.state == "running"
    (told,) = scene.findings("Alpha")
    assert (told.image_id, told.severity) == (None, "low")
    outcome = reports.reverted(scene.image, offer_id=scene.rollout.deployment_id, at=5)
    for device in (waiting, scene.beta):  # they name the roll-out's deployment, and were offered none
        device.check_in(outcomes=(outcome,))
    scene.look()
    reverted = [
        one for catalog in ("Alpha", "Beta") for one in scene.findings(catalog) if one.kind == "install-reverted"
    ]
    assert [(one.deployment_id, one.image_id, one.device_count) for one in reverted] == [(None, None, 1)] * 2
    assert scene.service.updates.rollouts.get(scene.rollout.rollout_id).counts.get("reverted") is None
    scene.started[0].check_in(outcomes=(outcome,))
    scene.look()
    real = [one for one in scene.findings("Alpha") if one.deployment_id == scene.rollout.deployment_id]
    assert [(one.kind, one.device_ids) for one in real] == [("install-reverted", (scene.started[0].device_id,))]
    assert scene.service.updates.rollouts.get(scene.rollout.rollout_id).counts["reverted"] == 1


def test_one_device_that_repeats_itself_stops_no_rollout(scene: Scene) -> None:
    for _ in range(3):
        scene.crash(scene.started[0], times=30)
    (found,) = scene.findings("Alpha")
    assert (found.count, found.device_count, found.severity) == (90, 1, "high")
    assert scene.state == "running"
    scene.crash(scene.started[1], times=1)
    assert scene.state == "held"


def test_mutation_of_the_catalog_in_the_fingerprint(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, and with every word believed, Alpha's crash disappears in Beta's finding, which names its device."""
    monkeypatch.setattr(report_rows, "image_was_offered", lambda *_: True)
    monkeypatch.setattr(detections, "in_catalog", lambda _, seen: seen)
    scene.crash(scene.beta)
    scene.crash(scene.started[0])
    assert scene.findings("Alpha") == ()
    (mixed,) = scene.findings("Beta")
    assert scene.started[0].device_id in mixed.device_ids


def test_mutation_of_what_was_offered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of the catalog that was offered nothing: only that check keeps its word from the image's finding."""
    (waiting,) = [device for device in scene.alpha if device not in scene.started]
    monkeypatch.setattr(report_rows, "image_was_offered", lambda *_: True)
    scene.crash(waiting)
    assert [one.image_id for one in scene.findings("Alpha")] == [scene.image.image_id]
    assert [one.severity for one in scene.findings("Alpha")] == ["high"]
