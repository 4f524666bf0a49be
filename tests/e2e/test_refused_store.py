# SPDX-License-Identifier: Apache-2.0
"""A device refuses a trust store: what its page says of it, and that everything else still comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.e2e.test_directed_update import deploy, events, run_until

from armillary.device.process import Device
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import package as image_package


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


@pytest.mark.e2e
def test_why_a_device_refused_a_store_is_on_its_page_and_applications_come_all_the_same(
    tmp_path: Path, host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "device", host.service.authority.image_signer
    made = make(host, folder, wall=time.time())
    assert asyncio.run(made.prove_once()).verdict == "attested"  # from now on the next key waits for it
    build = image_package.build
    by_other = {"key": other.key, "certificate": other.certificate}
    with monkeypatch.context() as wrong:  # the package of the store is signed by a key that may sign none
        wrong.setattr(image_package, "build", lambda *given, **named: build(*given, **named | by_other))
        host.service.updates.trust_stores.renew(actor="t")

    def standing() -> tuple[str, str]:
        found = host.service.updates.standings.of(made.device_id)
        return found.code, found.detail

    said: list[tuple[str, str]] = []

    def comes_to(*codes: str) -> Callable[[Device], bool]:
        """Check in again after each step."""
        waits = list(codes)

        def look(device: Device) -> bool:
            if standing()[0] == waits[0]:
                said.append(standing())
                waits.pop(0)
                device.check_in_now()
            return not waits

        return look

    run_until(folder, comes_to("refused", "store-failed"))
    assert [code for code, _ in said] == ["refused", "store-failed"]
    for _, detail in said:
        assert "is no trust store that this device takes" in detail
    [refused] = host.service.updates.trust_stores.stores()[1:2]
    assert (refused.devices.refused, refused.devices.waiting) == (1, 0)
    deploy(host, "tap")
    device = run_until(folder, lambda found: bool(events(found, "update-confirmed")))
    assert [one["images"] for one in events(device, "update-confirmed")] == [["tap"]]
