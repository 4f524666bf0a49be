# SPDX-License-Identifier: Apache-2.0
"""The general broker: any bytes from a client are answered or end its connection; what it sends is always MQTT."""

from __future__ import annotations

import asyncio
import atexit
import logging
from functools import cache

import structlog

from armillary.hub.broker.broker import MqttBroker
from armillary.hub.broker.connection import BrokerConnection
from armillary.hub.link.counters import Counters
from armillary.wire.hub.credentials import HubPeer
from armillary.wire.mqtt import packet
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.stream import PacketDecoder


class Recorder:
    """A transport that keeps what is sent, and refuses more once it is closed."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep it."""
        assert not self.closed
        self.sent += data

    def close(self) -> None:
        """Take no more."""
        self.closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        """Whether it takes no more."""
        return self.closed

    def pause_reading(self) -> None:
        """What comes is not held back here."""

    resume_reading = pause_reading

    def set_protocol(self, protocol: object) -> None:
        """For WebSocket: what comes is fed to the link itself here."""


def seeds() -> list[bytes]:
    """The first byte cuts the stream into pieces; the rest is what one client sends."""
    streams: list[bytes] = []
    for level in (4, 5):
        properties = ((Property.SESSION_EXPIRY_INTERVAL, 5), (Property.RECEIVE_MAXIMUM, 1)) if level == 5 else ()
        alias = ((Property.TOPIC_ALIAS, 1),) if level == 5 else ()
        packets: list[packet.Packet] = [
            packet.Connect(
                client_id="a", level=level, will=packet.Will(topic="w", payload=b"", qos=1), properties=properties
            ),
            packet.Subscribe(
                packet_id=1, subscriptions=(packet.Subscription("#", 2), packet.Subscription("$share/g/t", 1))
            ),
            packet.Publish(topic="t", payload=b"0", properties=alias),
            packet.Publish(topic="t", payload=b"1", qos=1, packet_id=1, retain=True),
            packet.Publish(topic="t", payload=b"2", qos=2, packet_id=2),
            packet.Acknowledgement(type=packet.PacketType.PUBREL, packet_id=2),
            packet.Acknowledgement(type=packet.PacketType.PUBACK, packet_id=1),
            packet.Acknowledgement(type=packet.PacketType.PUBREC, packet_id=2),
            packet.Acknowledgement(type=packet.PacketType.PUBCOMP, packet_id=2),
            packet.Unsubscribe(packet_id=3, filters=("#",)),
            packet.Pingreq(),
            packet.Disconnect(),
        ]
        streams.append(b"".join(encode_packet(each, level=level) for each in packets))
    return [bytes((piece,)) + stream for stream in streams for piece in (0, 7, 255)]


@cache
def _loop() -> tuple[asyncio.AbstractEventLoop, MqttBroker]:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    runner = asyncio.Runner()
    atexit.register(runner.close)  # it ends the broker's task as well

    async def make() -> MqttBroker:
        return MqttBroker(lambda _: HubPeer(""), Counters())

    return runner.get_loop(), runner.run(make())


def fuzz(data: bytes) -> None:
    loop, broker = _loop()
    loop.run_until_complete(_talk(broker, data))


async def _talk(broker: MqttBroker, data: bytes) -> None:
    connection, transport = BrokerConnection(broker), Recorder()
    connection.attached(transport)
    piece = data[0] + 1 if data else 1
    for start in range(1, len(data), piece):
        if transport.closed:
            break
        connection.data_received(data[start : start + piece])
    await asyncio.sleep(0)
    decoder = PacketDecoder(level=connection.level)
    decoder.feed(transport.sent)
    while decoder.next() is not None:
        pass
    assert decoder.buffered == 0, "half a packet was sent"
    transport.closed = True
    connection.connection_lost(None)
    assert broker.gauges()["broker_connections_now"] == 0
