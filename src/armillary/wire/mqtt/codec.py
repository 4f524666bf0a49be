# SPDX-License-Identifier: Apache-2.0
"""MQTT control packets as values, both directions, protocol levels 4 (3.1.1) and 5 (5.0). No I/O.

Sources: MQTT 3.1.1 (OASIS 2014) §2, §3; MQTT 5.0 (OASIS 2019) §2, §3. One packet::

    1   packet type (high 4 bits), flags (low 4 bits)      §2.2.1, §2.2.2: reserved flags are checked
    1-4 remaining length, variable byte integer             §2.2.3
    n   body

``wire/mqtt/stream.py`` cuts a byte stream into packets; ``wire/mqtt/session.py`` says which packet may come
when. Garbage is either a packet or :class:`~armillary.errors.WireError`, never another error.
"""

from __future__ import annotations

from collections.abc import Callable

from armillary.errors import WireError
from armillary.wire.mqtt.fields import (
    CODE_PROTOCOL,
    FORMAT,
    MAX_REMAINING_LENGTH,
    FieldReader,
    Properties,
    Property,
    encode_binary,
    encode_properties,
    encode_string,
    encode_varint,
)
from armillary.wire.mqtt.packet import (
    LEVEL_3_1_1,
    LEVEL_5,
    Acknowledgement,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from armillary.wire.mqtt.reasons import CODES_OF_PACKET

# Topic filters in one SUBSCRIBE: IoT Hub clients send one to five; AWS allows 8. More is an attack on memory.
MAX_FILTERS = 32


# §2.2.2 table 2.2: the low four bits of the first byte, where they are fixed (PUBLISH has its own meaning for them).
_FIXED_FLAGS: dict[PacketType, int] = dict.fromkeys(PacketType, 0) | {
    PacketType.PUBREL: 2,
    PacketType.SUBSCRIBE: 2,
    PacketType.UNSUBSCRIBE: 2,
}


def decode_packet(data: bytes, start: int, body: int, end: int, *, level: int) -> Packet:
    """Decode the packet at ``start`` of ``data``; its body begins at ``body`` and ends before ``end``.

    ``level`` is 4 or 5, as the connection's CONNECT said. Raises WireError with the offset.
    """
    first = data[start]
    reader = FieldReader(data, start, end)
    try:
        kind = PacketType(first >> 4)
    except ValueError:
        raise reader.fail("a packet type of 1 to 15", "0") from None
    if kind is PacketType.AUTH and level < LEVEL_5:
        raise reader.fail("a packet type of MQTT 3.1.1", "AUTH")
    flags = first & 0x0F
    if kind is not PacketType.PUBLISH and flags != _FIXED_FLAGS[kind]:
        raise reader.fail(f"flags {_FIXED_FLAGS[kind]:#x} in {kind.name}", f"{flags:#x}")
    reader.at = body
    packet = _DECODE[kind](reader, kind, flags, level)
    reader.finish(kind.name)
    return packet


def check_topic_name(topic: str) -> str:
    """A topic to publish to: not empty, no wildcard (§4.7.1, §4.7.3)."""
    if not topic or "+" in topic or "#" in topic:
        raise WireError(FORMAT, expected="a topic name without + and #", got=ascii(topic[:64]))
    return topic


def check_topic_filter(topic_filter: str) -> str:
    """A topic filter: + fills a level, # the last one (§4.7.1)."""
    levels = topic_filter.split("/")
    lone = all(("+" not in part or part == "+") and ("#" not in part or part == "#") for part in levels)
    if not topic_filter or not lone or "#" in levels[:-1]:
        raise WireError(
            FORMAT, expected="a topic filter with + and # alone in their level", got=ascii(topic_filter[:64])
        )
    return topic_filter


def _has_alias(properties: Properties) -> bool:
    """Whether an alias stands for the topic, which may then be empty (MQTT 5 §3.3.2.1)."""
    return any(key is Property.TOPIC_ALIAS for key, _ in properties)


def _packet_id(reader: FieldReader) -> int:
    packet_id = reader.u16("packet identifier")
    if not packet_id:
        reader.at -= 2
        raise reader.fail("a packet identifier above 0", "0")
    return packet_id


def _reason(reader: FieldReader, kind: PacketType) -> int:
    code = reader.u8("reason code")
    if code not in CODES_OF_PACKET[kind]:
        reader.at -= 1
        raise reader.fail(f"a reason code of {kind.name}", f"{code:#04x}", CODE_PROTOCOL)
    return code


def _reasons(reader: FieldReader, kind: PacketType) -> tuple[int, ...]:
    codes: list[int] = []
    while reader.at < reader.end:
        codes.append(_reason(reader, kind))
    return tuple(codes)


def _properties(reader: FieldReader, packet: str, level: int) -> Properties:
    return reader.properties(packet) if level >= LEVEL_5 else ()


def _decode_connect(reader: FieldReader, _kind: PacketType, _flags: int, _level: int) -> Connect:
    name = reader.string("protocol name")
    if name != "MQTT":
        raise reader.fail("protocol name MQTT", ascii(name)[:32])
    level = reader.u8("protocol level")
    if level not in (LEVEL_3_1_1, LEVEL_5):
        reader.at -= 1
        raise WireError(
            FORMAT,
            expected="protocol level 4 (3.1.1) or 5",
            got=str(level),
            offset=reader.at,
            remedy="Use an MQTT 3.1.1 or MQTT 5 client.",
            code="wire.mqtt-level",
        )
    flags = reader.u8("connect flags")
    will_qos = flags >> 3 & 3
    if flags & 1 or will_qos == 3 or (not flags & 4 and flags & 0x38) or (level < LEVEL_5 and flags & 0xC0 == 0x40):
        reader.at -= 1
        raise reader.fail("connect flags as in §3.1.2", f"{flags:#04x}")
    keepalive_s = reader.u16("keep alive")
    properties = _properties(reader, "connect", level)
    client_id = reader.string("client identifier")
    will = None
    if flags & 4:
        will_properties = _properties(reader, "will", level)
        topic = check_topic_name(reader.string("will topic"))
        will = Will(
            topic=topic,
            payload=reader.binary("will payload"),
            qos=will_qos,
            retain=bool(flags & 0x20),
            properties=will_properties,
        )
    return Connect(
        level=level,
        clean_start=bool(flags & 2),
        keepalive_s=keepalive_s,
        properties=properties,
        client_id=client_id,
        will=will,
        username=reader.string("user name") if flags & 0x80 else None,
        password=reader.binary("password") if flags & 0x40 else None,
    )


def _decode_connack(reader: FieldReader, _kind: PacketType, _flags: int, level: int) -> Connack:
    acknowledge = reader.u8("connect acknowledge flags")
    reason = _reason(reader, PacketType.CONNACK) if level >= LEVEL_5 else reader.u8("return code")
    if acknowledge > 1 or (acknowledge and reason):
        raise reader.fail("session present of 0, or 1 when accepted", f"{acknowledge:#04x}")
    return Connack(session_present=bool(acknowledge), reason=reason, properties=_properties(reader, "connack", level))


def _decode_publish(reader: FieldReader, _kind: PacketType, flags: int, level: int) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3 or (not qos and flags & 8):
        raise reader.fail("QoS 0 to 2, and DUP only above QoS 0", f"flags {flags:#x}")
    at = reader.at
    topic = reader.string("topic name")
    packet_id = _packet_id(reader) if qos else None
    properties = _properties(reader, "publish", level)
    if "+" in topic or "#" in topic or (not topic and not _has_alias(properties)):
        reader.at = at
        raise reader.fail("a topic name without + and #", ascii(topic[:64]))
    return Publish(
        topic=topic,
        payload=reader.rest(),
        qos=qos,
        packet_id=packet_id,
        duplicate=bool(flags & 8),
        retain=bool(flags & 1),
        properties=properties,
    )


def _decode_acknowledgement(reader: FieldReader, kind: PacketType, _flags: int, level: int) -> Acknowledgement:
    packet_id = _packet_id(reader)
    if level < LEVEL_5 or reader.at == reader.end:
        return Acknowledgement(type=kind, packet_id=packet_id)
    reason = _reason(reader, kind)
    properties = reader.properties(kind.name.lower()) if reader.at < reader.end else ()
    return Acknowledgement(type=kind, packet_id=packet_id, reason=reason, properties=properties)


def _decode_subscribe(reader: FieldReader, _kind: PacketType, _flags: int, level: int) -> Subscribe:
    packet_id = _packet_id(reader)
    properties = _properties(reader, "subscribe", level)
    subscriptions: list[Subscription] = []
    while reader.at < reader.end or not subscriptions:
        topic_filter = check_topic_filter(reader.string("topic filter"))
        options = reader.u8("subscription options")
        # 3.1.1: only QoS; 5: No Local, Retain As Published, Retain Handling 0 to 2 as well.
        if options & 3 == 3 or options & (0xFC if level < LEVEL_5 else 0xC0) or options & 0x30 == 0x30:
            reader.at -= 1
            raise reader.fail("subscription options as in §3.8.3", f"{options:#04x}")
        subscriptions.append(Subscription(topic_filter, options))
        if len(subscriptions) > MAX_FILTERS:
            raise reader.fail(f"at most {MAX_FILTERS} topic filters", "more")
    return Subscribe(packet_id=packet_id, subscriptions=tuple(subscriptions), properties=properties)


def _decode_suback(reader: FieldReader, _kind: PacketType, _flags: int, level: int) -> Suback:
    packet_id = _packet_id(reader)
    properties = _properties(reader, "suback", level)
    reasons = _reasons(reader, PacketType.SUBACK) if level >= LEVEL_5 else tuple(reader.rest())
    if not reasons:
        raise reader.fail("a reason for each filter", "none")
    return Suback(packet_id=packet_id, reasons=reasons, properties=properties)


def _decode_unsubscribe(reader: FieldReader, _kind: PacketType, _flags: int, level: int) -> Unsubscribe:
    packet_id = _packet_id(reader)
    properties = _properties(reader, "unsubscribe", level)
    filters: list[str] = []
    while reader.at < reader.end or not filters:
        filters.append(check_topic_filter(reader.string("topic filter")))
        if len(filters) > MAX_FILTERS:
            raise reader.fail(f"at most {MAX_FILTERS} topic filters", "more")
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters), properties=properties)


def _decode_unsuback(reader: FieldReader, _kind: PacketType, _flags: int, level: int) -> Unsuback:
    packet_id = _packet_id(reader)
    if level < LEVEL_5:
        return Unsuback(packet_id=packet_id)
    properties = reader.properties("unsuback")
    return Unsuback(packet_id=packet_id, reasons=_reasons(reader, PacketType.UNSUBACK), properties=properties)


def _decode_ending(reader: FieldReader, kind: PacketType, _flags: int, level: int) -> Disconnect | Auth:
    make = Disconnect if kind is PacketType.DISCONNECT else Auth
    if level < LEVEL_5 or reader.at == reader.end:
        return make()
    reason = _reason(reader, kind)
    return make(reason=reason, properties=reader.properties(kind.name.lower()) if reader.at < reader.end else ())


_DECODE: dict[PacketType, Callable[[FieldReader, PacketType, int, int], Packet]] = {
    PacketType.CONNECT: _decode_connect,
    PacketType.CONNACK: _decode_connack,
    PacketType.PUBLISH: _decode_publish,
    PacketType.PUBACK: _decode_acknowledgement,
    PacketType.PUBREC: _decode_acknowledgement,
    PacketType.PUBREL: _decode_acknowledgement,
    PacketType.PUBCOMP: _decode_acknowledgement,
    PacketType.SUBSCRIBE: _decode_subscribe,
    PacketType.SUBACK: _decode_suback,
    PacketType.UNSUBSCRIBE: _decode_unsubscribe,
    PacketType.UNSUBACK: _decode_unsuback,
    PacketType.PINGREQ: lambda *_: Pingreq(),
    PacketType.PINGRESP: lambda *_: Pingresp(),
    PacketType.DISCONNECT: _decode_ending,
    PacketType.AUTH: _decode_ending,
}


def encode_packet(packet: Packet, *, level: int = LEVEL_3_1_1) -> bytes:
    """Encode a packet for a connection of ``level`` (CONNECT has its own); raises WireError if a value does not fit."""
    kind, flags, body = _encode_body(packet, level)
    if len(body) > MAX_REMAINING_LENGTH:
        raise WireError(FORMAT, expected=f"at most {MAX_REMAINING_LENGTH} bytes", got=f"{len(body)} bytes")
    return bytes((kind << 4 | flags,)) + encode_varint(len(body)) + body


def _encode_body(packet: Packet, level: int) -> tuple[PacketType, int, bytes]:  # noqa: C901, PLR0911, PLR0912 - one case a packet
    listed = encode_properties(getattr(packet, "properties", ())) if level >= LEVEL_5 else b""
    match packet:
        case Connect():
            return PacketType.CONNECT, 0, _encode_connect(packet)
        case Connack():
            return PacketType.CONNACK, 0, bytes((packet.session_present, packet.reason)) + listed
        case Publish():
            flags = packet.duplicate << 3 | packet.qos << 1 | packet.retain
            identifier = (packet.packet_id or 0).to_bytes(2, "big") if packet.qos else b""
            aliased = not packet.topic and level >= LEVEL_5 and _has_alias(packet.properties)
            head = encode_string(packet.topic if aliased else check_topic_name(packet.topic)) + identifier + listed
            return PacketType.PUBLISH, flags, head + packet.payload
        case Acknowledgement():
            body = packet.packet_id.to_bytes(2, "big")
            if level >= LEVEL_5 and (packet.reason or packet.properties):
                body += bytes((packet.reason,)) + listed
            return packet.type, _FIXED_FLAGS[packet.type], body
        case Subscribe():
            filters = b"".join(encode_string(item.filter) + bytes((item.options,)) for item in packet.subscriptions)
            return PacketType.SUBSCRIBE, 2, packet.packet_id.to_bytes(2, "big") + listed + filters
        case Suback():
            return PacketType.SUBACK, 0, packet.packet_id.to_bytes(2, "big") + listed + bytes(packet.reasons)
        case Unsubscribe():
            filters = b"".join(encode_string(item) for item in packet.filters)
            return PacketType.UNSUBSCRIBE, 2, packet.packet_id.to_bytes(2, "big") + listed + filters
        case Unsuback():
            reasons = bytes(packet.reasons) if level >= LEVEL_5 else b""
            return PacketType.UNSUBACK, 0, packet.packet_id.to_bytes(2, "big") + listed + reasons
        case Pingreq():
            return PacketType.PINGREQ, 0, b""
        case Pingresp():
            return PacketType.PINGRESP, 0, b""
        case Disconnect() | Auth():
            kind = PacketType.DISCONNECT if isinstance(packet, Disconnect) else PacketType.AUTH
            body = b""
            if level >= LEVEL_5 and (packet.reason or packet.properties):
                body = bytes((packet.reason,)) + listed
            return kind, 0, body


def _encode_connect(packet: Connect) -> bytes:
    will = packet.will
    modern = packet.level >= LEVEL_5
    flags = packet.clean_start << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
    if will is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
    out = encode_string("MQTT") + bytes((packet.level, flags)) + packet.keepalive_s.to_bytes(2, "big")
    if modern:
        out += encode_properties(packet.properties)
    out += encode_string(packet.client_id)
    if will is not None:
        if modern:
            out += encode_properties(will.properties)
        out += encode_string(check_topic_name(will.topic)) + encode_binary(will.payload)
    if packet.username is not None:
        out += encode_string(packet.username)
    if packet.password is not None:
        out += encode_binary(packet.password)
    return out
