# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.mqtt import packet as mqtt
from armillary.wire.mqtt.codec import check_topic_filter, encode_packet
from armillary.wire.mqtt.fields import MAX_REMAINING_LENGTH, Property, encode_string, encode_varint
from armillary.wire.mqtt.reasons import CODES_OF_PACKET, ReasonCode
from armillary.wire.mqtt.stream import MAX_CONNECT_BYTES, MAX_PACKET_BYTES, PacketDecoder, iterate_packets, iterate_run

# Literal packets from MQTT 3.1.1 §3 and from real clients.
CONNECT = bytes.fromhex("10 10 0004 4d515454 04 02 003c 0004 64657631")
PUBLISH = bytes.fromhex("32 0a 0003 612f62 0007 313233")
SUBSCRIBE = bytes.fromhex("82 08 0001 0003 612f62 01")

LITERALS = [
    (CONNECT, mqtt.Connect(client_id="dev1", keepalive_s=60)),
    (bytes.fromhex("20 02 01 00"), mqtt.Connack(reason=0, session_present=True)),
    (PUBLISH, mqtt.Publish(topic="a/b", payload=b"123", qos=1, packet_id=7)),
    (
        bytes.fromhex("3d 07 0001 61 0001 0000"),
        mqtt.Publish(topic="a", payload=b"\0\0", qos=2, packet_id=1, duplicate=True, retain=True),
    ),
    (bytes.fromhex("40 02 0007"), mqtt.Acknowledgement(type=mqtt.PacketType.PUBACK, packet_id=7)),
    (bytes.fromhex("62 02 0007"), mqtt.Acknowledgement(type=mqtt.PacketType.PUBREL, packet_id=7)),
    (SUBSCRIBE, mqtt.Subscribe(packet_id=1, subscriptions=(mqtt.Subscription("a/b", 1),))),
    (bytes.fromhex("90 04 0001 01 80"), mqtt.Suback(packet_id=1, reasons=(1, 0x80))),
    (bytes.fromhex("c0 00"), mqtt.Pingreq()),
    (bytes.fromhex("e0 00"), mqtt.Disconnect()),
]


def decode(data: bytes, level: int | None = 4) -> object:
    decoder = PacketDecoder(level=level)
    decoder.feed(data)
    packet = decoder.next()
    assert decoder.buffered == 0
    return packet


@pytest.mark.parametrize(("data", "packet"), LITERALS, ids=lambda each: type(each).__name__)
def test_literal_packets(data: bytes, packet: object) -> None:
    level = None if isinstance(packet, mqtt.Connect) else 4
    assert decode(data, level) == packet
    assert encode_packet(packet) == data  # type: ignore[arg-type]


def test_connect_with_everything() -> None:
    packet = mqtt.Connect(
        client_id="d",
        clean_start=False,
        username="h/d/?api-version=2019-10-01",
        password=b"\0\xff",
        will=mqtt.Will(topic="w", payload=b"gone", qos=1, retain=True),
    )
    data = encode_packet(packet)
    assert data[9] == 0xC0 | 0x20 | 0x08 | 0x04
    assert decode(data, None) == packet
    assert "xff" not in repr(packet)


def test_mqtt_5_packets() -> None:
    connect = mqtt.Connect(client_id="d", level=5, properties=((Property.SESSION_EXPIRY_INTERVAL, 60),))
    assert decode(encode_packet(connect), None) == connect
    puback = mqtt.Acknowledgement(type=mqtt.PacketType.PUBACK, packet_id=1, reason=0x97)
    assert encode_packet(puback, level=5) == bytes.fromhex("40 04 0001 97 00")
    assert decode(bytes.fromhex("40 03 0001 97"), 5) == puback  # properties may be left out (§3.4.2.2.1)
    assert decode(bytes.fromhex("e0 00"), 5) == mqtt.Disconnect()


def test_the_level_is_learnt_from_connect() -> None:
    decoder = PacketDecoder()
    decoder.feed(
        encode_packet(mqtt.Connect(client_id="d", level=5)) + encode_packet(mqtt.Disconnect(reason=4), level=5)
    )
    decoder.next()
    assert decoder.level == 5
    assert decoder.next() == mqtt.Disconnect(reason=4)


REFUSED = {
    "packet type 0": ("00 00", "packet type"),
    "AUTH on 3.1.1": ("f0 00", "AUTH"),
    "reserved flags of PINGREQ": ("c1 00", "flags"),
    "reserved flags of SUBSCRIBE": ("80 08 0001 0003 612f62 01", "flags"),
    "QoS 3": ("36 07 0001 61 0001 0000", "QoS 0 to 2"),
    "DUP with QoS 0": ("38 03 0001 61", "DUP"),
    "empty topic": ("30 02 0000", "topic name"),
    "wildcard + in a topic": ("30 03 0001 2b", "without"),
    "wildcard # in a topic": ("30 03 0001 23", "without"),
    "packet identifier 0": ("32 05 0001 61 0000", "identifier above 0"),
    "topic longer than the packet": ("30 03 0005 61", "5 bytes of topic name"),
    "U+0000 in a topic": ("30 03 0001 00", "without U"),
    "surrogate in a topic": ("30 05 0003 eda080", "UTF-8"),
    "overlong UTF-8 in a topic": ("30 04 0002 c0af", "UTF-8"),
    "padded remaining length": ("c0 80 00", "shortest"),
    "five-byte remaining length": ("30 80 80 80 80 01", "at most 4 bytes"),
    "bytes after PINGREQ": ("c0 01 00", "end of PINGREQ"),
    "SUBSCRIBE without filters": ("82 02 0001", "length of topic filter"),
    "SUBSCRIBE with QoS 3": ("82 06 0001 0001 61 03", "options"),
    "SUBSCRIBE with reserved options": ("82 06 0001 0001 61 04", "options"),
    "filter a#": ("82 07 0001 0002 6123 00", "filter"),
    "filter #/a": ("82 08 0001 0003 232f61 00", "filter"),
    "PUBACK too long": ("40 03 0001 00", "end of PUBACK"),
    "second protocol name": ("10 12 0006 4d5149736470 03 02 003c 0004 64657631", "MQTT"),
    "reserved connect flag": ("10 10 0004 4d515454 04 03 003c 0004 64657631", "connect flags"),
    "will QoS without will": ("10 10 0004 4d515454 04 0a 003c 0004 64657631", "connect flags"),
    "password without user name": ("10 16 0004 4d515454 04 42 003c 0004 64657631 0004 64657631", "connect flags"),
    "CONNECT cut short": ("10 0c 0004 4d515454 04 02 003c 0004", "bytes"),
}


@pytest.mark.parametrize(("data", "expected"), REFUSED.values(), ids=REFUSED)
def test_refused(data: str, expected: str) -> None:
    raw = bytes.fromhex(data)
    with pytest.raises(WireError, match=expected):
        decode(raw, None if raw[0] == 0x10 else 4)


REFUSED_5 = {
    "unknown property": ("30 06 0001 61 02 7f00", "table 2-4"),
    "property of another packet": ("30 07 0001 61 03 210001", "publish may carry"),
    "property twice": ("30 08 0001 61 04 01000100", "twice"),
    "boolean of 2": ("30 06 0001 61 02 0102", "0 or 1"),
    "topic alias 0": ("30 07 0001 61 03 230000", "above 0"),
    "properties longer than the packet": ("30 04 0001 61 09", "9 bytes of properties"),
    "cut property": ("30 05 0001 61 01 02", "bytes"),
}


@pytest.mark.parametrize(("data", "expected"), REFUSED_5.values(), ids=REFUSED_5)
def test_refused_on_level_5(data: str, expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        decode(bytes.fromhex(data), 5)


def test_unknown_protocol_level_has_its_own_code() -> None:
    with pytest.raises(WireError) as refused:
        decode(CONNECT[:8] + b"\x03" + CONNECT[9:], None)
    assert refused.value.code == "wire.mqtt-level"


@pytest.mark.parametrize("level", [4, None])
def test_packets_over_the_limit_are_refused_from_their_header(level: int | None) -> None:
    limit = MAX_CONNECT_BYTES if level is None else MAX_PACKET_BYTES
    decoder = PacketDecoder(level=level)
    decoder.feed(b"\x30" + encode_varint(limit))
    with pytest.raises(WireError, match=f"at most {limit} bytes") as refused:
        decoder.next()
    assert refused.value.code == "wire.mqtt-too-large"


def test_strings_and_lengths_that_cannot_be_written() -> None:
    for text in ("\0", "\ud800", "x" * 65_536):
        with pytest.raises(WireError):
            encode_string(text)
    for value in (-1, MAX_REMAINING_LENGTH + 1):
        with pytest.raises(WireError):
            encode_varint(value)
    with pytest.raises(WireError):
        encode_packet(mqtt.Publish(topic="a/#", payload=b""))


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/+/b", "a/#", "/", "$iothub/twin/res/#"])
def test_topic_filters(topic_filter: str) -> None:
    assert check_topic_filter(topic_filter) == topic_filter


def publish(topic: str = "t/", payload: bytes = b"{}", qos: int = 1, packet_id: int = 5) -> bytes:
    return encode_packet(mqtt.Publish(topic=topic, payload=payload, qos=qos, packet_id=packet_id if qos else None))


def test_a_run_is_one_piece_of_the_input_with_its_pubacks() -> None:
    stream = publish(packet_id=1) + publish(qos=0) + publish("t/k=v", b"x" * 300, packet_id=0x1234) + SUBSCRIBE
    decoder = PacketDecoder(level=4)
    decoder.feed(stream)
    run = decoder.take_run(lambda topic: topic.startswith("t/"))
    assert run is not None
    assert (run.count, run.data) == (3, stream[: -len(SUBSCRIBE)])
    assert run.acknowledgements == bytes.fromhex("40020001 40021234")
    assert decoder.take_run(lambda _: True) is None
    assert isinstance(decoder.next(), mqtt.Subscribe)
    read = list(iterate_run(run.data, 0, len(run.data), level=4))
    assert [(topic, len(payload)) for topic, payload, _ in read] == [("t/", 2), ("t/", 2), ("t/k=v", 300)]


def test_a_run_ends_before_what_is_not_accepted_not_whole_or_not_right() -> None:
    good = publish()
    for rest in (publish("other"), publish()[:-1], publish(qos=2), good.replace(b"\0\5", b"\0\0"), b"\xc0\x00"):
        decoder = PacketDecoder(level=4)
        decoder.feed(good + rest)
        run = decoder.take_run(lambda topic: topic == "t/")
        assert run is not None
        assert (run.data, run.count) == (good, 1)
        assert decoder.buffered == len(rest)


def test_a_damaged_run_is_an_error_when_read_back() -> None:
    good = publish()
    for data in (good[:-1], SUBSCRIBE, b"\x32\xff\xff\xff\xff"):
        with pytest.raises(WireError):
            list(iterate_run(data, 0, len(data), level=4))
        with pytest.raises(WireError):
            list(iterate_packets(data))


def test_tiny_pieces_of_a_large_packet_are_gathered() -> None:
    data = publish(payload=b"x" * 100_000)
    decoder = PacketDecoder(level=4)
    for start in range(0, len(data), 7):
        assert decoder.next() is None
        decoder.feed(data[start : start + 7])
    assert mqtt.type_of(decoder.next()) is mqtt.PacketType.PUBLISH  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(CODES_OF_PACKET))
def test_a_reason_code_of_another_packet_is_refused(kind: mqtt.PacketType) -> None:
    """Every code of table 2-6 in every packet that has one: taken where its table has it, refused elsewhere."""
    before, after = {
        mqtt.PacketType.CONNACK: (b"\0", b"\0"),
        mqtt.PacketType.SUBACK: (b"\0\1\0", b""),
        mqtt.PacketType.UNSUBACK: (b"\0\1\0", b""),
        mqtt.PacketType.DISCONNECT: (b"", b"\0"),
        mqtt.PacketType.AUTH: (b"", b"\0"),
    }.get(kind, (b"\0\1", b"\0"))
    flags = 2 if kind is mqtt.PacketType.PUBREL else 0
    for code in range(256):
        body = before + bytes((code,)) + after
        data = bytes((kind << 4 | flags, len(body))) + body
        if code in CODES_OF_PACKET[kind]:
            assert code in set(ReasonCode)
            assert encode_packet(decode(data, 5), level=5)  # type: ignore[arg-type]
        else:
            with pytest.raises(WireError) as refused:
                decode(data, 5)
            assert refused.value.code == "wire.mqtt-order"


def test_every_reason_code_is_of_some_packet() -> None:
    used = frozenset().union(*CODES_OF_PACKET.values())
    assert set(ReasonCode) - used == set()
