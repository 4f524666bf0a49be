# SPDX-License-Identifier: Apache-2.0
"""Resident memory of the whole service with 1,000 devices connected to the hub, against its limit.

Real devices' worth of state: each was manufactured, claimed and attested over the real endpoints, then connected over
mutual TLS with its own 24-hour certificate, subscribed to its twin and sent telemetry once.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.management import SUBSCRIPTION
from armillary.cli.terminal.remote import RemoteService
from armillary.service.factory.reply import FactoryReply
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.mqtt import codec as mqtt
from armillary.wire.mqtt.packet import Connect, PacketType, Publish
from bench.result import result
from bench.service_process import RunningService, memory_mb, running_service

DEVICES = 1000
LIMIT_MB = 140.0
# Until the service has given back what its last work brought (roles/memory.py: 5 s after the time before).
SETTLE_S = 8.0
CLAIM_BATCH = 500
CATALOG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/default/providers/Microsoft.AzureSphere/catalogs/Bench"
TIMEOUT_S = 30
AT_ONCE = 4  # devices that connect


def run() -> list[dict[str, object]]:
    """Idle memory, then memory with every device connected."""
    with running_service(check_in_interval_s=3600) as service:
        idle = memory_mb(service.process.pid)
        pem = Path(str(service.ready["root_ca"])).read_text("ascii")
        with RemoteService(make_connection(str(service.ready["api"]), str(service.ready["token"]), pem)) as remote:
            devices = manufactured(remote, service, DEVICES)
        print(f"  {DEVICES} devices made", file=sys.stderr)
        with ThreadPoolExecutor(AT_ONCE) as pool:  # each waits for the disk twice
            connections = list(pool.map(lambda device: connected(device, service, pem), devices))
        with RemoteService(make_connection(str(service.ready["api"]), str(service.ready["token"]), pem)) as remote:
            seen = int(remote.get("/status")["connected_devices"])
        if seen != DEVICES:
            raise RuntimeError(f"{seen} of {DEVICES} devices are connected")
        time.sleep(SETTLE_S)  # the measurement is of a settled process, not of the last handshake
        value = memory_mb(service.process.pid)
        for connection in connections:
            connection.close()
    conditions = f"{DEVICES} devices attested and connected by mutual TLS; {idle:.0f} MB before the first"
    return [result("memory", value, "MB resident", ("limit", LIMIT_MB), conditions)]


def manufactured(remote: RemoteService, service: RunningService, count: int) -> list[WireDevice]:
    """Devices made by the factory route and claimed into one group."""
    remote.management.call("PUT", CATALOG, {"location": "Global"})
    remote.management.call("PUT", f"{CATALOG}/products/Bench", {"properties": {}})
    remote.management.call("POST", f"{CATALOG}/products/Bench/generateDefaultDeviceGroups")

    def enrol(request: str) -> FactoryReply:
        return factory_reply(remote.post("/factory/devices", {"csr": request, "chip": "mt3620"}))

    port = int(str(service.ready["device_endpoint"]).rpartition(":")[2])
    devices = [WireDevice.make(secrets.token_bytes(32), enrol, port=port) for _ in range(count)]
    group = f"{CATALOG}/products/Bench/deviceGroups/Production/claimDevices"
    ids = [device.device_id for device in devices]
    for start in range(0, count, CLAIM_BATCH):
        remote.management.call("POST", group, {"deviceIdentifiers": ids[start : start + CLAIM_BATCH]})
    return devices


def factory_reply(made: dict[str, object]) -> FactoryReply:
    """The factory route's JSON as the value the simulated device takes."""

    def der(pem: str) -> bytes:
        return load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)

    document = json.loads(json.dumps(made))
    return FactoryReply(
        device_id=document["device_id"],
        certificate_chain=tuple(map(der, document["identity_certificate"])),
        service_root=der(document["service_root"]),
        trusted_os_certificates=tuple(map(der, document["trusted_os_certificates"])),
        trusted_image_certificates=tuple(map(der, document["trusted_image_certificates"])),
        os_version=document["os_version"],
        boot_packages={part["name"]: base64.b64decode(part["package"]) for part in document["boot_components"]},
        endpoint=document["device_endpoint"],
        service_name=document["service_name"],
    )


def connected(device: WireDevice, service: RunningService, root_pem: str) -> ssl.SSLSocket:
    """Attest the device, then open its hub connection, subscribe and publish once."""
    reply = device.check_in()
    device.disconnect()
    context = ssl.create_default_context(cadata=root_pem)
    key = device.client_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    leaf = ssl.DER_cert_to_PEM_cert(reply.certificate_chain[0])  # as devices do: daa/certificate.pem
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_bytes(key + leaf.encode())
        context.load_cert_chain(path)
    plain = socket.create_connection(("127.0.0.1", int(str(service.ready["hub_port"]))), timeout=TIMEOUT_S)
    connection = context.wrap_socket(plain, server_hostname=str(service.ready["hub_host"]))
    user = f"{service.ready['hub_host']}/{device.device_id}/?api-version=2021-04-12"
    connection.sendall(mqtt.encode_packet(Connect(client_id=device.device_id, username=user)))
    expect(connection, PacketType.CONNACK)
    topic = f"devices/{device.device_id}/messages/events/"
    connection.sendall(mqtt.encode_packet(Publish(topic=topic, payload=b'{"temperature": 21.5}', qos=1, packet_id=1)))
    expect(connection, PacketType.PUBACK)
    return connection


def expect(connection: ssl.SSLSocket, kind: int) -> None:
    """Read one small packet and make sure of its type."""
    first = connection.recv(64)
    if not first or first[0] >> 4 != int(kind):
        raise RuntimeError(f"expected packet type {kind}, got {first.hex()}")
