# SPDX-License-Identifier: Apache-2.0
"""Floods of events, false clocks and forged numbers: bounded, counted exactly, shown, and nobody else pays.

Over the real device endpoint. Beside each attack stands the control: with the one rule taken out, it works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import images, reports
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.fixtures.waiting import wait_until
from tests.service.updates.rollout_fleet import POLICY, Fleet, step

from armillary.api.views.status import _watch as watch_status
from armillary.engines.records.queries import reports as report_rows
from armillary.rollout.policy import RolloutPolicy
from armillary.service.context import refusals
from armillary.service.verifier import device_rates
from armillary.service.verifier.device_rates import Allowance
from armillary.service.watch import detections
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.finding import Finding

SHARE = 40  # of one device here; 256 otherwise
FLOOD = 160


def told(number: int, **changes: Any) -> ErrorReport:
    return reports.crash(sequence=number, event_type="ConnectionBlocked", description=f"host {number}", **changes)


def flood(device: WireDevice, count: int, *, begun: int = 1) -> None:
    """So many different reports, 32 a check-in."""
    sent = [told(number) for number in range(begun, begun + count)]
    for start in range(0, count, 32):
        device.check_in(error_reports=tuple(sent[start : start + 32]))


def stored(host: ServiceHost, device: WireDevice) -> tuple[int, int]:
    """Reports of a device that are kept, and those that are only counted."""
    found = host.service.registry.history.error_reports(device_id=device.device_id, limit=500).items
    counted = [row for row in found if row.event_type == report_rows.SUPPRESSED]
    return len(found) - len(counted), sum(row.count for row in counted)


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def flooded(tmp_path: Path, wall: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ServiceHost, ExitStack]]:
    """A service with a small share of each device."""
    monkeypatch.setattr(device_rates, "REPORTS", Allowance(SHARE, 600.0))
    with ServiceHost(tmp_path / "data", clock=wall, planner_interval_s=3600.0) as host, ExitStack() as stack:
        host.catalog()
        nobody_wakes(host.service)
        yield host, stack


def play(host: ServiceHost, stack: ExitStack) -> tuple[tuple[int, int], int]:
    """One device floods; what is kept and counted of it, and in how many findings it is named."""
    loud = stack.enter_context(host.claimed(b"l" * 32))
    flood(loud, FLOOD)
    host.service.watch.run_once()
    return stored(host, loud), len(host.service.watch.list(device_id=loud.device_id, limit=500).items)


def test_a_flood_of_one_device_is_bounded_and_counted_and_costs_no_other(
    flooded: tuple[ServiceHost, ExitStack],
) -> None:
    host, stack = flooded
    kept, findings = play(host, stack)
    assert kept == (SHARE, FLOOD - SHARE), "each is kept or counted, and none is both"
    assert findings == 2, "one about what it says of images that it was not offered, and one that counts the rest"
    (overflow,) = host.service.watch.list(kind="reports-suppressed").items
    assert overflow.count == FLOOD - SHARE
    quiet = stack.enter_context(host.claimed(b"q" * 32))
    quiet.check_in(error_reports=(told(1),))
    host.service.watch.run_once()
    assert [one.count for one in host.service.watch.list(device_id=quiet.device_id).items] == [1]


def test_control_without_the_share_the_flood_is_kept_whole(
    flooded: tuple[ServiceHost, ExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, stack = flooded
    monkeypatch.setattr(Allowance, "burst", 10**6)
    assert play(host, stack)[0] == (FLOOD, 0)


def test_a_flood_of_all_devices_is_one_finding_of_each_kind_and_counted_exactly(
    flooded: tuple[ServiceHost, ExitStack],
) -> None:
    """Every device of a group meets the same bug at once, each more often than its share."""
    host, stack = flooded
    devices = [stack.enter_context(host.claimed(bytes([n]) * 32)) for n in range(1, 7)]
    for device in devices:
        for start in range(1, FLOOD // 2, 32):
            sent = range(start, min(start + 32, FLOOD // 2 + 1))
            device.check_in(
                error_reports=tuple(reports.crash(sequence=number, component_id=UUID(int=7)) for number in sent)
            )
    host.service.watch.run_once()
    assert [stored(host, one) for one in devices] == [(SHARE, FLOOD // 2 - SHARE)] * len(devices)
    (group,) = host.service.watch.crashes.list("Contoso").items
    assert (group.count, group.devices) == (SHARE * len(devices), len(devices))
    suppressed = host.service.watch.list(kind="reports-suppressed", limit=100).items
    assert sum(one.count for one in suppressed) == len(devices) * (FLOOD // 2 - SHARE)


def refused_of_many(host: ServiceHost, stack: ExitStack, devices: int, times: int) -> int:
    """Strangers that nobody claimed ask again and again, faster than refusals are kept; how many are in the records."""
    many = [stack.enter_context(host.device(bytes([n]) * 32)) for n in range(1, devices + 1)]
    for _ in range(times):
        for one in many:
            assert one.exchange("GET", "/v1/challenge").status == 403

    def counted() -> int:
        found = (host.service.registry.history.refusals(device_id=one.device_id, limit=500).items for one in many)
        return sum(row.count for rows in found for row in rows)

    dropped = host.service.watch.drops.counts
    wait_until(lambda: counted() + dropped()["device endpoint"] == devices * times, "each refusal kept or counted")
    return counted()


def test_refusals_beyond_what_is_kept_are_counted_and_shown(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the status, as a metric, and as a finding; the sum is exact."""
    monkeypatch.setattr(refusals, "MAX_PENDING", 2)
    nobody_wakes(host.service)
    with ExitStack() as stack:
        kept = refused_of_many(host, stack, 6, 4)
        dropped = host.service.watch.drops.counts()["device endpoint"]
        assert kept + dropped == 24
        assert dropped > 0
        host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="events-dropped").items
        assert finding.count == dropped
        state, detail = watch_status(host.service)
        assert (state, f"{dropped} at device endpoint" in detail) == ("degraded", True)
        host.service.watch.run_once()
        assert host.service.watch.get(finding.finding_id).count == dropped, "and once"


def test_control_with_room_for_them_all_are_kept(host: ServiceHost) -> None:
    nobody_wakes(host.service)
    with ExitStack() as stack:
        assert refused_of_many(host, stack, 6, 4) == 24
    host.service.watch.run_once()
    assert not host.service.watch.list(kind="events-dropped").items
    assert watch_status(host.service)[0] == "ok"


# Forged numbers ---------------------------------------------------------------------------------------------------


def gaps(host: ServiceHost) -> Finding:
    """A device counts down from the largest number, so that each report seems to miss all that are below it."""
    with host.claimed(b"g" * 32) as device:
        device.check_in(error_reports=(told(1),))
        top = 2**53
        for start in range(0, 1536, 32):
            sent = tuple(told(top - start - n) for n in reversed(range(32)))
            device.check_in(error_reports=sent)
            host.service.watch.run_once()
    (found,) = host.service.watch.list(kind="reports-missing").items
    return found


def test_forged_sequence_numbers_count_for_no_more_than_a_device_can_make(host: ServiceHost) -> None:
    nobody_wakes(host.service)
    found = gaps(host)
    assert 0 < found.count <= 1536 * detections.MAX_MISSING
    assert isinstance(found.count, int)


def test_control_without_the_bound_the_count_is_none_any_more(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detections, "MAX_MISSING", 2**63)
    nobody_wakes(host.service)
    assert gaps(host).count > 2**53 - 10**6, "one report makes more than a fleet in a thousand years"


# False clocks -----------------------------------------------------------------------------------------------------

LONG_AGO, FAR_OFF = 1, 2**32


@pytest.fixture
def fleet(tmp_path: Path, wall: Clock) -> Iterator[Fleet]:
    with ServiceHost(tmp_path / "data", clock=wall, planner_interval_s=3600.0) as host, ExitStack() as stack:
        host.catalog()
        made = Fleet(host, lambda component: images.package(images.manifest("tap", component)))
        for device in made.devices:
            stack.enter_context(device)
        yield made


def held_by_crashes(fleet: Fleet, wall: Clock, at: int) -> bool:
    """A bad release on a device whose clock stands at ``at``; whether its crashes hold the roll-out."""
    rollout = fleet.start(replace(POLICY, min_failures=1))
    step(fleet, wall)
    (newest,) = [one for one in fleet.devices if one.device_id in fleet.having(fleet.new)]
    ids: dict[str, UUID] = {"component_id": fleet.new.component_id, "image_id": fleet.new.image_id}
    for sequence in range(1, 4):
        newest.check_in(error_reports=(reports.crash(sequence=sequence, start=at, end=at, **ids),))
    fleet.service.watch.run_once()
    fleet.service.updates.planner.run_once()
    return fleet.get(rollout).state == "held"


@pytest.mark.parametrize("at", [LONG_AGO, FAR_OFF])
def test_a_device_whose_clock_is_years_off_hides_no_crash_and_makes_no_finding_of_another_time(
    fleet: Fleet, wall: Clock, at: int
) -> None:
    begun = int(wall.now)
    assert held_by_crashes(fleet, wall, at)
    (found,) = fleet.service.watch.list(kind="application-crashed").items
    assert begun <= found.first_seen <= found.last_seen <= wall.now
    (group,) = fleet.service.watch.crashes.list("Contoso").items
    assert begun <= group.first_seen <= group.last_seen <= wall.now


def test_control_with_the_devices_word_for_the_time_its_crashes_are_hidden(
    fleet: Fleet, wall: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine: Callable[..., dict[str, Any]] = detections._reported
    monkeypatch.setattr(detections, "_reported", lambda report: {**genuine(report), "at": report.end})
    assert not held_by_crashes(fleet, wall, LONG_AGO)
    assert RolloutPolicy().hold_on_severity == "high"
