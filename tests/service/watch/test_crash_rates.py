# SPDX-License-Identifier: Apache-2.0
"""A fleet in which things crash now and then: a release that crashes as before goes on, one that does more is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from uuid import uuid4

import pytest
from tests.fixtures import reports
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.service.updates.rollout_fleet import HERE, Make

from armillary.engines.records.queries.planning import crashes as crash_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.policy import Ring, RolloutPolicy
from armillary.service.updates.planner import Planner
from armillary.service.watch import crash_rates
from armillary.service.watch.crash_rates import LEAST_DEVICES, CrashLooks
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice

POLICY = RolloutPolicy(cohorts=(25, 100), soak_s=100_000, timeout_s=90 * 86_400)


class CrashingFleet:
    """Sixty-four devices with the old release, a quarter of which have the new one."""

    def __init__(self, host: ServiceHost, package: Make, clock: Clock, stack: ExitStack) -> None:
        nobody_wakes(host.service)
        self.service, self.clock = host.service, clock
        component = uuid4()
        old, self.new_image = (
            host.service.updates.images.upload("Contoso", package(component), actor="t") for _ in range(2)
        )
        self.old_image = old
        self.devices = [stack.enter_context(host.claimed(bytes([n + 1]) * 32)) for n in range(LEAST_DEVICES + 4)]
        self.sequences = dict.fromkeys((one.device_id for one in self.devices), 0)
        host.service.updates.deployments.create(*HERE, [old.image_id], actor="t")
        for one in self.devices:
            one.installed = (reports.installed(old),)
        self.rollout = host.service.updates.rollouts.start(*HERE, [self.new_image.image_id], policy=POLICY, actor="t")
        self.plan()
        for one in self.devices:
            offer = one.check_in().offer
            if offer is not None and {image.image_id for image in offer.images} == {self.new_image.image_id}:
                one.installed = (reports.installed(self.new_image),)
        for one in self.with_new:
            one.check_in()
        self.plan()
        clock.now += 10
        assert (len(self.with_new), self.get().counts["confirmed"]) == (16, 16)

    @property
    def with_new(self) -> list[WireDevice]:
        return [one for one in self.devices if self.new_image.image_id in {each.image_id for each in one.installed}]

    @property
    def with_old(self) -> list[WireDevice]:
        return [one for one in self.devices if self.old_image.image_id in {each.image_id for each in one.installed}]

    def plan(self) -> None:
        self.clock.now += 1
        self.service.watch.run_once()
        self.service.updates.planner.run_once()

    def crash(self, devices: Iterable[WireDevice], count: int = 1) -> None:
        """These devices report a crash of what they run."""
        for one in devices:
            self.sequences[one.device_id] += 1
            (image,) = one.installed
            told = reports.crash(
                sequence=self.sequences[one.device_id],
                component_id=image.component_id,
                image_id=image.image_id,
                count=count,
            )
            one.check_in(error_reports=(told,))

    def get(self) -> Rollout:
        return self.service.updates.rollouts.get(self.rollout.rollout_id)


@pytest.fixture
def crashing(host: ServiceHost, package: Make, clock: Clock) -> Iterator[CrashingFleet]:
    with ExitStack() as stack:
        yield CrashingFleet(host, package, clock, stack)


def kept(crashing: CrashingFleet) -> crash_rows.KeptEvidence | None:
    return crashing.service.context.records.read(lambda c: crash_rows.evidence(c, crashing.get()))


def crashed(crashing: CrashingFleet) -> tuple[int, int]:
    """Devices that count as crashed with the new release, and with the old one."""
    found = kept(crashing)
    return (0, 0) if found is None else crash_rows.evidence_from(found.document)[1:]


def test_a_release_that_crashes_as_before_goes_on_and_one_that_does_more_is_held(crashing: CrashingFleet) -> None:
    """A quarter of the devices crash, some of them again and again, of both releases: that is what is usual there."""
    for some in (slice(0, 3), slice(1, 4)):
        crashing.crash(crashing.with_old[some.start * 3 : some.stop * 3], count=5)
        crashing.crash(crashing.with_new[some], count=5)
        crashing.plan()
    assert crashing.get().state == "running"
    assert crashed(crashing) == (4, 12)
    shown = crashing.get().crashes
    assert shown is not None
    assert (shown.devices, shown.devices_before) == (4, 12)
    assert shown.evidence_percent < 50, "as often as before"
    crashing.crash(crashing.with_new[4:])
    crashing.plan()
    held = crashing.get()
    assert (held.state, held.reason) == (
        "held",
        "crashes more often than before: 16 of 16 devices crashed; in the same time 12 of 48 with the release before",
    )


def test_control_without_the_test_of_rates_the_first_release_is_held_too(
    crashing: CrashingFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_rates, "LEAST_DEVICES", 10**9)
    crashing.crash(crashing.with_new[:3])
    crashing.plan()
    assert crashing.get().reason.startswith("finding: Application image")


def test_each_report_counts_once_whatever_happens_and_one_device_alone_holds_nothing(
    crashing: CrashingFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, rollout, keep = crashing.service, crashing.rollout, crash_rows.keep
    # Cut where the evidence is kept: nothing of it is there, and the next look finds the same.
    crashing.crash(crashing.with_new[:1], count=2**31)

    def cut(*given: object) -> bool:
        keep(*given)  # type: ignore[arg-type]
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(crash_rows, "keep", cut)
        with pytest.raises(RuntimeError, match="power cut"):
            crashing.plan()
    assert (kept(crashing), crashing.get().crashes) == (None, None)
    crashing.plan()
    first = kept(crashing)
    # A flood of one device: it has reached every milestone, and says nothing more.
    for _ in range(4):
        crashing.crash(crashing.with_new[:1], count=2**31)
        crashing.plan()
    assert first is not None
    assert (crashed(crashing), crashing.get().state) == ((1, 0), "running")
    # Another planner, as after a restart, counts nothing again; what somebody else kept meanwhile is not overwritten.
    planner = service.updates.planner
    Planner(service.context, service.updates.deployments, planner._notices, planner._repository).run_once()
    assert crashed(crashing) == (1, 0)
    moved = first._replace(position=first.position + 10**6)
    assert not service.context.records.write(lambda c: keep(c, crashing.get(), moved, moved, {}))
    # Resumed, it begins anew.
    crashing.clock.now += 5
    service.updates.rollouts.hold(rollout.rollout_id, reason="a doubt", actor="t")
    crashing.clock.now += 5
    service.updates.rollouts.resume(rollout.rollout_id, actor="t")
    assert kept(crashing) is None
    crashing.crash(crashing.with_new[:2])
    crashing.plan()
    assert crashed(crashing) == (2, 0)
    looks, records = CrashLooks(), service.context.records
    for devices, is_compared in ((64, True), (LEAST_DEVICES - 1, False)):
        found = records.read(lambda c, n=devices: looks.look(c, crashing.get(), None, confirmed=16, devices=n, now=0))
        assert (found is not None) == is_compared
    ringed = replace(crashing.get(), policy=replace(POLICY, rings=(Ring(name="lab", devices=("a" * 128,)),)), cohort=0)
    assert records.read(lambda c: looks.look(c, ringed, None, confirmed=1, devices=64, now=0)) is None, "people chose"
    service.updates.rollouts.cancel(rollout.rollout_id, reason="done", actor="t")
    assert records.write(crash_rows.prune) == 2
    assert kept(crashing) is None
