# SPDX-License-Identifier: Apache-2.0
"""A halt with its lease holds for 10,000 devices: none switches to what was halted after the halt and one lease.

The service is real: the planner starts the devices, offers and leases are made by what a check-in asks, and an action
halts. The devices are simulated, each with the rules of a real one about when an offer may be begun and switched to
(``device/checkin/update_wait.py``): they ask at their own times, fetch for seconds to hours, and some are away for longer
than the lease. Time is what the simulation says.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.images import manifest, package
from tests.service.response.acted_on import ActedOn

from armillary.device.checkin.update_wait import UpdateWait
from armillary.engines.flash.port import NothingRunsFrom
from armillary.engines.records.schema.rows import Image
from armillary.rollout.policy import RolloutPolicy
from armillary.service.updates.staging import leased
from armillary.wire.device.checkin import InstalledImage, Offer

DEVICES = 10_000
FEWER = 1_000  # of the controls: what goes wrong does so with any number
LEASE_S = 600
HALT_AT_S = 600
END_S = HALT_AT_S + 6 * LEASE_S


class Regions(dict[str, bytes], NothingRunsFrom):
    """A device's flash in memory; its power is never cut here."""

    def read(self, region: str) -> bytes | None:
        return self.get(region)

    def write(self, region: str, data: bytes) -> None:
        self[region] = data

    def sync(self, region: str) -> None:
        pass

    def rename(self, source: str, target: str) -> None:
        self[target] = self.pop(source)

    def remove(self, region: str) -> None:
        self.pop(region, None)

    def room(self, region: str) -> int | None:
        del region  # any may have what there is of memory
        return None

    def regions(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(each for each in self if each.startswith(prefix)))


@dataclass(slots=True)
class Simulated:
    """A device: its row number, what it runs, what it was offered, and when it is away."""

    number: int
    wait: UpdateWait
    installed: tuple[InstalledImage, ...]
    interval_s: int
    fetching: Offer | None = None


@dataclass
class Field:
    """The devices, and when each switched to what the roll-out brings."""

    fleet: ActedOn
    clock: Clock
    group_id: UUID
    new: InstalledImage
    devices: list[Simulated]
    seed: int
    switched_at: list[int] = field(default_factory=list)
    refused: int = 0

    def play(self, halt: UUID | None, *, asks_at_switch: bool) -> None:
        """Let time go on; the roll-out is halted at :data:`HALT_AT_S`. ``asks_at_switch``: as real devices do."""
        random, began = Random(self.seed), int(self.clock())  # noqa: S311 - a simulation
        events = [(random.randrange(each.interval_s), index, "ask") for index, each in enumerate(self.devices)]
        if halt is not None:
            events.append((HALT_AT_S, -1, "halt"))
        heapq.heapify(events)
        while events and events[0][0] <= END_S:
            at, index, what = heapq.heappop(events)
            self.clock.now = began + at
            if what == "halt":
                made = self.fleet.run("halt", rollout=str(halt))
                assert made.state == "done"
                continue
            device = self.devices[index]
            if what == "ask":
                self._ask(device)
                heapq.heappush(events, (at + device.interval_s, index, "ask"))
                offer = None if device.fetching is not None else device.wait.due()
                if offer is not None:
                    device.fetching = offer
                    # Most fetch in a minute; one in fifty is cut off, and goes on hours later.
                    away = random.randrange(2 * LEASE_S, 5 * LEASE_S) if random.random() < 0.02 else 0
                    heapq.heappush(events, (at + 1 + random.randrange(120) + away, index, "switch"))
                continue
            offer, device.fetching = device.fetching, None
            assert offer is not None
            if asks_at_switch and device.wait.is_lease_over(offer):
                self.refused += 1
                continue
            device.installed = (self.new,)
            self.switched_at.append(at)

    def _ask(self, device: Simulated) -> None:
        """What the verifier does for a check-in, with the service's own book (``Verifier._offer``)."""
        offers, now = self.fleet.service.updates.offers, int(self.clock())
        wanted = offers.granted(self.group_id, device.number, "mt3620", device.installed)
        lease_s = offers.lease_s(self.group_id, device.number, "mt3620", wanted, None)
        until = leased(lease_s, now)[0] if lease_s else None
        device.wait.hear(
            offers.offer(self.group_id, wanted, None, installed=device.installed, events=(), lease_until=until)
        )


def as_installed(image: Image) -> InstalledImage:
    return InstalledImage(
        component_id=image.component_id,
        image_id=image.image_id,
        image_type=image.image_type,
        name=image.name,
        state="running",
    )


def playing(fleet: ActedOn, clock: Clock, *, devices: int, lease_s: int, seed: int) -> tuple[Field, UUID]:
    """Devices that run what their group has, and a roll-out that has started all of them."""
    component, images = uuid4(), fleet.service.updates.images
    old, new = (images.upload("Contoso", package(manifest("tap", component)), actor="t") for _ in range(2))
    where = ("Contoso", "Kettle", "Production")
    fleet.service.updates.deployments.create(*where, [old.image_id], actor="t")
    fleet.many(devices)
    policy = RolloutPolicy(cohorts=(100,), lease_s=lease_s, timeout_s=90 * 86_400, hold_on_severity="")
    rollout = fleet.service.updates.rollouts.start(*where, [new.image_id], actor="t", policy=policy)
    fleet.service.repository.follow()  # the planner starts nobody before the repository names what is rolled out
    fleet.service.updates.planner.run_once()
    found = fleet.service.updates.rollouts.get(rollout.rollout_id)
    assert found.counts["started"] == devices
    random = Random(seed)  # noqa: S311 - a simulation: the same each time
    played = [
        Simulated(number, UpdateWait(Regions(), lambda: int(clock())), (as_installed(old),), random.randrange(150, 601))
        for number in fleet.numbers()
    ]
    assert found.group_id is not None
    return Field(fleet, clock, found.group_id, as_installed(new), played, seed), rollout.rollout_id


def counted(switched_at: list[int], lease_s: int = LEASE_S) -> Counter[str]:
    def when(at: int) -> str:
        return "before" if at <= HALT_AT_S else "within the lease" if at <= HALT_AT_S + lease_s else "after"

    return Counter(map(when, switched_at))


def test_after_a_halt_and_one_lease_none_of_10_000_devices_switches(fleet: ActedOn, clock: Clock) -> None:
    played, rollout = playing(fleet, clock, devices=DEVICES, lease_s=LEASE_S, seed=1)
    played.play(rollout, asks_at_switch=True)
    found = counted(played.switched_at)
    assert found["after"] == 0
    assert found["before"] > DEVICES // 2
    assert played.refused > 20  # those that were away, and came back with what had been halted
    assert fleet.service.updates.rollouts.get(rollout).state == "held"


@pytest.mark.parametrize("what", ["no lease", "lease not asked at the switch"])
def test_without_the_lease_devices_that_were_away_bring_it_on(fleet: ActedOn, clock: Clock, what: str) -> None:
    """The control: the halt alone does not stop who has begun, whether nothing is leased or nobody asks."""
    played, rollout = playing(fleet, clock, devices=FEWER, lease_s=0 if what == "no lease" else LEASE_S, seed=1)
    played.play(rollout, asks_at_switch=what == "no lease")
    assert counted(played.switched_at)["after"] > 5


def test_without_the_halt_everybody_switches(fleet: ActedOn, clock: Clock) -> None:
    """The control of the simulation: nothing but the halt keeps devices from what they are offered."""
    played, _ = playing(fleet, clock, devices=FEWER, lease_s=LEASE_S, seed=2)
    played.play(None, asks_at_switch=True)
    assert len(played.switched_at) > FEWER * 0.99
