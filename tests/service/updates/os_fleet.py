# SPDX-License-Identifier: Apache-2.0
"""Devices of two catalogs that boot the OS releases that they should have, and time that goes on for them."""

from __future__ import annotations

from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import OsRelease
from armillary.rollout.policy import RolloutPolicy
from armillary.service.context.blobs import Blobs
from armillary.sim.device.prover import Component
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.image import package as image_package

POLICY = RolloutPolicy(cohorts=(30, 100), success_percent=100, soak_s=10, min_failures=1, timeout_s=1000)
CHIP = "mt3620"


class OsFleet:
    """Four devices of two catalogs that boot the release they should have, and one that takes no OS update."""

    def __init__(self, host: ServiceHost) -> None:
        self.service = host.service
        nobody_wakes(host.service)
        host.catalog("Fabrikam", "Kettle")
        self.first = next(one for one in self.service.releases.list(chip=CHIP) if one.feed == "Retail")
        self.devices = [host.claimed(bytes([n + 1]) * 32) for n in range(3)]
        self.devices.append(host.claimed(bytes([9]) * 32, catalog="Fabrikam"))
        for device in self.devices:
            device.update_status = UpdateStatus(abilities=("delta", "os"))
        self.old_style = host.claimed(bytes([10]) * 32)
        self.new = self.release("27.1")
        self.refuses: set[str] = set()

    def release(self, version: str, security_version: int = 1) -> OsRelease:
        return self.service.releases.publish(
            CHIP, version, actor="t", security_version=security_version, feed="RetailEval"
        )

    def start(self, policy: RolloutPolicy = POLICY, catalog: str | None = None) -> Rollout:
        return self.service.updates.os_rollouts.start(self.new.release_id, actor="anna", policy=policy, catalog=catalog)

    def offered(self, device: WireDevice) -> str:
        """The version that a check-in offers a device now; empty where it is left as it is."""
        offer = device.check_in().offer
        return "" if offer is None else offer.os_version

    def boot(self, device: WireDevice, version: str) -> None:
        release = next(one for one in self.service.releases.list(chip=CHIP) if one.version == version)
        packages = (Blobs(self.service.context.folder.blobs).read(one.digest) for one in release.components)
        device.prover.components = tuple(
            Component(
                name=one.name,
                image_type=one.image_type,
                component_id=one.component_id,
                image_id=one.image_id,
                content=content,
                security_version=image_package.parse(content).security_version,
            )
            for one, content in zip(release.components, packages, strict=True)
        )
        device.prover.os_version = version
        device.prover.boot()

    def check_in_all(self) -> None:
        """Everybody checks in, boots what it is offered, and checks in again."""
        for device in (*self.devices, self.old_style):
            version = self.offered(device)
            if version and device.device_id not in self.refuses:
                self.boot(device, version)
                device.check_in()
        self.service.watch.run_once()

    def running(self, version: str) -> set[str]:
        return {one.device_id for one in self.devices if one.prover.os_version == version}

    def get(self, rollout: Rollout) -> Rollout:
        return self.service.updates.rollouts.get(rollout.rollout_id)

    def feed_of_new(self) -> str:
        return self.service.releases.get(self.new.release_id).feed


def step(fleet: OsFleet, clock: Clock, seconds: float = 1) -> None:
    clock.now += seconds
    fleet.service.updates.planner.run_once()
    fleet.check_in_all()
    fleet.service.updates.planner.run_once()
