# SPDX-License-Identifier: Apache-2.0
"""What MQTT 5 adds at the hub's front: properties, aliases, the session's end, and the codes of what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hub.running_hub import DEVICE, OTHER, Authority, RunningHub, wait_until
from tests.hub.wire_client import WireClient, device_context

from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import (
    LEVEL_5,
    Acknowledgement,
    Auth,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from armillary.wire.mqtt.stream import MAX_PACKET_BYTES

EVENTS = f"devices/{DEVICE}/messages/events/"
METHODS = "$iothub/methods/POST/#"
ANSWERS = "$iothub/twin/res/#"


class Wire(WireClient):
    """A device's TLS connection on which every packet is written by hand."""

    def __init__(self, port: int, authority: Authority, device_id: str = DEVICE) -> None:
        super().__init__(port, context=device_context(authority, device_id), client_id=device_id)


@pytest.fixture
def wire(running: RunningHub, authority: Authority) -> Iterator[Wire]:
    made = Wire(running.port, authority)
    yield made
    made.socket.close()


def publish(payload: bytes, *properties: Any, topic: str = EVENTS, packet_id: int = 1) -> Publish:
    return Publish(topic=topic, payload=payload, qos=1, packet_id=packet_id, properties=tuple(properties))


def test_connack_says_what_the_hub_does(wire: Wire) -> None:
    found = dict(wire.connect((Property.SESSION_EXPIRY_INTERVAL, 60)).properties)
    assert found[Property.MAXIMUM_QOS] == 1
    assert found[Property.MAXIMUM_PACKET_SIZE] == MAX_PACKET_BYTES
    assert found[Property.TOPIC_ALIAS_MAXIMUM] == 8
    assert found[Property.SESSION_EXPIRY_INTERVAL] == 0xFFFFFFFF
    assert found[Property.SHARED_SUBSCRIPTION_AVAILABLE] == 0
    assert Property.ASSIGNED_CLIENT_IDENTIFIER not in found


def test_a_client_without_id_gets_the_devices(wire: Wire, running: RunningHub) -> None:
    found = dict(wire.connect(client_id="").properties)
    assert found[Property.ASSIGNED_CLIENT_IDENTIFIER] == DEVICE
    assert running.hub.connected() == {DEVICE}


def test_user_properties_are_the_property_bag(wire: Wire, running: RunningHub) -> None:
    wire.connect()
    wire.send(
        publish(
            b'{"t":1}',
            (Property.CONTENT_TYPE, "application/json"),
            (Property.USER_PROPERTY, ("$.sub", "thermo")),
            (Property.USER_PROPERTY, ("iothub-creation-time-utc", "2026-01-02T03:04:05Z")),
            (Property.MESSAGE_EXPIRY_INTERVAL, 60),
        )
    )
    assert wire.receive() == Acknowledgement(type=PacketType.PUBACK, packet_id=1)
    last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the value")[0]
    assert (last.metric, last.at_ms) == ("thermo.t", 1767323045000)


def test_telemetry_by_alias_is_kept_like_any_other(wire: Wire, running: RunningHub) -> None:
    wire.connect()
    wire.send(publish(b'{"n":1}', (Property.TOPIC_ALIAS, 8)))
    wire.send(publish(b'{"n":2}', (Property.TOPIC_ALIAS, 8), topic="", packet_id=2))
    assert [wire.receive().packet_id for _ in range(2)] == [1, 2]  # type: ignore[union-attr]
    kept = [json.loads(each.payload)["n"] for each in running.hub.series.messages(DEVICE, 9)]
    assert sorted(kept) == [1, 2]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (publish(b"{}", (Property.TOPIC_ALIAS, 9)), 0x94),
        (publish(b"{}", (Property.TOPIC_ALIAS, 1), topic=""), 0x82),
        (publish(b"{}", (Property.TOPIC_ALIAS, 0)), 0x94),
    ],
    ids=["above-the-maximum", "without-a-topic", "zero"],
)
def test_an_alias_for_nothing_ends_the_connection(wire: Wire, packet: Publish, code: int) -> None:
    wire.connect()
    wire.send(packet)
    assert wire.ended_with() == code


def test_an_alias_for_another_devices_topic_ends_the_connection(wire: Wire, running: RunningHub) -> None:
    wire.connect()
    wire.send(publish(b"{}", (Property.TOPIC_ALIAS, 1), topic=f"devices/{OTHER}/messages/events/"))
    assert wire.ended_with() == 0x87
    assert running.hub.series.messages(OTHER, 9) == []


def test_a_method_call_says_where_to_answer(wire: Wire, running: RunningHub) -> None:
    wire.connect()
    wire.send(Subscribe(packet_id=1, subscriptions=(Subscription(METHODS, 1),)))
    assert isinstance(wire.receive(), Suback)
    call = running.start(running.hub.invoke_method(DEVICE, "blink", {"times": 3}))
    asked = wire.receive()
    assert isinstance(asked, Publish)
    found = dict(asked.properties)
    assert found[Property.CORRELATION_DATA] == asked.topic.rpartition("=")[2].encode()
    assert found[Property.CONTENT_TYPE] == "application/json"
    answer_to = found[Property.RESPONSE_TOPIC]
    assert isinstance(answer_to, str)
    wire.send(publish(b'{"done":true}', topic=answer_to))
    result = call.result(10)
    assert (result.status, result.payload) == (200, {"done": True})


def test_twin_answers_echo_correlation_data(wire: Wire) -> None:
    wire.connect()
    wire.send(Subscribe(packet_id=1, subscriptions=(Subscription(ANSWERS),)))
    assert isinstance(wire.receive(), Suback)
    correlation = (Property.CORRELATION_DATA, b"mine")
    for topic, status in (
        ("$iothub/twin/GET/?$rid=1", 200),
        ("$iothub/twin/PATCH/properties/reported/?$rid=1", 400),
    ):
        wire.send(Publish(topic=topic, payload=b"[", properties=(correlation,)))
        answer = wire.receive()
        assert isinstance(answer, Publish)
        assert answer.topic.startswith(f"$iothub/twin/res/{status}/")
        assert answer.properties == (correlation,)


def test_what_the_hub_does_not_have_is_refused_with_its_code(wire: Wire) -> None:
    wire.connect()
    shared = Subscription(f"$share/group/{ANSWERS}", 1)
    wire.send(Subscribe(packet_id=1, subscriptions=(shared, Subscription("#"), Subscription(ANSWERS, 2))))
    answer = wire.receive()
    assert isinstance(answer, Suback)
    assert answer.reasons == (0x9E, 0x8F, 1)
    wire.send(Unsubscribe(packet_id=2, filters=(ANSWERS, "#")))
    assert wire.receive() == Unsuback(packet_id=2, reasons=(0, 0x11))


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (Publish(topic=EVENTS, payload=b"", qos=2, packet_id=1), 0x9B),
        (Auth(reason=0x18, properties=((Property.AUTHENTICATION_METHOD, "m"),)), 0x82),
        (Acknowledgement(type=PacketType.PUBREL, packet_id=1), 0x82),
        (Connect(client_id=DEVICE, level=LEVEL_5), 0x82),
        (Publish(topic="a/b", payload=b""), 0x81),
        (
            Subscribe(
                packet_id=1,
                subscriptions=(Subscription(ANSWERS),),
                properties=((Property.SUBSCRIPTION_IDENTIFIER, 1),),
            ),
            0xA1,
        ),
    ],
    ids=["qos-2", "auth", "pubrel", "second-connect", "any-topic", "subscription-identifier"],
)
def test_what_may_not_come_ends_the_connection_with_its_code(wire: Wire, packet: Packet, code: int) -> None:
    wire.connect()
    wire.send(packet)
    assert wire.ended_with() == code


def test_a_packet_too_large_ends_the_connection_before_it_is_read(wire: Wire) -> None:
    wire.connect()
    wire.socket.sendall(b"\x32\xff\xff\xff\x7f")
    assert wire.ended_with() == 0x95


def test_an_authentication_method_is_refused(wire: Wire) -> None:
    assert wire.connect((Property.AUTHENTICATION_METHOD, "SCRAM")).reason == 0x8C
    assert wire.receive() is None


def test_another_devices_id_is_refused(wire: Wire) -> None:
    assert wire.connect(client_id=OTHER).reason == 0x85


def test_what_is_longer_than_the_device_takes_is_not_sent(wire: Wire, running: RunningHub) -> None:
    wire.connect((Property.MAXIMUM_PACKET_SIZE, 120))
    wire.send(Subscribe(packet_id=1, subscriptions=(Subscription(METHODS),)))
    assert isinstance(wire.receive(), Suback)
    too_long = running.start(running.hub.invoke_method(DEVICE, "long", "x" * 100, 0.3))
    assert too_long.exception(10) is not None
    running.start(running.hub.invoke_method(DEVICE, "m", None, 5))
    asked = wire.receive()
    assert isinstance(asked, Publish)
    assert asked.topic.startswith("$iothub/methods/POST/m/")


def test_a_session_is_kept_and_ends_when_the_device_says_so(running: RunningHub, authority: Authority) -> None:
    def connect(*, clean: bool = False, expiry: int = 60) -> tuple[Wire, bool]:
        made = Wire(running.port, authority)
        answer = made.connect((Property.SESSION_EXPIRY_INTERVAL, expiry), clean_start=clean)
        return made, answer.session_present

    first, present = connect(clean=True)
    assert not present
    first.send(Subscribe(packet_id=1, subscriptions=(Subscription(ANSWERS),)))
    assert isinstance(first.receive(), Suback)
    first.send(Disconnect())
    assert first.receive() is None
    second, present = connect()
    assert present
    second.send(Disconnect(properties=((Property.SESSION_EXPIRY_INTERVAL, 0),)))
    assert second.receive() is None
    third, present = connect(expiry=0)
    assert not present
    third.send(Disconnect(properties=((Property.SESSION_EXPIRY_INTERVAL, 5),)))  # a protocol error: closed all the same
    assert third.receive() is None
    wait_until(lambda: not running.hub.connected(), "the connection is gone")
    assert running.hub.counters()["protocol_violations"] == 1


def test_a_second_connection_takes_over_and_the_first_is_told(
    wire: Wire, running: RunningHub, authority: Authority
) -> None:
    wire.connect()
    second = Wire(running.port, authority)
    second.connect()
    assert wire.ended_with() == 0x8E
    assert running.hub.counters()["connections_taken_over"] == 1
    second.socket.close()


def test_a_will_is_telemetry(running: RunningHub, authority: Authority) -> None:
    vanishing = Wire(running.port, authority)
    properties = ((Property.USER_PROPERTY, ("$.sub", "power")), (Property.WILL_DELAY_INTERVAL, 0))
    vanishing.connect(will=Will(topic=EVENTS, payload=b'{"lost":true}', qos=1, properties=properties))
    vanishing.socket.close()
    last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the will")[0]
    assert (last.metric, last.value) == ("power.lost", True)
