# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages: real clients over real TLS, and the queue's rules."""

from __future__ import annotations

import sqlite3
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given, strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.hub.running_hub import DEVICE, OTHER, RunningHub, wait_until

from armillary.engines.hub import cloud_messages as queue
from armillary.errors import InvalidArgumentError, RateLimitedError
from armillary.wire.hub.cloud_message import CloudMessage, topic_of
from armillary.wire.hub.topics import parse_bag

BOUND = f"devices/{DEVICE}/messages/devicebound/#"


def message(name: str = "m-1", body: bytes = b"hello", **changes: Any) -> CloudMessage:
    return CloudMessage(message_id=name, body=body, **changes)


def bag(topic: str) -> dict[str, str]:
    return dict(parse_bag(topic.partition("/devicebound/")[2]))


def states(running: RunningHub, device: str = DEVICE) -> dict[str, str | None]:
    return {each.message_id: each.outcome for each in running.hub.mailboxes.list(device)}


def test_a_connected_device_gets_it_at_once_and_its_acknowledgement_settles_it(
    running: RunningHub, client: Any
) -> None:
    client.subscribe(BOUND)
    running.hub.mailboxes.send(DEVICE, message(ack="full", properties={"colour": "red & blue"}, content_type="a/b"))
    topic, body = client.take("devices/")
    assert body == b"hello"
    found = bag(topic)
    assert found["colour"] == "red & blue"
    assert (found["$.mid"], found["iothub-ack"], found["$.ct"]) == ("m-1", "full", "a/b")
    assert found["$.to"] == f"/devices/{DEVICE}/messages/devicebound"
    wait_until(lambda: states(running) == {"m-1": "success"}, "the outcome")


def test_it_waits_for_a_device_that_is_away_and_comes_in_order(running: RunningHub) -> None:
    for number in range(20):
        running.hub.mailboxes.send(DEVICE, message(f"m-{number}", str(number).encode()))
    device = running.client().ready()
    device.subscribe(BOUND)
    wait_until(lambda: len(device.messages) == 20, "all of them")
    assert [body for _, body in device.messages] == [str(number).encode() for number in range(20)]
    wait_until(lambda: states(running) == {}, "nothing is kept of what nobody asked for")


def test_a_persistent_session_gets_what_came_meanwhile(running: RunningHub) -> None:
    first = running.client(clean=False).ready()
    first.subscribe(BOUND)
    first.close()
    wait_until(lambda: DEVICE not in running.hub.connected(), "gone")
    running.hub.mailboxes.send(DEVICE, message())
    second = running.client(clean=False).ready()
    assert second.take("devices/")[1] == b"hello"


def test_what_was_not_acknowledged_comes_again_and_at_last_no_more(running: RunningHub) -> None:
    running.hub.mailboxes.send(DEVICE, message(ack="negative", max_deliveries=2))
    for _ in range(2):
        device = running.client(acknowledges=False).ready()
        device.subscribe(BOUND)
        device.take("devices/")
        device.close()
        wait_until(lambda: DEVICE not in running.hub.connected(), "gone")
    last = running.client().ready()
    last.subscribe(BOUND)
    wait_until(lambda: states(running) == {"m-1": "delivery-count-exceeded"}, "given up")
    assert last.messages == []


def test_qos_0_is_settled_when_sent(running: RunningHub, client: Any) -> None:
    client.paho.subscribe(BOUND, qos=0)
    wait_until(lambda: client.granted, "SUBACK")
    running.hub.mailboxes.send(DEVICE, message(ack="positive"))
    client.take("devices/")
    wait_until(lambda: states(running) == {"m-1": "success"}, "settled")


def test_expired_and_purged_ones_never_arrive(running: RunningHub) -> None:
    running.hub.mailboxes.send(DEVICE, message("old", lifetime_s=1, ack="full"))
    running.hub.mailboxes.send(DEVICE, message("taken-back", ack="negative"))
    assert running.hub.mailboxes.purge(DEVICE) == 2
    running.hub.mailboxes.send(DEVICE, message("late", lifetime_s=1, ack="full"))
    running.clock_ahead_s = 2.0
    device = running.client().ready()
    device.subscribe(BOUND)
    wait_until(lambda: states(running).get("late") == "expired", "expired")
    assert states(running)["taken-back"] == "purged"
    assert device.messages == []


def test_no_other_device_gets_it(running: RunningHub, client: Any) -> None:
    other = running.client(OTHER).ready()
    assert other.subscribe(BOUND) == [0x80]
    other.subscribe(BOUND.replace(DEVICE, OTHER))
    client.subscribe(BOUND)
    running.hub.mailboxes.send(DEVICE, message())
    client.take("devices/")
    assert other.messages == []


def test_the_queue_is_bounded(running: RunningHub) -> None:
    for number in range(queue.MAX_WAITING):
        running.hub.mailboxes.send(DEVICE, message(f"m-{number}"))
    with pytest.raises(RateLimitedError, match="50 messages"):
        running.hub.mailboxes.send(DEVICE, message("one-more"))
    running.hub.mailboxes.send(OTHER, message("other"))


def test_messages_outlive_the_hub(running: RunningHub) -> None:
    running.hub.mailboxes.send(DEVICE, message())
    running.restart()
    device = running.client().ready()
    device.subscribe(BOUND)
    assert device.take("devices/")[1] == b"hello"


def test_mqtt_5_gets_it_too(running: RunningHub) -> None:
    device = running.client(protocol=mqtt.MQTTv5).ready()
    device.subscribe(BOUND)
    running.hub.mailboxes.send(DEVICE, message(ack="full"))
    assert device.take("devices/")[1] == b"hello"
    wait_until(lambda: states(running) == {"m-1": "success"}, "settled")


@pytest.mark.parametrize(
    "wrong",
    [
        {"message_id": "a b"},
        {"body": b"x" * 65537},
        {"properties": {"$.mid": "x"}},
        {"properties": {"iothub-x": "x"}},
        {"properties": {"": "x"}},
        {"properties": {"a": "\n"}},
        {"properties": {str(n): "" for n in range(57)}},
        {"ack": "maybe"},
        {"lifetime_s": 0},
        {"lifetime_s": 172801},
        {"max_deliveries": 0},
        {"input": "a/b"},
        {"content_type": "x" * 257},
    ],
)
def test_a_message_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        CloudMessage(**{"message_id": "m", "body": b"", **wrong})


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="$"), min_size=1, max_size=20).filter(
            lambda name: not name.startswith("iothub-") and name.isprintable()
        ),
        st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20).filter(str.isprintable),
        max_size=8,
    )
)
def test_properties_survive_the_topic(properties: dict[str, str]) -> None:
    topic = topic_of(DEVICE, message(properties=properties), 1_800_000_000_000)
    found = bag(topic)
    assert {name: value for name, value in found.items() if not name.startswith(("$", "iothub-"))} == properties
    assert "+" not in topic
    assert "#" not in topic
    assert "/" not in topic.partition("/devicebound/")[2]


@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "settle", "expire", "purge"]), st.integers(0, 5)), max_size=40)
)
def test_every_message_is_settled_exactly_once(steps: list[tuple[str, int]]) -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(queue.TABLES)
    now, added, settled = 1_000_000, 0, 0
    for verb, number in steps:
        now += 500
        if verb == "add":
            queue.enqueued("d", message(f"m-{added}", lifetime_s=number + 1, ack="full"), now_ms=now)(database)
            added += 1
        elif verb == "take":
            for each in queue.taken("d", after=0, now_ms=now, max_count=number + 1, max_bytes=8)(database):
                assert each.body == b"hello"
        elif verb == "settle":
            settled += queue.settled("d", number, "success", now_ms=now)(database)
        elif verb == "expire":
            queue.expired(now_ms=now)(database)
        else:
            queue.purged("d", now_ms=now)(database)
    rows = queue.read_messages(database, "d")
    assert len(rows) == added  # nothing is lost, nothing twice
    assert sum(row.outcome == "success" for row in rows) == settled
    assert all((row.outcome is None) == (row.settled_ms is None) for row in rows)


def test_no_more_than_a_client_takes_at_once(running: RunningHub) -> None:
    for number in range(6):
        running.hub.mailboxes.send(DEVICE, message(f"m-{number}"))
    properties = Properties(PacketTypes.CONNECT)
    properties.ReceiveMaximum = 2
    device = running.client(protocol=mqtt.MQTTv5, properties=properties, acknowledges=False).ready()
    device.subscribe(BOUND)
    wait_until(lambda: len(device.messages) == 2, "two of them")
    assert running.hub.counters()["cloud_messages_sent"] == 2


def test_what_is_longer_than_a_client_takes_holds_nothing_up(running: RunningHub) -> None:
    running.hub.mailboxes.send(DEVICE, message("long", b"x" * 5000, max_deliveries=1, ack="full"))
    running.hub.mailboxes.send(DEVICE, message("short"))
    properties = Properties(PacketTypes.CONNECT)
    properties.MaximumPacketSize = 2000
    device = running.client(protocol=mqtt.MQTTv5, properties=properties).ready()
    device.subscribe(BOUND)
    assert device.take("devices/")[1] == b"hello"
