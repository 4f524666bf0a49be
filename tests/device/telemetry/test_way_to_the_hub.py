# SPDX-License-Identifier: Apache-2.0
"""Readings of a device process go to its service's hub: as the device, through its proxy, until the device ends."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device.interface.asking import Client
from tests.device.rig import Rig
from tests.device.telemetry.test_sender import OneProxy
from tests.device.tiny_service import TinyService, pem
from tests.fixtures.certificates import private_pem
from tests.fixtures.waiting import until

from armillary.device.process import Device
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash
from armillary.wire.certificates import certificate
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Acknowledgement, Connack, Connect, PacketType, Publish
from armillary.wire.mqtt.stream import PacketDecoder

HUB = "hub.test"  # as the small service's replies say
pytestmark = pytest.mark.anyio


class ServicesHub:
    """Lets in whom the service's catalog has certified, and acknowledges everything."""

    def __init__(self, service: TinyService, name: str = HUB) -> None:
        self.device_ids: list[str] = []
        self.bodies: list[bytes] = []
        self.open = 0
        key = ec.generate_private_key(ec.SECP256R1())
        shown = certificate.build_server_certificate(
            service.root,
            service.root_key,
            key.public_key(),
            hosts=[name],
            serial=secrets.randbits(64),
            **service.life,
        )
        self._context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cadata=pem(service.root) + pem(service.catalog)
        )
        self._context.verify_mode = ssl.CERT_REQUIRED
        with tempfile.NamedTemporaryFile() as file:
            file.write(private_pem(key) + pem(shown).encode())
            file.flush()
            self._context.load_cert_chain(file.name)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context) as server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = PacketDecoder()
        self.open += 1
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                decoder.feed(data)
                while (packet := decoder.next()) is not None:
                    self._answer(packet, writer)
        self.open -= 1
        writer.close()

    def _answer(self, packet: Any, writer: asyncio.StreamWriter) -> None:
        if isinstance(packet, Connect):
            self.device_ids.append(packet.client_id)
            writer.write(encode_packet(Connack(reason=0)))
        elif isinstance(packet, Publish):
            self.bodies.append(packet.payload)
            assert packet.packet_id is not None
            writer.write(encode_packet(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id)))


def tell_proxy(rig: Rig, port: int) -> None:
    """A proxy for everything but the service itself, which is at 127.0.0.1."""
    way = {"enabled": True, "address": "localhost", "port": port, "noProxyAddresses": ["127.0.0.1"]}
    flash = FileFlash(DeviceFolder(rig.folder).flash)
    NetworkConfiguration(flash).set_proxy({**way, "authenticationType": "anonymous"})


async def running_application(rig: Rig) -> Client:
    """Start the device; one of its applications, which may speak for it, connects to it."""
    rig.service.deploy(rig.service.application(DeviceAuthentication=str(rig.service.catalog_id)))
    await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the application runs")
    return Client(rig.sandbox.runs[-1].launch.interface)


async def test_an_application_of_a_device_process_reaches_the_hub_that_the_service_named(rig: Rig) -> None:
    hub, proxy = ServicesHub(rig.service), OneProxy()
    async with hub.serving() as port, proxy.serving(("127.0.0.1", port)) as find:
        tell_proxy(rig, find().port)
        client = await running_application(rig)
        assert "waiting" in await client.ask("telemetry.send", values={"t": 21.5})
        await until(lambda: hub.bodies, "the hub has the reading")
        assert hub.bodies == [b'{"t":21.5}']
        assert rig.device is not None
        assert hub.device_ids == [rig.device.device_id]
        assert proxy.asked[0].startswith(f"CONNECT {HUB}:{rig.service.hub_port} ".encode())
        assert hub.open == 1
        client.close()
        await rig.stop()
        await until(lambda: hub.open == 0, "the connection ends with the device")


@pytest.mark.parametrize("through_proxy", [True, False])
async def test_another_server_of_the_same_service_gets_no_reading(rig: Rig, through_proxy: bool) -> None:
    """The service's root has signed its certificate as it has the hub's; the name in it is another."""
    other, proxy = ServicesHub(rig.service, "other.test"), OneProxy()
    async with other.serving() as port, proxy.serving(("127.0.0.1", port)) as find:
        if through_proxy:
            tell_proxy(rig, find().port)
        else:
            rig.service.hub_host, rig.service.hub_port = "localhost", port
        client = await running_application(rig)
        await client.ask("telemetry.send", values={"secret": 1})
        await until(lambda: rig.events("telemetry-not-sent") or other.device_ids, "it has tried")
        assert other.device_ids == []
        assert "is not valid for" in rig.events("telemetry-not-sent")[0]["reason"]
        counts = await client.ask("telemetry.status")
        assert (counts["waiting"], counts["sent"]) == (1, 0)
        client.close()


async def test_readings_take_the_proxy_of_the_device(rig: Rig) -> None:
    sender = Device(rig.folder, sandbox=rig.sandbox)._telemetry(cast("Any", SimpleNamespace(hub=None)))
    assert sender._find_proxy() is None
    kept = NetworkConfiguration(FileFlash(rig.folder / "flash"))
    way = {"enabled": True, "address": "proxy.example", "port": 3128, "noProxyAddresses": []}
    kept.set_proxy({**way, "authenticationType": "anonymous"})
    assert kept.proxy_in_use() is not None
    assert sender._find_proxy() == kept.proxy_in_use()
