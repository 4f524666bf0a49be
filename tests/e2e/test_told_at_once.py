# SPDX-License-Identifier: Apache-2.0
"""From what an application tries on a real device to the finding, over real TLS, with no check-in due for an hour."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.device.fake_sandbox import FakeSandbox
from tests.e2e.test_directed_update import deploy, events, run_until

from armillary.device.process import Device
from armillary.engines.sandbox.port import ConnectionAttempt
from armillary.sim.device.service_host import ServiceHost

TRIES = (("listen", "0.0.0.0", 4444), ("tcp", "evil.example", 443))


@pytest.mark.e2e
def test_what_a_manifest_does_not_name_is_a_finding_at_once(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time())
        image = deploy(host, "door")
        sandbox, told, watch = FakeSandbox(), list[float](), host.service.watch

        def done(device: Device) -> bool:
            if sandbox.events and events(device, "update-confirmed") and not told:
                told.append(time.monotonic())
                for protocol, name, port in TRIES:
                    tried = ConnectionAttempt(name, port, allowed=False, at=time.time(), protocol=protocol, count=3)
                    sandbox.events[-1](tried)
            return bool(told) and {one.kind for one in watch.list().items} >= {"listener-blocked", "connection-blocked"}

        device = run_until(tmp_path / "device", done, sandbox=sandbox)
        found = {one.kind: one for one in watch.list().items}
        for kind in ("listener-blocked", "connection-blocked"):
            assert (found[kind].count, found[kind].image_id) == (3, image.image_id)
            assert found[kind].device_ids == (device.device_id,)
