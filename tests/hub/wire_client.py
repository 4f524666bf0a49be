# SPDX-License-Identifier: Apache-2.0
"""An MQTT connection on which every packet is written by hand."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from tests.hub.running_hub import DEVICE, Authority

from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import LEVEL_5, Connack, Connect, Disconnect, Packet
from armillary.wire.mqtt.stream import PacketDecoder


def device_context(authority: Authority, device_id: str = DEVICE) -> ssl.SSLContext:
    """TLS as a device does it, with its certificate."""
    context = ssl.create_default_context(cafile=str(authority.folder / "root.pem"))
    context.load_cert_chain(authority.device(device_id))
    return context


class WireClient:
    """A connection to loopback, over TLS when there is a context."""

    def __init__(
        self,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        level: int = LEVEL_5,
        client_id: str = "client",
        source: str = "127.0.0.1",
    ) -> None:
        self.level = level
        self.client_id = client_id
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.decoder = PacketDecoder(level=level)

    def send(self, *packets: Packet) -> None:
        self.socket.sendall(b"".join(encode_packet(each, level=self.level) for each in packets))

    def receive(self) -> Packet | None:
        """The next packet; None when the other side has closed."""
        while (packet := self.decoder.next()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.decoder.feed(data)
        return packet

    def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return self.receive() is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)

    def connect(self, *properties: Any, client_id: str | None = None, **options: Any) -> Connack:
        name = self.client_id if client_id is None else client_id
        self.send(Connect(client_id=name, level=self.level, properties=tuple(properties), **options))
        packet = self.receive()
        assert isinstance(packet, Connack), packet
        return packet

    def ended_with(self) -> int:
        """The reason code of the server's DISCONNECT, which must be followed by the end."""
        packet = self.receive()
        assert isinstance(packet, Disconnect), packet
        assert self.receive() is None
        return packet.reason

    def close(self) -> None:
        self.socket.close()
