# SPDX-License-Identifier: Apache-2.0
"""A service whose clock ran ahead took a device along: root brings it back over the air, a person does so by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.test_device_time import DAY_S, IN_1970, factory_of, make, started
from tests.e2e.test_directed_update import deploy, events, run_until
from tests.service.repository.ceremonies import signatures
from tests.service.repository.test_ceremony import take_offline

from armillary.device.boot.recovery import recover
from armillary.device.process import Device
from armillary.device.state.layout import DeviceFolder
from armillary.sim.device.service_host import ServiceHost

AHEAD_S = 30 * DAY_S


@pytest.fixture
def offset() -> list[float]:
    """How far the service's clock is ahead, seconds."""
    return [0.0]


@pytest.fixture
def host(tmp_path: Path, offset: list[float]) -> Iterator[ServiceHost]:
    now = lambda: time.time() + offset[0]  # noqa: E731
    with ServiceHost(tmp_path / "service", clock=now, planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


def taken_along(host: ServiceHost, folder: Path, offset: list[float]) -> Device:
    """A device that was told a time from the future, by a service whose clock is right again."""
    device = make(host, folder, wall=time.time())
    offset[0] = AHEAD_S
    assert asyncio.run(device.prove_once()).verdict == "attested"
    offset[0] = 0.0
    assert believes(folder) >= time.time() + AHEAD_S - 60
    return device


def believes(folder: Path) -> int:
    return started(folder, wall=IN_1970).clock.now()


@pytest.mark.e2e
def test_an_update_comes_once_offline_keys_of_root_say_which_times_were_false(
    tmp_path: Path, host: ServiceHost, offset: list[float]
) -> None:
    folder, standing, asked = tmp_path / "device", host.service.updates.standings, []
    taken_along(host, folder, offset)
    deploy(host, "tap")

    def says_so(device: Device) -> bool:
        if events(device, "offer-refused") and not asked:
            asked.append(True)
            device.check_in_now()
        return standing.of(device.device_id).code == "clock-ahead"

    device = run_until(folder, says_so)
    assert {one["code"] for one in events(device, "offer-refused")} == {"repository.clock-ahead"}
    assert "later than what it says now" in standing.of(device.device_id).detail
    root, _ = take_offline(host.service.ceremony)
    assert not host.service.ceremony.correct_clock(actor="t")
    assert host.service.ceremony.submit(signatures(host.service.ceremony, root[:2]), actor="t")
    device = run_until(folder, lambda found: bool(events(found, "update-confirmed")))
    assert [one["images"] for one in events(device, "update-confirmed")] == [["tap"]]
    assert abs(believes(folder) - time.time()) < 60


def test_a_device_that_is_recovered_by_hand_believes_the_present_time(
    tmp_path: Path, host: ServiceHost, offset: list[float]
) -> None:
    folder = tmp_path / "device"
    taken_along(host, folder, offset)
    recover(DeviceFolder(folder), factory_of(host), now=int(time.time()))
    assert abs(believes(folder) - time.time()) < 60
    assert asyncio.run(started(folder, wall=IN_1970).prove_once()).verdict == "attested"
    older = dict(factory_of(host)(*request_of(folder)))
    del older["time"]
    before = believes(folder)
    recover(DeviceFolder(folder), lambda *_: older, now=int(time.time()))
    assert believes(folder) == before, "a service that does not say the time changes none"


def request_of(folder: Path) -> tuple[str, str]:
    device = Device(folder)
    return device.root_of_trust.certificate_request().decode("ascii"), device.configuration.chip
