# SPDX-License-Identifier: Apache-2.0
"""One connection of the device to the hub, for as long as something is to be sent: MQTT 3.1.1 over TLS.

It shows the device's 24-hour certificate, as applications with DeviceAuthentication do, and trusts the service's root
alone. It subscribes to nothing: twins, methods and messages are for applications that connect themselves.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from armillary.device.network.proxy import FindProxy, host_to_connect
from armillary.device.telemetry.waiting import Message
from armillary.wire.hub.topics import telemetry_topic
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Acknowledgement, Connack, Connect, Disconnect, Packet, Publish
from armillary.wire.mqtt.stream import PacketDecoder

API_VERSION: Final = "2021-04-12"
CONNECT_TIMEOUT_S: Final = 10.0  # for each of connecting, the handshake and the hub's first answer
ANSWER_TIMEOUT_S: Final = 30.0  # until the hub has acknowledged what was sent: it has written it to its disk by then
ANSWER_LIMIT_BYTES: Final = 4096  # acknowledgements have four bytes
_ESTABLISHED: Final = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9] ")


class HubLink:
    """An open connection."""

    def __init__(self, device_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._device_id = device_id
        self._reader = reader
        self._writer = writer
        self._decoder = PacketDecoder(max_packet_bytes=ANSWER_LIMIT_BYTES)
        self.unacknowledged: list[Message] = []  # of the last call of send

    async def send(self, messages: Sequence[Message]) -> None:
        """Publish messages and wait until the hub has all of them.

        Raises:
            ConnectionError, TimeoutError, WireError: it has not; ``unacknowledged`` says which.
        """
        self.unacknowledged = list(messages)
        sent = dict(enumerate(messages, start=1))
        for number, message in sent.items():
            topic = telemetry_topic(self._device_id, message.properties)
            self._writer.write(encode_packet(Publish(topic=topic, payload=message.body, qos=1, packet_id=number)))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._writer.drain()
            while sent:
                packet = await self._next()
                if isinstance(packet, Acknowledgement) and (done := sent.pop(packet.packet_id, None)) is not None:
                    self.unacknowledged.remove(done)

    async def ended(self) -> None:
        """Wait until the hub ends the connection; it sends nothing meanwhile that is of interest."""
        with contextlib.suppress(OSError):
            while await self._reader.read(ANSWER_LIMIT_BYTES):
                pass

    async def begin(self, host: str) -> None:
        """Say who this is, to the hub of this name, and be let in.

        Raises:
            PermissionError: the hub refuses.
        """
        user = f"{host}/{self._device_id}/?api-version={API_VERSION}"
        self._writer.write(encode_packet(Connect(client_id=self._device_id, username=user)))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            answer = await self._next()
        if not isinstance(answer, Connack) or answer.reason:
            raise PermissionError(f"the hub refuses the device ({getattr(answer, 'reason', 'no CONNACK')})")

    async def close(self) -> None:
        """Say goodbye and end the connection."""
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write(encode_packet(Disconnect()))
            self._writer.close()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._writer.wait_closed()

    async def _next(self) -> Packet:
        while (packet := self._decoder.next()) is None:
            data = await self._reader.read(ANSWER_LIMIT_BYTES)
            if not data:
                raise ConnectionResetError("the hub ended the connection")
            self._decoder.feed(data)
        return packet


@asynccontextmanager
async def open_link(
    device_id: str, hub: tuple[str, int], authentication: Path, find_proxy: FindProxy
) -> AsyncGenerator[HubLink]:
    """A connection to the ``hub`` with the certificate in the folder ``authentication``.

    Raises:
        OSError, TimeoutError: it cannot be reached, or refuses (ssl.SSLError is an OSError).
    """
    context = await asyncio.to_thread(_context, authentication)
    proxy = find_proxy()
    if proxy is not None and proxy.takes(hub[0]):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(await host_to_connect(proxy), proxy.port)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await _tunnel(reader, writer, hub, proxy.username, proxy.password)
                await writer.start_tls(context, server_hostname=hub[0])
        except BaseException:  # cancelled included: nothing of an attempt stays open
            writer.transport.abort()
            raise
    else:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*hub, ssl=context)
    link = HubLink(device_id, reader, writer)
    try:
        await link.begin(hub[0])
        yield link
    finally:
        await link.close()


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hub: tuple[str, int], username: str, password: str
) -> None:
    """Have a proxy connect to the hub (RFC 9110 §9.3.6); its own words are left out: nobody vouches for them."""
    host = f"[{hub[0]}]" if ":" in hub[0] else hub[0]
    request = f"CONNECT {host}:{hub[1]} HTTP/1.1\r\nHost: {host}:{hub[1]}\r\n"
    if username:
        request += f"Proxy-Authorization: Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}\r\n"
    writer.write(f"{request}\r\n".encode())
    answer = await _head(reader)
    if not _ESTABLISHED.match(answer):
        raise ConnectionRefusedError(
            f"the proxy refuses to connect to the hub ({answer[9:12].decode('ascii', 'replace')})"
        )


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionRefusedError("the proxy gives no answer of HTTP") from error
