# SPDX-License-Identifier: Apache-2.0
"""What devices say of their modems, sent over TLS: the newest is kept, for its owner alone, and not too often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.fixtures.cellular import SAID, send_status
from tests.fixtures.clocks import Clock

from armillary.service.endpoint.uploads import LEAST_STATUS_S
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.cellular_status import CellularStatus
from armillary.wire.encoding import cbor


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"a" * 32) as claimed:
        yield claimed


def test_the_newest_status_is_kept(host: ServiceHost, device: WireDevice, clock: Clock) -> None:
    cellular = host.service.cellular
    assert cellular.newest(device.device_id) is None
    assert send_status(device, SAID) == (200, "")
    found = cellular.newest(device.device_id.upper())
    assert found is not None
    assert found.at == clock.now
    assert {name: getattr(found, name) for name in CellularStatus.__dataclass_fields__} == {
        name: getattr(SAID, name) for name in CellularStatus.__dataclass_fields__
    }
    clock.now += LEAST_STATUS_S
    lost = replace(SAID, state="searching", registration="searching", signal_dbm=None)
    assert send_status(device, lost) == (200, "")
    found = cellular.newest(device.device_id)
    assert found is not None
    assert (found.state, found.signal_dbm, found.at) == ("searching", None, clock.now)


def test_a_device_that_says_it_all_the_time_is_refused(host: ServiceHost, device: WireDevice, clock: Clock) -> None:
    assert send_status(device, SAID) == (200, "")
    clock.now += LEAST_STATUS_S - 1
    assert send_status(device, replace(SAID, state="off")) == (429, "device.try-later")
    found = host.service.cellular.newest(device.device_id)
    assert found is not None
    assert found.state == "connected"
    clock.now += 1
    assert send_status(device, replace(SAID, state="off")) == (200, "")


@pytest.mark.parametrize("body", [b"", b"\xff", cbor.encode([1, 2, 3]), bytes(10_000)])
def test_what_is_no_status_is_refused(host: ServiceHost, device: WireDevice, body: bytes) -> None:
    assert device.exchange("POST", "/v1/cellular-status", body).status == 400
    assert device.exchange("GET", "/v1/cellular-status").status == 405
    assert host.service.cellular.newest(device.device_id) is None


def test_a_device_that_is_nobodys_says_nothing(host: ServiceHost) -> None:
    with host.device(b"b" * 32) as unclaimed:
        assert send_status(unclaimed, SAID)[0] == 403


def test_a_new_owner_reads_nothing_that_was_said_to_the_one_before(
    host: ServiceHost, device: WireDevice, clock: Clock
) -> None:
    assert send_status(device, SAID) == (200, "")
    other = host.service.registry.catalogs.create("Fabrikam", actor="t")
    offer = host.service.registry.transfers.offer("Contoso", device.device_id, other.catalog_id, actor="t")
    host.service.registry.transfers.accept("Fabrikam", offer.transfer_id, actor="t")
    assert host.service.cellular.newest(device.device_id) is None
    device.disconnect()
    clock.now += LEAST_STATUS_S
    assert send_status(device, replace(SAID, operator="Other")) == (200, "")
    found = host.service.cellular.newest(device.device_id)
    assert found is not None
    assert found.operator == "Other"
