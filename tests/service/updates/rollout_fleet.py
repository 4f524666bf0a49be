# SPDX-License-Identifier: Apache-2.0
"""Five devices over the real device endpoint that install what they are offered, and time that goes on for them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Image
from armillary.rollout.policy import RolloutPolicy
from armillary.sim.device.service_host import ServiceHost

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")
POLICY = RolloutPolicy(cohorts=(20, 60, 100), success_percent=100, soak_s=10, min_failures=1, timeout_s=1000)


class Fleet:
    """Five devices that install what they are offered, or take it back."""

    def __init__(self, host: ServiceHost, package: Make) -> None:
        component = uuid4()
        self.host, self.service = host, host.service
        # A run that news or changed groups wake commits its plan and only then renews what devices are offered; a test
        # that looks in between finds the plan done and its device offered nothing yet.
        nobody_wakes(host.service)
        self.old, self.new = (
            host.service.updates.images.upload("Contoso", package(component), actor="t") for _ in range(2)
        )
        self.devices = [host.claimed(bytes([n + 1]) * 32) for n in range(5)]
        self.reverts: set[str] = set()

    def start(self, policy: RolloutPolicy = POLICY) -> Rollout:
        return self.service.updates.rollouts.start(*HERE, [self.new.image_id], policy=policy, actor="t")

    def check_in_all(self) -> None:
        """Everybody checks in, installs what is offered, and says so with the next check-in."""
        for device in self.devices:
            offer = device.check_in().offer
            if offer is None:
                continue
            offered = {one.image_id for one in offer.images}
            image = next((one for one in (self.old, self.new) if one.image_id in offered), None)
            bad = image is self.new and device.device_id in self.reverts
            if not bad:
                device.installed = () if image is None else (reports.installed(image),)
            outcome = reports.reverted(
                image or self.new,
                offer_id=offer.offer_id,
                outcome="reverted" if bad else "confirmed",
                reason="it crashed" if bad else "",
                at=int(self.service.context.now()),
            )
            device.check_in(outcomes=(outcome,))
        self.service.watch.run_once()

    def having(self, image: Image) -> set[str]:
        return {d.device_id for d in self.devices if image.image_id in {i.image_id for i in d.installed}}

    def get(self, rollout: Rollout) -> Rollout:
        return self.service.updates.rollouts.get(rollout.rollout_id)


def step(fleet: Fleet, clock: Clock, seconds: float = 1) -> None:
    """Time goes on; the planner looks, every device checks in, and it looks again."""
    clock.now += seconds
    fleet.service.updates.planner.run_once()
    fleet.check_in_all()
    fleet.service.updates.planner.run_once()
