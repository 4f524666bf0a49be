# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket on the hub's own port: who may open one, what may come in it, and what an attacker tries."""

from __future__ import annotations

import base64
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hub.broker.running_broker import RunningBroker
from tests.hub.running_hub import DEVICE, OTHER, Authority, RunningHub, wait_until
from tests.hub.wire_client import device_context

from armillary.hub.link import websocket
from armillary.hub.link.limits import MAX_WEBSOCKET_MESSAGE_BYTES
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Connack, Connect, Packet, Pingreq, Pingresp, Publish, Will
from armillary.wire.mqtt.stream import MAX_CONNECT_BYTES, PacketDecoder

EVENTS = f"devices/{DEVICE}/messages/events/"
BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10


class RawWebSocket:
    """A client that writes its frames itself."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), 10)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.port = port
        self.context = context
        self.received = b""
        self.decoder = PacketDecoder(level=4)

    def upgrade(self, path: str = "/$iothub/websocket", *, most: int | None = None, **headers: str) -> bytes:
        """Send the request, or its first ``most`` bytes; the status line of the answer."""
        fields = {
            "Host": f"localhost:{self.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "mqtt",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value), "", ""]
        self.socket.sendall("\r\n".join(lines).encode()[:most])
        while b"\r\n\r\n" not in self.received:
            data = self.socket.recv(65536)
            if not data:
                break
            self.received += data
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        return head.split(b"\r\n")[0]

    def frame(self, payload: bytes, opcode: int = BINARY, *, final: bool = True) -> None:
        mask = os.urandom(4)
        length = len(payload)
        if length < 126:
            size = bytes((0x80 | length,))
        else:
            size = b"\xfe" + length.to_bytes(2, "big") if length < 65536 else b"\xff" + length.to_bytes(8, "big")
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(bytes((final << 7 | opcode,)) + size + mask + masked)

    def next_frame(self) -> tuple[int, bytes] | None:
        while len(self.received) < 2 or len(self.received) < 2 + self.received[1]:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.received += data
        assert self.received[1] < 126, "the tests' answers are short"
        opcode, end = self.received[0] & 15, 2 + self.received[1]
        payload, self.received = self.received[2:end], self.received[end:]
        return opcode, payload

    def packet(self) -> Packet:
        while (found := self.decoder.next()) is None:
            got = self.next_frame()
            assert got is not None, "closed"
            assert got[0] == BINARY
            self.decoder.feed(got[1])
        return found

    def closed_with(self) -> int:
        """The code of the close frame that ends the connection."""
        while (got := self.next_frame()) is not None:
            if got[0] == CLOSE:
                return int.from_bytes(got[1][:2], "big")
        return 0


@pytest.fixture
def device(running: RunningHub, authority: Authority) -> Iterator[RawWebSocket]:
    made = RawWebSocket(running.port, device_context(authority))
    yield made
    made.socket.close()


@pytest.mark.parametrize("path", ["/$iothub/websocket", "/mqtt", "/$iothub/websocket?iothub-no-client-cert=true"])
def test_a_device_connects_by_its_certificate_and_is_acknowledged(
    device: RawWebSocket, running: RunningHub, path: str
) -> None:
    assert b"101" in device.upgrade(path)
    assert "Sec-WebSocket-Protocol: mqtt" in device.head
    device.frame(encode_packet(Connect(client_id=DEVICE)))
    assert device.packet() == Connack(reason=0)
    packets = b"".join(
        encode_packet(Publish(topic=EVENTS, payload=b'{"n":%d}' % n, qos=1, packet_id=n)) for n in range(1, 4)
    )
    device.frame(packets[:20], BINARY, final=False)  # packets and frames need not agree
    device.frame(b"", PING)
    device.frame(packets[20:], 0)
    assert device.next_frame() == (PONG, b"")
    got = b""
    while len(got) < 12:
        frame = device.next_frame()
        assert frame is not None
        got += frame[1]
    assert got == b"\x40\x02\0\1\x40\x02\0\2\x40\x02\0\3"
    assert len(running.hub.series.messages(DEVICE, 9)) == 3


def test_another_devices_id_is_refused_and_the_socket_closed(device: RawWebSocket) -> None:
    assert b"101" in device.upgrade()
    device.frame(encode_packet(Connect(client_id=OTHER)))
    assert device.packet() == Connack(reason=2)
    assert device.closed_with() == 1000


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/", {}, b"404", id="path"),
        pytest.param("/mqtt", {"Sec_WebSocket_Protocol": "amqp"}, b"400", id="subprotocol"),
        pytest.param("/mqtt", {"Sec_WebSocket_Protocol": ""}, b"400", id="no-subprotocol"),
        pytest.param("/mqtt", {"Sec_WebSocket_Version": "8"}, b"400", id="version"),
        pytest.param("/mqtt", {"Upgrade": ""}, b"426", id="no-upgrade"),
        pytest.param("/mqtt", {"Origin": "https://elsewhere.example"}, b"403", id="another-site"),
        pytest.param("/mqtt", {"Origin": "http://["}, b"403", id="no-site"),
        pytest.param("/mqtt", {"Origin": "null"}, b"403", id="no-origin"),
        pytest.param("//[", {}, b"404", id="no-path"),
        pytest.param("/mqtt", {"Cookie": "x" * 9000}, b"431", id="long-header"),
    ],
)
def test_requests_that_are_refused(device: RawWebSocket, path: str, headers: Any, status: bytes) -> None:
    assert status in device.upgrade(path, **headers)
    assert device.closed_with() == 0


def test_a_request_of_many_headers_is_not_kept(device: RawWebSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"101" in device.upgrade(**{f"X_{n}": "x" * 1000 for n in range(10)})
    few, many = ({f"X_{n}": "x" * 4000 for n in range(count)} for count in (1, 30))
    taken = websocket.MAX_OPENING_BYTES
    for limit, headers, most, status in (
        (taken, few, None, b"101"),
        (taken, many, taken + 1, b"431"),  # no more: who is still sending may be cut off before the answer is read
        (2**20, many, None, b"101"),  # the control: nothing else is in its way
    ):
        monkeypatch.setattr(websocket, "MAX_OPENING_BYTES", limit)
        another = RawWebSocket(device.port, device.context)
        assert status in another.upgrade(most=most, **headers)
        another.socket.close()


def test_a_page_of_this_host_may_connect(device: RawWebSocket) -> None:
    assert b"101" in device.upgrade(Origin=f"https://localhost:{device.port}")


def test_without_certificate_there_is_no_connection(running: RunningHub, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.folder / "root.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        assert RawWebSocket(running.port, context).upgrade()
    assert running.hub.connected() == frozenset()


@pytest.mark.parametrize(
    ("payload", "opcode", "code"),
    [
        (b"text", TEXT, 1003),
        (bytes(MAX_CONNECT_BYTES + 1), BINARY, 1009),  # before anybody is known, as without WebSocket
        (b"x", 3, 1002),  # a reserved opcode
        (b"x" * 126, PING, 1002),  # control frames are short
    ],
    ids=["text", "too-large", "reserved", "long-ping"],
)
def test_frames_that_end_the_connection(device: RawWebSocket, payload: bytes, opcode: int, code: int) -> None:
    assert b"101" in device.upgrade()
    device.frame(payload, opcode)
    assert device.closed_with() == code


def test_an_unmasked_frame_ends_the_connection(device: RawWebSocket) -> None:
    assert b"101" in device.upgrade()
    device.socket.sendall(b"\x82\x02\xc0\x00")
    assert device.closed_with() == 1002


def test_malformed_mqtt_in_a_good_frame_ends_the_connection(device: RawWebSocket, running: RunningHub) -> None:
    assert b"101" in device.upgrade()
    device.frame(encode_packet(Connect(client_id=DEVICE)))
    device.packet()
    device.frame(b"\x30\x05\0\3a/+")
    assert device.closed_with() == 1000
    assert running.hub.counters()["protocol_violations"] == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_inside_websocket_is_nothing(device: RawWebSocket, running: RunningHub, method: str) -> None:
    assert b"101" in device.upgrade()
    device.frame(f"{method} /devices/{DEVICE}/files HTTP/1.1\r\n\r\n".encode())
    assert device.closed_with() == 1000
    assert running.hub.counters()["protocol_violations"] == 1


def test_a_connected_device_may_send_messages_of_full_size(device: RawWebSocket, running: RunningHub) -> None:
    assert b"101" in device.upgrade()
    device.frame(encode_packet(Connect(client_id=DEVICE)))
    device.packet()
    device.frame(encode_packet(Publish(topic=EVENTS, payload=b" " * 250_000 + b"{}", qos=1, packet_id=1)))
    assert device.next_frame() == (BINARY, b"\x40\x02\0\1")
    device.socket.sendall(b"\x82\xff" + (MAX_WEBSOCKET_MESSAGE_BYTES + 1).to_bytes(8, "big") + bytes(4))
    assert device.closed_with() == 1009
    wait_until(lambda: not running.hub.connected(), "it is gone")


def test_a_client_that_leaves_without_mqtt_disconnect_leaves_its_will(
    device: RawWebSocket, running: RunningHub
) -> None:
    assert b"101" in device.upgrade()
    device.frame(encode_packet(Connect(client_id=DEVICE, will=Will(topic=EVENTS, payload=b'{"lost":1}', qos=1))))
    device.packet()
    device.frame((1000).to_bytes(2, "big"), CLOSE)
    assert device.closed_with() == 1000
    wait_until(lambda: running.hub.series.last_values(DEVICE), "the will")


def test_the_broker_speaks_websocket_too() -> None:
    broker = RunningBroker()
    client = RawWebSocket(broker.port)
    assert b"101" in client.upgrade("/mqtt")
    client.frame(encode_packet(Connect(client_id="a")) + encode_packet(Pingreq()))
    assert [client.packet() for _ in range(2)] == [Connack(reason=0), Pingresp()]
    client.socket.close()
    broker.close()
