# SPDX-License-Identifier: Apache-2.0
"""What is ordinary once is a finding when it comes again and again: over the real device endpoint."""

from __future__ import annotations

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.fixtures.waiting import wait_until

from armillary.service.watch import detections
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice

BURST = 60  # content/detections/refusals.yml


def refused(host: ServiceHost, device: WireDevice, times: int) -> None:
    """A device that nobody has claimed asks so many times; the refusals are in the records when it returns."""
    before = counted(host, device)
    for _ in range(times):
        assert device.exchange("GET", "/v1/challenge").status == 403
    wait_until(lambda: counted(host, device) == before + times, "the refusals in the records")


def counted(host: ServiceHost, device: WireDevice) -> int:
    rows = host.service.registry.history.refusals(device_id=device.device_id, limit=500).items
    return sum(row.count for row in rows)


def bursts(host: ServiceHost) -> list[tuple[tuple[str, ...], str]]:
    host.service.watch.run_once()
    return [(one.device_ids, one.severity) for one in host.service.watch.list(kind="refusals-burst").items]


def test_a_device_that_is_refused_all_the_time_is_a_finding_however_often_the_watch_looks(
    host: ServiceHost, clock: Clock
) -> None:
    nobody_wakes(host.service)
    with host.device(b"u" * 32) as device:
        refused(host, device, BURST // 2)
        assert bursts(host) == []
        clock.now += 61
        refused(host, device, BURST // 2)
        assert bursts(host) == [], "as many, but not within a minute"
        refused(host, device, BURST // 2)
        assert bursts(host) == [((device.device_id,), "medium")]


def test_control_without_the_rule_it_is_none(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(rule for rule in detections.shipped_rules() if rule.kind != "refusals-burst")
    monkeypatch.setattr(detections, "shipped_rules", lambda: others)
    nobody_wakes(host.service)
    with host.device(b"u" * 32) as device:
        refused(host, device, BURST)
        assert bursts(host) == []
