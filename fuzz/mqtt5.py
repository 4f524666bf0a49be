# SPDX-License-Identifier: Apache-2.0
"""MQTT 5: every property in every packet that may carry it; what is accepted is written back the same."""

from __future__ import annotations

import dataclasses

from armillary.errors import WireError
from armillary.wire.mqtt import packet as mqtt
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import PROPERTY_RULES, Kind, Properties, Property, PropertyValue
from armillary.wire.mqtt.reasons import CODES_OF_PACKET
from armillary.wire.mqtt.stream import MAX_CONNECT_BYTES, PacketDecoder

VALUES: dict[Kind, PropertyValue] = {
    Kind.BOOLEAN: 1,
    Kind.U16: 0xFFFF,
    Kind.U16_POSITIVE: 1,
    Kind.U32: 0xFFFFFFFF,
    Kind.U32_POSITIVE: 1,
    Kind.VARINT_POSITIVE: 268_435_455,
    Kind.STRING: "é",
    Kind.BINARY: b"\0\xff",
    Kind.PAIR: ("k", ""),
}


def every(packet: str) -> Properties:
    """Each property that a packet may carry, once."""
    return tuple((key, VALUES[rule.kind]) for key, rule in PROPERTY_RULES.items() if packet in rule.packets)


def seeds() -> list[bytes]:
    """One packet each."""
    will = mqtt.Will(topic="w", payload=b"gone", qos=2, retain=True, properties=every("will"))
    packets: list[mqtt.Packet] = [
        mqtt.Connect(
            client_id="c", level=mqtt.LEVEL_5, username="u", password=b"p", will=will, properties=every("connect")
        ),
        mqtt.Connack(reason=0, session_present=True, properties=every("connack")),
        mqtt.Publish(topic="", payload=b"x", qos=2, packet_id=1, properties=every("publish")),
        mqtt.Publish(topic="a/b", payload=b"", properties=((Property.USER_PROPERTY, ("k", "1")),) * 3),
        mqtt.Subscribe(
            packet_id=1,
            subscriptions=(mqtt.Subscription("$share/g/+/#", 2), mqtt.Subscription("a", 0x2D)),
            properties=every("subscribe"),
        ),
        mqtt.Suback(packet_id=1, reasons=(0, 0x9E), properties=every("suback")),
        mqtt.Unsubscribe(packet_id=1, filters=("a", "$share/g/#"), properties=every("unsubscribe")),
        mqtt.Unsuback(packet_id=1, reasons=(0, 0x11), properties=every("unsuback")),
        mqtt.Disconnect(reason=0x8E, properties=every("disconnect")),
        mqtt.Auth(reason=0x19, properties=every("auth")),
    ]
    for kind in (mqtt.PacketType.PUBACK, mqtt.PacketType.PUBREC, mqtt.PacketType.PUBREL, mqtt.PacketType.PUBCOMP):
        packets.append(
            mqtt.Acknowledgement(
                type=kind, packet_id=9, reason=max(CODES_OF_PACKET[kind]), properties=every(kind.name.lower())
            )
        )
        packets.append(mqtt.Acknowledgement(type=kind, packet_id=9))
    return [encode_packet(each, level=mqtt.LEVEL_5) for each in packets]


def fuzz(data: bytes) -> None:
    decoder = PacketDecoder(level=mqtt.LEVEL_5, max_packet_bytes=MAX_CONNECT_BYTES)
    decoder.feed(data)
    try:
        while (packet := decoder.next()) is not None:
            _same_again(packet)
    except WireError:
        return


def _same_again(packet: mqtt.Packet) -> None:
    level = packet.level if isinstance(packet, mqtt.Connect) else mqtt.LEVEL_5
    again = PacketDecoder(level=level)
    again.feed(encode_packet(packet, level=level))
    assert again.next() == packet
    assert again.buffered == 0
    if isinstance(packet, mqtt.Publish) and not packet.topic:
        assert any(key is Property.TOPIC_ALIAS for key, _ in packet.properties)
        try:
            encode_packet(dataclasses.replace(packet, properties=()), level=mqtt.LEVEL_5)
        except WireError:
            return
        raise AssertionError("an empty topic without alias was written")
