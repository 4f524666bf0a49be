# SPDX-License-Identifier: Apache-2.0
"""Through the general broker of a whole service: who is let in, who hears whom, and who is put out.

Devices of two catalogs with the certificates of their check-ins. Each attack has its positive control.
"""

from __future__ import annotations

import ssl
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from tests.api.running_service import RunningService, running_service
from tests.hub.broker.broker_talk import KEPT, arrived, publish, subscribe
from tests.hub.wire_client import WireClient

from armillary.service.hub_access.peer import HubPeers
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.hub.credentials import HubPeer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("broker"), broker_port="0") as running:
        yield running


@pytest.fixture(scope="module")
def port(service: RunningService) -> int:
    return service.ports["broker_port"]


def claimed(service: RunningService) -> tuple[str, WireDevice]:
    """A device in a catalog of its own."""
    registry, name = service.service.registry, f"B-{uuid.uuid4().hex[:12]}"
    registry.catalogs.create(name, actor="test")
    registry.products.create(name, "Coffee", actor="test")
    registry.groups.create_defaults(name, "Coffee", actor="test")
    device = service.make_device()
    registry.devices.claim(name, [device.device_id], actor="test", product="Coffee", group="Production")
    return name, device


def another(service: RunningService, catalog: str) -> WireDevice:
    device = service.make_device()
    service.service.registry.devices.claim(
        catalog, [device.device_id], actor="test", product="Coffee", group="Production"
    )
    return device


def tls_of(service: RunningService, device: WireDevice) -> ssl.SSLContext:
    """TLS with the client certificate of a check-in."""
    with device:
        reply = device.check_in()
    chain = "".join(ssl.DER_cert_to_PEM_cert(der) for der in reply.certificate_chain)
    key = device.client_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.create_default_context(cafile=str(service.root))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_bytes(key + chain.encode())
        context.load_cert_chain(path)
    return context


def test_a_device_hears_its_own_catalog_and_no_other(
    service: RunningService, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, sender = claimed(service)
    friend, (_, stranger) = another(service, catalog), claimed(service)
    hears: list[WireClient] = []
    for device in (friend, stranger):
        client = WireClient(port, context=tls_of(service, device), client_id="app")
        client.connect(KEPT)
        subscribe(client, "#", qos=0)
        hears.append(client)
    speaks = WireClient(port, context=tls_of(service, sender), client_id="app")
    speaks.connect()
    publish(speaks, "secret/recipe", b"beans", retain=True)
    assert arrived(hears[0]).payload == b"beans"
    assert hears[1].silent()
    for client in (*hears, speaks):
        client.close()

    # With the catalog taken out of who a client is, the stranger hears it: that is what keeps them apart.
    real = HubPeers.authenticate
    monkeypatch.setattr(HubPeers, "authenticate", lambda self, der: HubPeer(real(self, der).identity))
    clients = [WireClient(port, context=tls_of(service, device), client_id="app") for device in (sender, stranger)]
    for client in clients:
        client.connect()
    subscribe(clients[1], "#", qos=0)
    publish(clients[0], "secret/recipe", b"beans")
    assert arrived(clients[1]).payload == b"beans"
    for client in clients:
        client.close()


def test_a_revoked_device_is_put_out_and_does_not_come_back(service: RunningService, port: int) -> None:
    _, device = claimed(service)
    context = tls_of(service, device)
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
