# SPDX-License-Identifier: Apache-2.0
"""Through the general broker of a whole service: who is let in, who hears whom, and who is put out.

Devices of two catalogs with the certificates of their check-ins. Each attack has its positive control.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, own_service
from tests.hub.broker.broker_talk import KEPT, arrived, publish, subscribe
from tests.hub.wire_client import WireClient

from armillary.service.hub_access.peer import HubPeers
from armillary.wire.hub.credentials import HubPeer

service = own_service(broker_port="0")


@pytest.fixture(scope="module")
def port(service: RunningService) -> int:
    return service.ports["broker_port"]


def test_a_device_hears_its_own_catalog_and_no_other(
    service: RunningService, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.make_catalog(fresh("C"), product="Coffee")
    sender, friend, stranger = (
        service.claimed(name) for name in (catalog, catalog, service.make_catalog(fresh("C"), product="Coffee"))
    )
    hears: list[WireClient] = []
    for device in (friend, stranger):
        client = WireClient(port, context=service.client_context(device), client_id="app")
        client.connect(KEPT)
        subscribe(client, "#", qos=0)
        hears.append(client)
    speaks = WireClient(port, context=service.client_context(sender), client_id="app")
    speaks.connect()
    publish(speaks, "secret/recipe", b"beans", retain=True)
    assert arrived(hears[0]).payload == b"beans"
    assert hears[1].silent()
    for client in (*hears, speaks):
        client.close()

    # With the catalog taken out of who a client is, the stranger hears it: that is what keeps them apart.
    real = HubPeers.authenticate
    monkeypatch.setattr(HubPeers, "authenticate", lambda self, der: HubPeer(real(self, der).identity))
    contexts = [service.client_context(device) for device in (sender, stranger)]
    clients = [WireClient(port, context=context, client_id="app") for context in contexts]
    for client in clients:
        client.connect()
    subscribe(clients[1], "#", qos=0)
    publish(clients[0], "secret/recipe", b"beans")
    assert arrived(clients[1]).payload == b"beans"
    for client in clients:
        client.close()


def test_a_revoked_device_is_put_out_and_does_not_come_back(service: RunningService, port: int) -> None:
    device = service.claimed(service.make_catalog(fresh("C"), product="Coffee"))
    context = service.client_context(device)
    client = WireClient(port, context=context, client_id="app")
    assert client.connect(KEPT).reason == 0
    service.service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="test")
    assert client.ended_with() == 0x98
    again = WireClient(port, context=context, client_id="app")
    assert again.connect(KEPT).reason == 0x87
    again.close()


def test_nobody_comes_in_without_a_certificate(service: RunningService, port: int) -> None:
    context = ssl.create_default_context(cafile=str(service.root))

    def come_in() -> Any:
        return WireClient(port, context=context, client_id="app").connect()

    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        come_in()
