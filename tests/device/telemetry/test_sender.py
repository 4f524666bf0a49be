# SPDX-License-Identifier: Apache-2.0
"""The device's own way to a real hub, over real TLS: on demand, again after a failure, and giving way to others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.waiting import until
from tests.hub.running_hub import DEVICE, Authority, RunningHub

from armillary.device.network.proxy import Proxy, no_proxy
from armillary.device.state.journal import Journal
from armillary.device.telemetry.sender import Sender
from armillary.device.telemetry.waiting import Message
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Acknowledgement, Connack, Connect, PacketType, Publish
from armillary.wire.mqtt.stream import PacketDecoder

pytestmark = pytest.mark.anyio
ONE = uuid.UUID(int=1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    folder = tmp_path_factory.mktemp("hub")
    authority_folder = tmp_path_factory.mktemp("authority")
    running = RunningHub(folder, Authority(authority_folder))
    yield running
    running.close()


class Scene:
    """A sender, and what its device says."""

    def __init__(self, hub: RunningHub, folder: Path) -> None:
        self.running = hub
        self.folder = folder
        self.entries: list[dict[str, Any]] = []
        self.journal = Journal(None, lambda: 0)
        self.journal.listen(self.entries.append)
        self.address: tuple[str, int] | None = ("localhost", hub.port)

    def certify(self, file: Path) -> None:
        """Give the device the certificate in a file."""
        for name in ("certificate.pem", "key.pem"):
            (self.folder / name).write_bytes(file.read_bytes())
        (self.folder / "ca.pem").write_text(self.running.authority.trusted)

    @contextlib.asynccontextmanager
    async def sender(self, device_id: str = DEVICE, **changed: Any) -> AsyncIterator[Sender]:
        times = {"linger_s": 30.0, "retry_s": (0.05, 0.1), "give_way_s": 0.2, "find_proxy": no_proxy, **changed}
        find_proxy = times.pop("find_proxy")
        async with Sender(device_id, lambda: self.address, self.folder, find_proxy, self.journal, **times) as sender:
            yield sender

    def values(self, device_id: str = DEVICE) -> dict[str, object]:
        return {each.metric: each.value for each in self.running.hub.series.last_values(device_id)}


@pytest.fixture
def scene(hub: RunningHub, tmp_path: Path) -> Scene:
    made = Scene(hub, tmp_path)
    made.certify(hub.authority.device(DEVICE))
    return made


def reading(name: str, value: float, component_id: uuid.UUID = ONE) -> Message:
    return Message(component_id, (("$.ct", "application/json"), ("$.ce", "utf-8")), f'{{"{name}": {value}}}'.encode())


async def test_what_waits_is_sent_over_one_connection(scene: Scene) -> None:
    before = scene.running.hub.counters()["connections_accepted"]
    async with scene.sender() as sender:
        for number in range(40):
            sender.send(reading("many", number))
        await until(lambda: sender.counts(ONE)["sent"] == 40, "the hub has all of them")
        sender.send(reading("late", 1))
        await until(lambda: scene.values().get("late") == 1, "the same connection is used")
        assert scene.values()["many"] == 39
        assert scene.running.hub.counters()["connections_accepted"] == before + 1
        assert sender.refusal == ""
    await until(lambda: DEVICE not in scene.running.hub.connected(), "it ends with the device's run")


async def test_the_connection_is_closed_when_nothing_more_comes(scene: Scene) -> None:
    async with scene.sender(linger_s=0.1) as sender:
        sender.send(reading("once", 1))
        await until(lambda: sender.counts(ONE)["sent"] == 1, "it is sent")
        await until(lambda: DEVICE not in scene.running.hub.connected(), "and the connection closed")
        sender.send(reading("twice", 2))
        await until(lambda: scene.values().get("twice") == 2, "it is opened again")
    assert scene.entries == []


async def test_without_certificate_or_hub_messages_wait(scene: Scene) -> None:
    scene.address = None
    async with scene.sender() as sender:
        sender.send(reading("patient", 5))
        await until(lambda: sender.refusal != "", "it is said")
        assert sender.counts(ONE)["waiting"] == 1
        scene.address = ("localhost", scene.running.port)
        await until(lambda: scene.values().get("patient") == 5, "it is sent then")
    assert [each["event"] for each in scene.entries] == ["telemetry-not-sent"]
    assert scene.entries[0]["reason"] == "the device has no certificate for the hub yet"


async def test_a_hub_that_is_not_the_services_gets_nothing(scene: Scene, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (scene.folder / "ca.pem").write_text(Authority(other).trusted)
    async with scene.sender() as sender:
        sender.send(reading("secret", 5))
        await until(lambda: "certificate verify failed" in sender.refusal, "it is refused")
        assert sender.counts(ONE) == {"waiting": 1, "sent": 0, "dropped": 0}
    assert "secret" not in scene.values()


async def test_a_device_that_the_hub_refuses_keeps_trying(scene: Scene) -> None:
    scene.running.revoked.add(DEVICE)
    try:
        async with scene.sender() as sender:
            sender.send(reading("pardoned", 5))
            await until(lambda: "refuses the device" in sender.refusal, "it is refused")
            scene.running.revoked.clear()
            await until(lambda: scene.values().get("pardoned") == 5, "it is let in again")
    finally:
        scene.running.revoked.clear()


async def test_it_gives_way_to_an_application_that_connects_itself(scene: Scene) -> None:
    async with scene.sender(give_way_s=3600.0, retry_s=(0.0, 0.0)) as sender:
        sender.send(reading("first", 1))
        await until(lambda: sender.counts(ONE)["sent"] == 1, "it is sent")
        client = (await asyncio.to_thread(scene.running.client)).ready()
        await until(lambda: sender.refusal == "the hub ended the connection", "it was put out")
        sender.send(reading("second", 1))
        for number in range(20):  # each a way to the hub's disk and back: more time than to connect again at once
            await asyncio.to_thread(client.telemetry, {"own": number})
        assert sender.counts(ONE)["waiting"] == 1
        assert not client.lost
        client.close()
    assert scene.entries == [], "nothing waited when it was put out"


async def test_what_waited_for_another_owner_is_dropped(scene: Scene) -> None:
    scene.address = None
    async with scene.sender() as sender:
        sender.send(reading("private", 1))
        await until(lambda: sender.refusal != "", "it waits")
        scene.address = ("localhost", 1)  # nobody there; the certificate is looked at
        await until(lambda: "certificate" not in sender.refusal, "it tries to connect")
        scene.certify(scene.running.authority.untrusted())  # the same device, by another issuer
        await until(lambda: sender.counts(ONE)["dropped"] == 1, "it is dropped")
    assert any(each["event"] == "telemetry-dropped" and each["count"] == 1 for each in scene.entries)


class ForgetfulHub:
    """Lets in, takes two messages, acknowledges the second alone and ends the connection; the next time, all."""

    def __init__(self) -> None:
        self.taken: list[list[bytes]] = []

    @contextlib.asynccontextmanager
    async def serving(self, authority: Authority) -> AsyncIterator[int]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority.folder / "server.pem")
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies: list[bytes] = []
        self.taken.append(bodies)
        forgets = len(self.taken) == 1
        decoder = PacketDecoder()
        while data := await reader.read(65536):
            decoder.feed(data)
            while (packet := decoder.next()) is not None:
                if isinstance(packet, Connect):
                    writer.write(encode_packet(Connack(reason=0)))
                elif isinstance(packet, Publish):
                    bodies.append(packet.payload)
                    if len(bodies) == 2 or not forgets:
                        assert packet.packet_id is not None
                        writer.write(encode_packet(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id)))
            if forgets and len(bodies) == 2:
                break
        writer.close()


async def test_what_the_hub_did_not_acknowledge_is_sent_again_and_nothing_else(scene: Scene) -> None:
    forgetful = ForgetfulHub()
    async with forgetful.serving(scene.running.authority) as port, scene.sender() as sender:
        scene.address = ("localhost", port)
        one, two = reading("one", 1), reading("two", 2)
        sender.send(one)
        sender.send(two)
        await until(lambda: sender.counts(ONE) == {"waiting": 0, "sent": 2, "dropped": 0}, "the hub has both")
    assert forgetful.taken == [[one.body, two.body], [one.body]]
    assert [each["event"] for each in scene.entries] == ["telemetry-not-sent"]


class OneProxy:
    """A proxy that takes CONNECT; notes what it was asked, and answers as it is told."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.asked: list[bytes] = []
        self._answer = answer

    @contextlib.asynccontextmanager
    async def serving(self, target: tuple[str, int]) -> AsyncIterator[Callable[[], Proxy]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self._answer)
            if b" 200 " in self._answer:
                far_reader, far_writer = await asyncio.open_connection(*target)
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield lambda: Proxy(host="127.0.0.1", port=port, username="ada", password="p")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_it_goes_through_the_devices_proxy(scene: Scene) -> None:
    proxy = OneProxy()
    async with proxy.serving(("127.0.0.1", scene.running.port)) as find, scene.sender(find_proxy=find) as sender:
        sender.send(reading("through", 7))
        await until(lambda: scene.values().get("through") == 7, "it is sent")
    head = proxy.asked[0].split(b"\r\n")
    assert head[0] == f"CONNECT localhost:{scene.running.port} HTTP/1.1".encode()
    assert b"Proxy-Authorization: Basic YWRhOnA=" in head


async def test_a_proxy_that_refuses_is_named_without_its_words(scene: Scene) -> None:
    proxy = OneProxy(b"HTTP/1.1 407 come closer\r\n\r\n")
    async with proxy.serving(("127.0.0.1", 1)) as find, scene.sender(find_proxy=find) as sender:
        sender.send(reading("never", 7))
        await until(lambda: sender.refusal != "", "it is said")
        assert sender.refusal == "the proxy refuses to connect to the hub (407)"
