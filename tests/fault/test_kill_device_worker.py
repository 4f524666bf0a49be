# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a device worker while devices check in: what was acknowledged is there, and all devices are served."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fixtures.waiting import wait_until
from tests.service.workers.worker_places import pids, workers_of

from armillary.engines.records.queries import check_ins as check_in_rows, devices as device_rows
from armillary.errors import ServiceUnreachableError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.certificates.certificate import parse_device_certificate

DEVICES = 10
EACH = 20
KILLS = (40, 110)  # after so many check-ins
PATIENCE_S = 60.0


@dataclass
class Acknowledged:
    """What devices were told."""

    serials: list[tuple[str, str]] = field(default_factory=list)  # device id, certificate serial
    broken: list[str] = field(default_factory=list)


def drive(device: WireDevice, told: Acknowledged) -> None:
    """Check in until it has worked often enough, with a new connection after each that broke."""
    done, deadline = 0, time.monotonic() + PATIENCE_S
    while done < EACH and time.monotonic() < deadline:
        try:
            reply = device.check_in()
        except (OSError, ServiceUnreachableError) as error:
            told.broken.append(str(error))
            device.challenge = b""
            device.disconnect()
            continue
        assert reply.verdict == "attested", reply.steps
        serial = parse_device_certificate(reply.certificate_chain[0]).serial
        told.serials.append((device.device_id, f"{serial:034X}"))
        done += 1
        if done % 5 == 0:
            device.disconnect()  # the next connection may be at the other worker


@pytest.mark.timeout(180)
def test_nothing_acknowledged_is_lost_when_a_worker_is_killed(tmp_path: Path) -> None:
    told = Acknowledged()
    with ServiceHost(tmp_path / "data", device_workers="2", planner_interval_s=3600.0) as host:
        host.catalog()
        devices = [replace(host.claimed(bytes([n]) * 32), lineage=b"") for n in range(DEVICES)]
        threads = [threading.Thread(target=drive, args=(device, told)) for device in devices]
        for thread in threads:
            thread.start()
        for place, count in enumerate(KILLS):
            wait_until(lambda c=count: len(told.serials) >= c, "check-ins")  # type: ignore[misc]
            os.kill(pids(host)[place], signal.SIGKILL)
            wait_until(lambda: workers_of(host).is_whole, "another worker")
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(told.serials) == DEVICES * EACH
        assert told.broken, "the kills met nobody: this test proved nothing"
        assert [one["restarts"] for one in workers_of(host).describe()] == [1, 1]
        records = host.service.context.records
        for device_id, serial in told.serials:
            found = records.read(lambda c, d=device_id: device_rows.enrolled(c, d))  # type: ignore[misc]
            assert found is not None
            assert found.lineage.held_at is None
            known = records.read(lambda c, n=found.number, s=serial: check_in_rows.has_certificate(c, n, s))  # type: ignore[misc]
            assert known, f"certificate {serial} was handed out and is not on record"
        assert host.service.audit.verify().broken_at is None
        for device in devices:
            device.disconnect()
