# SPDX-License-Identifier: Apache-2.0
"""MQTT: any bytes are packets or a WireError, in whatever pieces they come; what is accepted survives re-encoding."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire.mqtt import packet as mqtt
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.stream import PacketDecoder, iterate_run

TOPIC = "devices/a/messages/events/"


def seeds() -> list[bytes]:
    """The first byte chooses level and piece size; the rest is the stream."""
    properties = ((Property.USER_PROPERTY, ("k", "v")), (Property.CONTENT_TYPE, "application/json"))
    packets: list[mqtt.Packet] = [
        mqtt.Connect(
            client_id="a",
            username="h/a/?api-version=1",
            password=b"p",
            will=mqtt.Will(topic=TOPIC, payload=b"w", qos=1),
        ),
        mqtt.Publish(topic=TOPIC, payload=b'{"t":1}', qos=1, packet_id=1),
        mqtt.Publish(topic=TOPIC, payload=b'{"t":2}'),
        mqtt.Subscribe(packet_id=2, subscriptions=(mqtt.Subscription("$iothub/twin/res/#", 1),)),
        mqtt.Unsubscribe(packet_id=3, filters=("a/+/b",)),
        mqtt.Acknowledgement(type=mqtt.PacketType.PUBACK, packet_id=4),
        mqtt.Connack(reason=0, session_present=True),
        mqtt.Suback(packet_id=2, reasons=(1, 128)),
        mqtt.Unsuback(packet_id=3),
        mqtt.Pingreq(),
        mqtt.Disconnect(),
    ]
    modern: list[mqtt.Packet] = [
        mqtt.Connect(client_id="a", level=5, properties=((Property.SESSION_EXPIRY_INTERVAL, 9),)),
        mqtt.Publish(topic=TOPIC, payload=b"x", qos=1, packet_id=1, properties=properties),
        mqtt.Acknowledgement(type=mqtt.PacketType.PUBACK, packet_id=4, reason=0x97),
        mqtt.Disconnect(reason=4, properties=((Property.REASON_STRING, "why"),)),
        mqtt.Auth(reason=0x18, properties=((Property.AUTHENTICATION_METHOD, "m"),)),
    ]
    streams = [
        b"".join(encode_packet(each) for each in packets),
        b"".join(encode_packet(each, level=5) for each in modern),
    ]
    streams += [encode_packet(each) for each in packets]
    return [bytes((head,)) + stream for stream in streams for head in (0x04, 0x15, 0xF4, 0x05)]


def fuzz(data: bytes) -> None:
    head, stream = (data[0], data[1:]) if data else (0, b"")
    level = 5 if head & 1 else 4
    decoder = PacketDecoder(level=level, max_packet_bytes=4096)
    piece = (head >> 4) + 1
    for start in range(0, len(stream), piece):
        decoder.feed(stream[start : start + piece])
        try:
            while not take(decoder, level):
                pass
        except WireError:
            return


def take(decoder: PacketDecoder, level: int) -> bool:
    """Take one run or packet; True when there is none."""
    run = decoder.take_run(lambda topic: topic == TOPIC)
    if run is not None:
        assert len(list(iterate_run(run.data, 0, len(run.data), level=level))) == run.count
        assert len(run.acknowledgements) % 4 == 0
        return False
    packet = decoder.next()
    if packet is None:
        return True
    again = PacketDecoder(level=None if isinstance(packet, mqtt.Connect) else level)
    again.feed(encode_packet(packet, level=packet.level if isinstance(packet, mqtt.Connect) else level))
    assert again.next() == packet
    assert again.buffered == 0
    return False
