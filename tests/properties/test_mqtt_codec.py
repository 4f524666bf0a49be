# SPDX-License-Identifier: Apache-2.0
"""MQTT: every packet survives encode and decode in any pieces; runs agree with packets."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.wire.hub.topics import encode_bag, parse_bag, parse_topic, telemetry_topic
from armillary.wire.mqtt import packet as mqtt
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import PROPERTY_RULES, Kind, Properties, Property, PropertyValue
from armillary.wire.mqtt.reasons import CODES_OF_PACKET
from armillary.wire.mqtt.stream import PacketDecoder, iterate_packets, iterate_run

text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=("Cs",)), min_size=1, max_size=20)
filters = st.sampled_from(["#", "+", "a/+/b", "a/#", "$iothub/twin/res/#"]) | topics
identifiers = st.integers(1, 65535)


def codes_of(kind: mqtt.PacketType) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted(CODES_OF_PACKET[kind]))


VALUES: dict[Kind, st.SearchStrategy[PropertyValue]] = {
    Kind.BOOLEAN: st.integers(0, 1),
    Kind.U16: st.integers(0, 2**16 - 1),
    Kind.U16_POSITIVE: st.integers(1, 2**16 - 1),
    Kind.U32: st.integers(0, 2**32 - 1),
    Kind.U32_POSITIVE: st.integers(1, 2**32 - 1),
    Kind.VARINT_POSITIVE: st.integers(1, 268_435_455),
    Kind.STRING: text,
    Kind.BINARY: st.binary(max_size=20),
    Kind.PAIR: st.tuples(text, text),
}


def value_of(key: Property) -> st.SearchStrategy[PropertyValue]:
    return topics if key is Property.RESPONSE_TOPIC else VALUES[PROPERTY_RULES[key].kind]


def properties(packet: str, level: int) -> st.SearchStrategy[Properties]:
    if level < 5:
        return st.just(())
    allowed = [key for key, rule in PROPERTY_RULES.items() if packet in rule.packets]

    def with_values(keys: list[Property]) -> st.SearchStrategy[Properties]:
        return st.tuples(*(st.tuples(st.just(key), value_of(key)) for key in keys))

    return st.lists(st.sampled_from(allowed), unique=True, max_size=4).flatmap(with_values)


def packets(level: int) -> st.SearchStrategy[mqtt.Packet]:
    def of(name: str) -> st.SearchStrategy[Properties]:
        return properties(name, level)

    wills = st.builds(
        mqtt.Will,
        topic=topics,
        payload=st.binary(max_size=9),
        qos=st.integers(0, 2),
        retain=st.booleans(),
        properties=of("will"),
    )
    credentials = st.tuples(st.none() | text, st.none() | st.binary(max_size=9)).filter(
        lambda pair: level == 5 or pair[0] is not None or pair[1] is None
    )
    publishes = st.tuples(st.integers(0, 2), identifiers, st.booleans(), of("publish")).flatmap(
        lambda t: st.builds(
            mqtt.Publish,
            topic=topics | st.just("") if any(key is Property.TOPIC_ALIAS for key, _ in t[3]) else topics,
            payload=st.binary(max_size=300),
            qos=st.just(t[0]),
            packet_id=st.just(t[1] if t[0] else None),
            duplicate=st.just(bool(t[0]) and t[2]),
            retain=st.booleans(),
            properties=st.just(t[3]),
        )
    )
    connects = credentials.flatmap(
        lambda pair: st.builds(
            mqtt.Connect,
            client_id=text,
            level=st.just(level),
            clean_start=st.booleans(),
            keepalive_s=st.integers(0, 65535),
            username=st.just(pair[0]),
            password=st.just(pair[1]),
            will=st.none() | wills,
            properties=of("connect"),
        )
    )
    options = st.integers(0, 2) if level < 5 else st.sampled_from([0, 1, 2, 0x0C, 0x2D])
    subscriptions = st.lists(st.builds(mqtt.Subscription, filters, options), min_size=1, max_size=4).map(tuple)
    kinds = st.sampled_from(
        [mqtt.PacketType.PUBACK, mqtt.PacketType.PUBREC, mqtt.PacketType.PUBREL, mqtt.PacketType.PUBCOMP]
    )
    zero = st.just(0)
    choices: list[st.SearchStrategy[mqtt.Packet]] = [
        connects,
        st.builds(
            mqtt.Connack,
            reason=codes_of(mqtt.PacketType.CONNACK) if level == 5 else st.integers(0, 5),
            properties=of("connack"),
        ),
        publishes,
        kinds.flatmap(
            lambda kind: st.builds(
                mqtt.Acknowledgement,
                type=st.just(kind),
                packet_id=identifiers,
                reason=codes_of(kind) if level == 5 else zero,
                properties=of(kind.name.lower()),
            )
        ),
        st.builds(mqtt.Subscribe, packet_id=identifiers, subscriptions=subscriptions, properties=of("subscribe")),
        st.builds(
            mqtt.Suback,
            packet_id=identifiers,
            reasons=st.lists(
                codes_of(mqtt.PacketType.SUBACK) if level == 5 else st.sampled_from([0, 1, 2, 0x80]),
                min_size=1,
                max_size=4,
            ).map(tuple),
            properties=of("suback"),
        ),
        st.builds(
            mqtt.Unsubscribe,
            packet_id=identifiers,
            filters=st.lists(filters, min_size=1, max_size=4).map(tuple),
            properties=of("unsubscribe"),
        ),
        st.builds(
            mqtt.Unsuback,
            packet_id=identifiers,
            reasons=st.lists(codes_of(mqtt.PacketType.UNSUBACK), max_size=3).map(tuple) if level == 5 else st.just(()),
            properties=of("unsuback"),
        ),
        st.builds(mqtt.Pingreq),
        st.builds(mqtt.Pingresp),
        st.builds(
            mqtt.Disconnect,
            reason=codes_of(mqtt.PacketType.DISCONNECT) if level == 5 else zero,
            properties=of("disconnect"),
        ),
    ]
    if level == 5:
        choices.append(st.builds(mqtt.Auth, reason=codes_of(mqtt.PacketType.AUTH), properties=of("auth")))
    return st.one_of(choices)


# MQTT's level, and what is sent at it.
streams = st.sampled_from([4, 5]).flatmap(lambda level: st.tuples(st.just(level), st.lists(packets(level), max_size=6)))


@settings(max_examples=examples(200), deadline=None)
@given(
    streams,
    st.integers(1, 40),
)
def test_packets_survive_encode_and_decode_in_any_pieces(
    given_packets: tuple[int, list[mqtt.Packet]], piece: int
) -> None:
    level, sent = given_packets
    stream = b"".join(encode_packet(packet, level=level) for packet in sent)
    decoder = PacketDecoder(level=level)
    received = []
    for start in range(0, len(stream), piece):
        decoder.feed(stream[start : start + piece])
        while (packet := decoder.next()) is not None:
            received.append(packet)
    assert received == sent
    assert decoder.buffered == 0


@settings(max_examples=examples(150), deadline=None)
@given(
    streams,
    st.integers(1, 400),
)
def test_runs_hold_exactly_the_publishes_that_packets_would_show(
    given_packets: tuple[int, list[mqtt.Packet]], piece: int
) -> None:
    level, sent = given_packets
    stream = b"".join(encode_packet(packet, level=level) for packet in sent)
    decoder = PacketDecoder(level=level)
    received: list[tuple[str, bytes]] = []
    acknowledged: list[int] = []
    for start in range(0, len(stream), piece):
        decoder.feed(stream[start : start + piece])
        while True:
            run = decoder.take_run(lambda _: True)
            if run is not None:
                read = list(iterate_run(run.data, 0, len(run.data), level=level))
                assert len(read) == run.count
                packets = list(iterate_packets(run.data))
                assert [topic for topic, _, _ in packets] == [topic for topic, _, _ in read]
                assert b"".join(run.data[begin:end] for _, begin, end in packets) == run.data
                received += [(topic, payload) for topic, payload, _ in read]
                acknowledged += [
                    int.from_bytes(run.acknowledgements[i + 2 : i + 4], "big")
                    for i in range(0, len(run.acknowledgements), 4)
                ]
                continue
            packet = decoder.next()
            if packet is None:
                break
            assert not isinstance(packet, mqtt.Publish) or packet.qos == 2 or has_alias(packet)
    expected = [each for each in sent if isinstance(each, mqtt.Publish) and each.qos < 2 and not has_alias(each)]
    assert received == [(packet.topic, packet.payload) for packet in expected]
    assert acknowledged == [packet.packet_id for packet in expected if packet.qos]


def has_alias(packet: mqtt.Publish) -> bool:
    return any(key is Property.TOPIC_ALIAS for key, _ in packet.properties)


bags = st.dictionaries(text.filter(bool), text, max_size=6).map(lambda each: tuple(each.items()))


@settings(max_examples=examples(150), deadline=None)
@given(bags)
def test_property_bags_survive(bag: tuple[tuple[str, str], ...]) -> None:
    assert parse_bag(encode_bag(bag)) == bag
    topic = parse_topic(telemetry_topic("d", bag), "d")
    assert topic.properties == bag  # type: ignore[union-attr]
