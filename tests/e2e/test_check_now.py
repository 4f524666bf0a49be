# SPDX-License-Identifier: Apache-2.0
"""Check now, from an operator's call to a real device that waits for a hint over real TLS; and its log by the same way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.e2e.test_directed_update import events, run_until

from armillary.device.process import Device
from armillary.sim.device.service_host import ServiceHost


@pytest.mark.e2e
def test_a_device_sends_its_log_as_soon_as_somebody_asks(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time())
        server, logs, asked = host.service.serving.server, host.service.device_logs, list[str]()
        assert server is not None

        def done(device: Device) -> bool:
            if len(server.endpoint._hints) and not asked:  # it waits
                device.journal.write("output", name="app", stream="stdout", text="token=of-a-customer")
                logs.ask(device.device_id, actor="ann")
                asked.append(device.device_id)
            return bool(events(device, "log-sent"))

        device = run_until(tmp_path / "device", done)
        found = logs.read(device.device_id, actor="bob")
        assert "booted" in found.lines[0]
        assert any(line.endswith("text=token=[hidden]") for line in found.lines)
        assert "log-asked" in found.lines[-1]
        assert "of-a-customer" not in "".join(found.lines)
        assert logs.standing(device.device_id).state == "answered"


@pytest.mark.e2e
def test_a_device_checks_in_as_soon_as_somebody_asks(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time())
        server, asked = host.service.serving.server, list[str]()
        assert server is not None

        def done(device: Device) -> bool:
            if len(server.endpoint._hints) and not asked:  # it waits
                host.service.updates.check_now.ask(device.device_id, actor="t")
                asked.append(device.device_id)
            return len(events(device, "check-in")) == 2

        device = run_until(tmp_path / "device", done)
        assert len(events(device, "asked-to-check-in")) == 1
