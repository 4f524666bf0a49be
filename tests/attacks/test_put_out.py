# SPDX-License-Identifier: Apache-2.0
"""Whoever may not stay connected is put out of the hub by the service as it is joined for operators.

Each client has its connection answered first, beside one of a device to which nothing happens.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.api.running_service import RunningService, fresh
from tests.attacks.test_copies import copied, restart
from tests.hub.wire_client import WireClient

from armillary.sim.device.wire_device import WireDevice
from armillary.wire.hub.sas_token import decode_key, sign_sas_token
from armillary.wire.mqtt.packet import LEVEL_3_1_1, Pingreq, Pingresp


def connected(service: RunningService, device: WireDevice) -> WireClient:
    """The device on the hub, by the certificate of its check-in, and heard there."""
    context = service.client_context(device)
    client = WireClient(service.hub_port, context=context, level=LEVEL_3_1_1, client_id=device.device_id)
    assert client.connect().reason == 0
    return heard(client)


def heard(client: WireClient) -> WireClient:
    client.send(Pingreq())
    assert isinstance(client.receive(), Pingresp)
    return client


def revoke(service: RunningService, device: WireDevice) -> None:
    reply = service.call("POST", f"/api/v1/devices/{device.device_id}/revoke", {"reason": "stolen"})
    assert reply.status == 200, reply.body


def copy(service: RunningService, device: WireDevice) -> None:
    """Two machines check in by turns as this device, each booting past the other, until the service has noticed."""
    machines = (device, copied(device, boots=3))
    for machine, other in (machines, machines[::-1]) * 2:
        with machine:
            restart(machine, past=other)
            machine.check_in()
    assert service.service.registry.devices.get(device.device_id).held_at is not None


def set_apart(service: RunningService, device: WireDevice) -> None:
    reply = service.call("POST", f"/api/v1/devices/{device.device_id}/quarantine", {"reason": "odd"})
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("end", [revoke, copy, set_apart])
def test_a_device_is_cut_when_it_is_revoked_and_when_a_copy_of_it_is_found(
    service: RunningService, end: Callable[[RunningService, WireDevice], None]
) -> None:
    device = replace(service.claimed(service.make_catalog(fresh("C"), product="Coffee")), lineage=b"")
    neighbour = service.claimed(service.make_catalog(fresh("C"), product="Coffee"))
    client, other = connected(service, device), connected(service, neighbour)
    end(service, device)
    assert client.receive() is None
    heard(other).close()
    client.close()


def test_a_hub_device_is_cut_when_it_is_disabled(service: RunningService) -> None:
    catalog = service.make_catalog(fresh("P"), symmetric_keys=True)
    trust = ssl.create_default_context(cafile=str(service.root))
    clients = []
    for name in (f"{catalog}-1", f"{catalog}-2"):
        made = service.call(
            "POST", f"/api/v1/catalogs/{catalog}/hub-devices", {"device_id": name, "authentication": "sas"}
        )
        password = sign_sas_token(
            f"localhost/devices/{name}", decode_key(made.body["primary_key"]), int(time.time()) + 600
        )
        client = WireClient(service.hub_port, context=trust, level=LEVEL_3_1_1, client_id=name)
        username = f"localhost/{name}/?api-version=2021-04-12"
        assert client.connect(username=username, password=password.encode()).reason == 0
        clients.append(heard(client))
    reply = service.call("PATCH", f"/api/v1/hub-devices/{catalog}-1", {"enabled": False})
    assert reply.status == 200, reply.body
    assert clients[0].receive() is None
    heard(clients[1])
    for client in clients:
        client.close()
