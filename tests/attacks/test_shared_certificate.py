# SPDX-License-Identifier: Apache-2.0
"""Keys in the wrong hands, at the hub: one certificate in two places, and that of a revoked device.

Both are findings about that device. Nobody without its key can have another device accused.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from tests.api.running_service import RunningService, fresh
from tests.hub.wire_client import WireClient

from armillary.detect import places
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.finding import Finding
from armillary.wire.mqtt.packet import LEVEL_3_1_1, Pingreq, Pingresp

ORIGINAL, COPY = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def device(service: RunningService) -> WireDevice:
    return service.claimed(service.make_catalog(fresh("C"), product="Coffee"))


def connects(service: RunningService, context: ssl.SSLContext, name: str, source: str) -> WireClient:
    return WireClient(service.hub_port, context=context, level=LEVEL_3_1_1, client_id=name, source=source)


def turns(service: RunningService, device: WireDevice, sources: Iterator[str]) -> list[Finding]:
    """The device connects from each of these addresses while its connection of before is open."""
    open_ones, context = [], service.client_context(device)
    for source in sources:
        client = connects(service, context, device.device_id, source)
        assert client.connect().reason == 0
        client.send(Pingreq())
        assert isinstance(client.receive(), Pingresp), "the hub has taken note of it"
        open_ones.append(client)
    service.service.watch.run_once()
    for client in open_ones:
        client.close()
    return list(service.service.watch.list(kind="certificate-shared", device_id=device.device_id).items)


def test_a_certificate_in_two_places_is_a_finding_about_its_device(service: RunningService, device: WireDevice) -> None:
    (found,) = turns(service, device, iter((ORIGINAL, COPY) * 4))
    assert (found.severity, found.count, found.device_ids) == ("high", 7, (device.device_id,))
    assert f"{ORIGINAL}, {COPY}" in found.cause or f"{COPY}, {ORIGINAL}" in found.cause


def test_a_device_that_moves_to_another_network_is_none(service: RunningService, device: WireDevice) -> None:
    assert turns(service, device, iter((ORIGINAL, COPY, ORIGINAL))) == []
    assert turns(service, device, iter((ORIGINAL,) * 8)) == [], "nor one that restarts again and again"


def test_control_without_the_rule_nobody_hears_of_it(
    service: RunningService, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "AGAIN", 10**6)
    assert turns(service, device, iter((ORIGINAL, COPY) * 4)) == []


def revoked_active(service: RunningService, device: WireDevice) -> list[Finding]:
    service.service.watch.run_once()
    return list(service.service.watch.list(kind="revoked-device-active", device_id=device.device_id).items)


def test_the_certificate_of_a_revoked_device_is_refused_at_the_hub_and_counted(
    service: RunningService, device: WireDevice
) -> None:
    context = service.client_context(device)
    first = connects(service, context, device.device_id, ORIGINAL)
    assert first.connect().reason == 0
    revoke = service.call("POST", f"/api/v1/devices/{device.device_id}/revoke", {"reason": "stolen"})
    assert revoke.status == 200
    assert first.receive() is None
    assert revoked_active(service, device) == []
    for _ in range(3):
        thief = connects(service, context, device.device_id, COPY)
        assert thief.connect().reason != 0
        thief.close()
    (found,) = revoked_active(service, device)
    assert (found.severity, found.count, found.device_ids) == ("medium", 3, (device.device_id,))


def test_another_device_that_names_itself_so_accuses_nobody(service: RunningService, device: WireDevice) -> None:
    """A neighbour with a genuine key of its own connects under the name of the revoked device, and of a living one."""
    service.call("POST", f"/api/v1/devices/{device.device_id}/revoke", {"reason": "stolen"})
    neighbour, victim = (service.claimed(service.make_catalog(fresh("C"), product="Coffee")) for _ in range(2))
    context = service.client_context(neighbour)
    for name in (device.device_id, victim.device_id):
        for source in (ORIGINAL, COPY) * 4:
            liar = connects(service, context, name, source)
            assert liar.connect().reason != 0
            liar.close()
    assert revoked_active(service, device) == []
    assert service.service.watch.list(kind="certificate-shared", device_id=victim.device_id).items == ()
