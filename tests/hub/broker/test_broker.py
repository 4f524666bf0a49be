# SPDX-License-Identifier: Apache-2.0
"""The general broker, packet by packet: what the interoperability suites do not look at, and what must be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hub.broker.broker_talk import KEPT, acknowledge, arrived, publish, subscribe
from tests.hub.broker.running_broker import RunningBroker
from tests.hub.running_hub import wait_until
from tests.hub.wire_client import WireClient

from armillary.hub.broker import connection as broker_connection, router as broker_router, session as broker_session
from armillary.hub.broker.limits import MAX_SUBSCRIPTIONS, MAX_TOPIC_LEVELS, RECEIVE_MAXIMUM
from armillary.hub.broker.session import Message
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import (
    LEVEL_3_1_1,
    Acknowledgement,
    Auth,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Publish,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)

Make = Callable[..., WireClient]


@pytest.fixture(params=["in-memory", "on-disk"])
def broker(request: Any, tmp_path: Path) -> Iterator[RunningBroker]:
    made = RunningBroker(tmp_path if request.param == "on-disk" else None)
    yield made
    made.close()


@pytest.fixture
def make(broker: RunningBroker) -> Iterator[Make]:
    """Connects clients: ``make(client id, CONNECT properties, level=, other CONNECT fields)``."""
    made: list[WireClient] = []

    def connect(client_id: str, *properties: Any, level: int = 5, **options: Any) -> WireClient:
        client = WireClient(broker.port, level=level, client_id=client_id)
        made.append(client)
        client.connack = client.connect(*properties, **options)  # type: ignore[attr-defined]
        return client

    yield connect
    for each in made:
        each.close()


def test_qos_2_is_once_both_ways(make: Make) -> None:
    sender, receiver = make("sender"), make("receiver")
    subscribe(receiver, "a/b")
    message = Publish(topic="a/b", payload=b"1", qos=2, packet_id=9)
    sender.send(message)
    assert sender.receive() == Acknowledgement(type=PacketType.PUBREC, packet_id=9)
    sender.send(Publish(topic="a/b", payload=b"1", qos=2, packet_id=9, duplicate=True))  # the PUBREC was lost
    assert sender.receive() == Acknowledgement(type=PacketType.PUBREC, packet_id=9)
    sender.send(Acknowledgement(type=PacketType.PUBREL, packet_id=9))
    assert sender.receive() == Acknowledgement(type=PacketType.PUBCOMP, packet_id=9)
    sender.send(Acknowledgement(type=PacketType.PUBREL, packet_id=9))  # once more: there is none
    assert sender.receive() == Acknowledgement(type=PacketType.PUBCOMP, packet_id=9, reason=0x92)
    got = arrived(receiver)
    assert (got.payload, got.qos) == (b"1", 2)
    acknowledge(receiver, PacketType.PUBREC, got)
    assert receiver.receive() == Acknowledgement(type=PacketType.PUBREL, packet_id=got.packet_id)
    acknowledge(receiver, PacketType.PUBREC, got)  # PUBREL was lost
    assert receiver.receive() == Acknowledgement(type=PacketType.PUBREL, packet_id=got.packet_id)
    acknowledge(receiver, PacketType.PUBCOMP, got)
    assert receiver.silent()


def test_a_receiver_that_refuses_is_not_asked_again(make: Make) -> None:
    sender, receiver = make("sender"), make("receiver", KEPT)
    subscribe(receiver, "a")
    sender.send(Publish(topic="a", payload=b"", qos=2, packet_id=1))
    got = arrived(receiver)
    acknowledge(receiver, PacketType.PUBREC, got, 0x97)
    acknowledge(receiver, PacketType.PUBREC, got)
    assert receiver.receive() == Acknowledgement(type=PacketType.PUBREL, packet_id=got.packet_id, reason=0x92)
    receiver.send(Disconnect(properties=(KEPT,)))
    again = make("receiver", KEPT, clean_start=False)
    assert again.connack.session_present  # type: ignore[attr-defined]
    assert again.silent()


def test_an_unfinished_qos_2_exchange_goes_on_after_a_reconnect(make: Make) -> None:
    sender, receiver = make("sender"), make("receiver", KEPT)
    subscribe(receiver, "a")
    for number in (1, 2):
        sender.send(Publish(topic="a", payload=b"%d" % number, qos=2, packet_id=number))
    first, second = arrived(receiver), arrived(receiver)
    acknowledge(receiver, PacketType.PUBREC, first)
    assert isinstance(receiver.receive(), Acknowledgement)
    receiver.close()
    again = make("receiver", KEPT, clean_start=False)
    assert again.receive() == Acknowledgement(type=PacketType.PUBREL, packet_id=first.packet_id)
    redelivered = arrived(again)
    assert (redelivered.duplicate, redelivered.packet_id, redelivered.payload) == (True, second.packet_id, b"2")


def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(make: Make) -> None:
    sender, receiver = make("sender"), make("receiver")
    subscribe(receiver, "a")
    publish(sender, "a")
    got = arrived(receiver)
    acknowledge(receiver, PacketType.PUBCOMP, got)
    assert receiver.ended_with() == 0x82


def test_reason_codes_say_what_became_of_a_message(make: Make) -> None:
    client = make("client")
    assert publish(client, "nobody/listens") == 0x10
    subscribe(client, Subscription("somebody", 0))
    client.send(Publish(topic="somebody", payload=b"", qos=1, packet_id=3))
    kinds = {type(client.receive()) for _ in range(2)}
    assert kinds == {Publish, Acknowledgement}
    assert publish(client, "$SYS/broker/version") == 0x87


def test_an_old_client_that_publishes_to_sys_is_cut_off(make: Make, broker: RunningBroker) -> None:
    client = make("client", level=LEVEL_3_1_1)
    client.send(Publish(topic="$SYS/x", payload=b"", qos=1, packet_id=1))
    assert client.receive() is None
    assert broker.counters.broker_publishes_refused == 1


def test_wildcards_do_not_reach_dollar_topics(make: Make) -> None:
    client = make("client")
    subscribe(client, "#", "+/x", qos=0)
    assert publish(client, "$other/x") == 0x10
    subscribe(client, "$other/#", qos=0)
    client.send(Publish(topic="$other/x", payload=b"seen"))
    assert arrived(client).payload == b"seen"


@pytest.mark.parametrize("topic_filter", ["/".join("+" * (MAX_TOPIC_LEVELS + 1)), "x" * 1025, "$share/x", "$share/+/a"])
def test_wildcard_abuse_is_refused_filter_by_filter(make: Make, topic_filter: str) -> None:
    assert subscribe(make("client"), topic_filter, "fine") == (0x8F, 2)
    assert subscribe(make("old", level=LEVEL_3_1_1), topic_filter, "fine") == (0x80, 2)


@pytest.mark.parametrize(
    "raw", [b"\x82\x08\0\1\0\3a#b\1", b"\x82\x08\0\1\0\3#/a\1", b"\x82\x06\0\1\0\1\xff\1", b"\x82\x05\0\1\0\0\1"]
)
def test_what_is_no_filter_ends_the_connection(make: Make, raw: bytes) -> None:
    client = make("client", level=LEVEL_3_1_1)
    client.socket.sendall(raw)
    assert client.receive() is None


@pytest.mark.parametrize(
    "raw",
    [
        b"\x30\x05\0\3a/+",  # a wildcard in a topic
        b"\x30\x05\0\3\xff\xfe\xfd",  # no UTF-8
        b"\x30\x05\0\3a\0b",  # U+0000
        b"\x36\x05\0\1a\0\1",  # QoS 3
        b"\x32\x05\0\1a\0\0",  # packet identifier 0
        b"\xf0\0",  # AUTH in 3.1.1
        b"\x20\2\0\0",  # a server's packet
        b"\x30\xff\xff\xff\xff\1",  # a length of five bytes
    ],
)
def test_malformed_packets_end_the_connection(make: Make, broker: RunningBroker, raw: bytes) -> None:
    client = make("client", level=LEVEL_3_1_1)
    client.socket.sendall(raw)
    assert client.receive() is None
    assert broker.counters.protocol_violations == 1


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        pytest.param(
            Publish(topic="a", payload=b"", properties=((Property.SUBSCRIPTION_IDENTIFIER, 1),)), 0x82, id="identifier"
        ),
        pytest.param(Publish(topic="", payload=b"", properties=((Property.TOPIC_ALIAS, 3),)), 0x82, id="unknown-alias"),
        pytest.param(
            Publish(topic="a", payload=b"", properties=((Property.TOPIC_ALIAS, 17),)), 0x94, id="alias-maximum"
        ),
        pytest.param(
            Publish(topic="a", payload=b"", properties=((Property.RESPONSE_TOPIC, "b/+"),)), 0x82, id="response-plus"
        ),
        pytest.param(
            Publish(topic="a", payload=b"", properties=((Property.RESPONSE_TOPIC, "#"),)), 0x82, id="response-hash"
        ),
        pytest.param(Publish(topic="/" * MAX_TOPIC_LEVELS, payload=b""), 0x90, id="levels"),
        pytest.param(Publish(topic="$SYS/a", payload=b""), 0x87, id="sys"),
        pytest.param(Auth(reason=0x18, properties=((Property.AUTHENTICATION_METHOD, "m"),)), 0x82, id="auth"),
        pytest.param(
            Subscribe(packet_id=1, subscriptions=(Subscription("$share/g/a", 4),)), 0x82, id="shared-no-local"
        ),
        pytest.param(Disconnect(properties=(KEPT,)), None, id="late-expiry"),
    ],
)
def test_what_may_not_come_ends_the_connection_with_its_code(make: Make, packet: Packet, code: int | None) -> None:
    client = make("client")
    client.send(packet)
    if code is None:
        assert client.receive() is None
    else:
        assert client.ended_with() == code


def test_a_packet_too_large_ends_the_connection_before_it_is_read(make: Make) -> None:
    client = make("client")
    client.socket.sendall(b"\x30\xff\xff\xff\x7f")
    assert client.ended_with() == 0x95


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_who_takes_no_answer_to_connect_is_not_left_waiting(broker: RunningBroker, limit: int) -> None:
    client = WireClient(broker.port, client_id="client")
    client.send(Connect(client_id="client", level=5, properties=((Property.MAXIMUM_PACKET_SIZE, limit),)))
    assert client.receive() is None  # closed, and nothing longer than the limit was sent
    client.close()


def test_more_than_the_receive_maximum_ends_the_connection(make: Make) -> None:
    client = make("client")
    assert dict(client.connack.properties)[Property.RECEIVE_MAXIMUM] == RECEIVE_MAXIMUM  # type: ignore[attr-defined]
    for number in range(1, RECEIVE_MAXIMUM + 2):
        client.send(Publish(topic="a", payload=b"", qos=2, packet_id=number))
    for _ in range(RECEIVE_MAXIMUM):
        assert isinstance(client.receive(), Acknowledgement)
    assert client.ended_with() == 0x93


def test_the_clients_receive_maximum_holds_and_what_waits_follows(make: Make) -> None:
    sender, receiver = make("sender"), make("receiver", (Property.RECEIVE_MAXIMUM, 2))
    subscribe(receiver, "a", qos=1)
    for number in range(5):
        publish(sender, "a", b"%d" % number)
    first = [arrived(receiver), arrived(receiver)]
    assert receiver.silent()
    for got in first:
        acknowledge(receiver, PacketType.PUBACK, got)
    assert [arrived(receiver).payload for _ in range(2)] == [b"2", b"3"]


def test_a_full_queue_drops_and_counts(make: Make, broker: RunningBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(broker_session, "MAX_QUEUED_MESSAGES", 3)
    receiver = make("receiver", KEPT)
    subscribe(receiver, "a")
    receiver.send(Disconnect())
    assert receiver.receive() is None
    sender = make("sender")
    for number in range(5):
        assert publish(sender, "a", b"%d" % number) == 0
    assert broker.counters.broker_messages_dropped == 2
    again = make("receiver", KEPT, clean_start=False)
    assert [arrived(again).payload for _ in range(3)] == [b"0", b"1", b"2"]


def test_subscriptions_of_a_session_are_limited(make: Make) -> None:
    client = make("client")
    for start in range(0, MAX_SUBSCRIPTIONS, 32):
        assert subscribe(client, *(f"t/{start + n}" for n in range(32))) == (2,) * 32
    assert subscribe(client, "one/more", "t/0") == (0x97, 2)


def test_retained_messages_are_limited(make: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr(broker_router, "MAX_RETAINED_MESSAGES", 2)
    client = make("client")
    assert [publish(client, topic, retain=True) for topic in ("a", "b", "c", "a")] == [0x10, 0x10, 0x97, 0x10]
    old = make("old", level=LEVEL_3_1_1)
    old.send(Publish(topic="d", payload=b"x", qos=1, packet_id=1, retain=True))
    assert old.receive() is None


def test_one_subscribe_brings_so_many_retained_messages(make: Make, broker: RunningBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(broker_connection, "MAX_RETAINED_AT_ONCE", 3)
    client = make("client")
    for number in range(3):
        publish(client, f"r/{number}", retain=True)
    assert subscribe(client, "r/#", "r/+", qos=0) == (0, 0)
    assert {arrived(client).topic for _ in range(3)} == {f"r/{number}" for number in range(3)}
    assert client.silent()
    assert broker.counters.broker_messages_dropped == 3


def test_a_session_taken_over_goes_on_and_its_will_is_published(make: Make, broker: RunningBroker) -> None:
    watcher = make("watcher")
    subscribe(watcher, "gone", qos=0)
    first = make("client", KEPT, will=Will(topic="gone", payload=b"bye"))
    subscribe(first, "a")
    second = make("client", KEPT, clean_start=False)
    assert first.ended_with() == 0x8E
    assert second.connack.session_present  # type: ignore[attr-defined]
    assert arrived(watcher).payload == b"bye"
    assert publish(watcher, "a") == 0
    assert arrived(second).topic == "a"
    assert broker.counters.connections_taken_over == 1


def test_a_delayed_will_is_not_published_when_the_client_is_back(make: Make, broker: RunningBroker) -> None:
    watcher = make("watcher")
    subscribe(watcher, "gone", qos=0)
    delayed = Will(topic="gone", payload=b"bye", properties=((Property.WILL_DELAY_INTERVAL, 60),))
    make("client", KEPT, will=delayed).close()
    wait_until(lambda: broker.broker._wills, "the will waits")
    back = make("client", KEPT, clean_start=False)
    assert not broker.broker._wills
    back.send(Disconnect(reason=0x04))  # without a will of its own this time
    assert watcher.silent()
    make("client", KEPT, clean_start=False, will=delayed).close()
    wait_until(lambda: broker.broker._wills, "the will waits")
    make("client", KEPT)  # a clean start ends the session, and so the waiting
    assert arrived(watcher).payload == b"bye"


def test_a_shared_subscription_gets_each_message_once_in_turn(make: Make) -> None:
    members = [make(f"member-{n}") for n in range(2)]
    for each in members:
        assert subscribe(each, "$share/g/jobs/#", qos=0) == (0,)
    sender = make("sender")
    for number in range(6):
        assert publish(sender, "jobs/x", b"%d" % number) == 0
    got = [[arrived(each).payload for _ in range(3)] for each in members]
    assert sorted(got[0] + got[1]) == [b"%d" % n for n in range(6)]
    members[0].send(Unsubscribe(packet_id=2, filters=("$share/g/jobs/#", "never")))
    assert members[0].receive() == Unsuback(packet_id=2, reasons=(0, 0x11))
    for _ in range(2):
        publish(sender, "jobs/x", b"rest")
    assert [arrived(members[1]).payload for _ in range(2)] == [b"rest", b"rest"]


def test_a_message_without_subscription_identifier_has_none_and_properties_pass_unaltered(make: Make) -> None:
    client, sender = make("client"), make("sender")
    subscribe(client, "a", qos=0, properties=((Property.SUBSCRIPTION_IDENTIFIER, 300),))
    properties = (
        (Property.PAYLOAD_FORMAT_INDICATOR, 1),
        (Property.CONTENT_TYPE, "text/plain"),
        (Property.USER_PROPERTY, ("k", "1")),
        (Property.RESPONSE_TOPIC, "b"),
        (Property.CORRELATION_DATA, b"c"),
        (Property.USER_PROPERTY, ("k", "2")),
    )
    publish(sender, "a", properties=properties)
    assert arrived(client).properties == (*properties, (Property.SUBSCRIPTION_IDENTIFIER, 300))
    subscribe(client, "a", qos=0)
    publish(sender, "a", properties=properties)
    assert arrived(client).properties == properties


@pytest.mark.parametrize(("passed", "left"), [(0.0, 60), (0.4, 60), (58.2, 2), (59.9, 1)])
def test_the_time_that_is_left_is_rounded_up(passed: float, left: int) -> None:
    message = Message("a", b"", 1, retain=False, expires_at=1060.0)
    assert not message.is_over(1000.0 + passed)
    assert message.outgoing_properties(1000.0 + passed, ()) == ((Property.MESSAGE_EXPIRY_INTERVAL, left),)


def test_keep_alive_is_shortened_and_pings_are_answered(make: Make) -> None:
    client = make("client", keepalive_s=3600)
    assert dict(client.connack.properties)[Property.SERVER_KEEP_ALIVE] == 60  # type: ignore[attr-defined]
    client.send(Pingreq())
    assert client.receive() == Pingresp()


def test_an_authentication_method_is_refused(broker: RunningBroker) -> None:
    client = WireClient(broker.port)
    assert client.connect((Property.AUTHENTICATION_METHOD, "SCRAM")).reason == 0x8C
    assert client.receive() is None


def test_a_slow_client_loses_qos_0_and_is_then_cut_off(make: Make, broker: RunningBroker) -> None:
    slow, sender = make("slow"), make("sender")
    subscribe(slow, "a", qos=0)
    for _ in range(200):  # more than every buffer on the way holds
        sender.send(Publish(topic="a", payload=bytes(200_000)))
    wait_until(lambda: broker.counters.broker_messages_dropped, "the slow client's messages are dropped")
    later = broker.broker.monotonic() + 31
    broker.call(lambda: [each.check(later, 0) for each in broker.broker._gate.links if each._stalled])
    assert broker.counters.slow_consumers_shed == 1
