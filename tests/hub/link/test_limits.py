# SPDX-License-Identifier: Apache-2.0
"""Times, buffers and a full disk: what the hub does at its limits."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest
from tests.fixtures.transports import RecordingTransport
from tests.fixtures.waiting import DEADLINE_S
from tests.hub.running_hub import DEVICE, OTHER, Authority, RunningHub, wait_until
from tests.hub.wire_client import WireClient, device_context

from armillary.errors import RateLimitedError
from armillary.hub.front import intake as intake_module
from armillary.hub.front.connection import HubConnection
from armillary.hub.front.methods import decode_answer, encode_call
from armillary.hub.link import gate as gate_module
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import (
    CONNECT_TIMEOUT_S,
    MAX_OPEN_METHODS,
    MAX_RUNS_IN_FLIGHT,
    PACKET_TIMEOUT_S,
    STALLED_SEND_S,
)
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Connect, Publish

EVENTS = f"devices/{DEVICE}/messages/events/"


class StillFront:
    """A front whose clock stands still and whose disk never answers."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.now = 1000.0
        self.ingested: list[Any] = []
        self.provisioning = self.https = None
        self.intake = self

    def monotonic(self) -> float:
        return self.now

    def entered(self, connection: HubConnection) -> None:
        pass

    def left(self, connection: HubConnection) -> None:
        pass

    def accepted(self, connection: HubConnection) -> None:
        pass

    def identify(self, credentials: HubCredentials) -> HubPeer:
        return HubPeer(credentials.client_id)

    def register(self, connection: HubConnection, *, clean: bool) -> None:  # noqa: ARG002
        connection.established(Row())  # type: ignore[arg-type]

    def ingest(self, connection: HubConnection, run: Any) -> None:
        self.ingested.append(run)
        connection.in_flight += 1
        connection.flow()

    def publish_will(self, connection: HubConnection, will: Any) -> None:  # noqa: ARG002
        raise AssertionError("there is none")


class Row:
    number = 1
    inboxes = 0


@pytest.fixture
def still() -> tuple[StillFront, HubConnection, RecordingTransport]:
    front = StillFront()
    connection = HubConnection(front)  # type: ignore[arg-type]
    transport = RecordingTransport()
    connection.attached(transport)
    return front, connection, transport


Still = tuple[StillFront, HubConnection, RecordingTransport]
CONNECT = encode_packet(Connect(client_id=DEVICE))
PUBLISH = encode_packet(Publish(topic=EVENTS, payload=b"{}", qos=1, packet_id=1))


def test_an_unauthenticated_peer_that_says_nothing_is_cut_off(still: Still) -> None:
    front, connection, transport = still
    connection.check(front.now + CONNECT_TIMEOUT_S, 0)
    assert not transport.ended
    front.now += CONNECT_TIMEOUT_S - 1
    connection.data_received(CONNECT[:5])  # a drip does not buy time
    connection.check(front.now + 2, 0)
    assert transport.ended == "aborted"
    assert front.counters.connections_silent == 1


def test_a_packet_never_finished_ends_the_connection(still: Still) -> None:
    front, connection, transport = still
    connection.data_received(CONNECT)
    assert transport.sent == b"\x20\x02\0\0"
    connection.data_received(PUBLISH[:9])
    front.now += PACKET_TIMEOUT_S - 1
    connection.data_received(PUBLISH[9:10])
    connection.check(front.now, 0)
    assert not transport.ended
    connection.check(front.now + 2, 0)
    assert transport.ended == "closed"


def test_finished_packets_start_the_time_anew(still: Still) -> None:
    front, connection, transport = still
    connection.data_received(CONNECT + PUBLISH[:9])
    for _ in range(3):
        front.now += PACKET_TIMEOUT_S - 1
        connection.data_received(PUBLISH[9:])
        connection.data_received(PUBLISH[:9])
        connection.check(front.now, 0)
    assert not transport.ended
    assert len(front.ingested) == 3


def test_a_stalled_receiver_is_not_read_from_and_then_shed(still: Still) -> None:
    front, connection, transport = still
    connection.data_received(CONNECT)
    connection.pause_writing()
    assert not transport.reading
    connection.check(front.now + STALLED_SEND_S, 0)
    assert not transport.ended
    connection.resume_writing()
    assert transport.reading
    connection.pause_writing()
    connection.check(front.now + STALLED_SEND_S + 1, 0)
    assert transport.ended == "aborted"
    assert front.counters.slow_consumers_shed == 1


def test_a_device_with_too_much_in_flight_is_not_read_from(still: Still) -> None:
    front, connection, transport = still
    connection.data_received(CONNECT)
    for _ in range(MAX_RUNS_IN_FLIGHT):
        assert transport.reading
        connection.data_received(PUBLISH)
    assert not transport.reading
    connection.data_received(PUBLISH)  # what the transport had in hand waits in the buffer
    assert len(front.ingested) == MAX_RUNS_IN_FLIGHT
    connection.in_flight = 0
    connection.flow()
    assert transport.reading
    assert len(front.ingested) == MAX_RUNS_IN_FLIGHT + 1


def test_a_full_disk_gives_no_acknowledgement(running: RunningHub, client: Any) -> None:
    commits = running.hub.series.commits
    client.telemetry({"before": 1})
    commits.submit(lambda connection: connection.execute("PRAGMA max_page_count=1")).result(DEADLINE_S)
    mid = client.publish(EVENTS, json.dumps({"lost": "x" * 1000}).encode() + b" " * 200_000)
    client.is_cut_off()
    assert mid not in client.published
    assert running.hub.counters()["commits_failed"] == 1
    commits.submit(lambda connection: connection.execute("PRAGMA max_page_count=1000000")).result(DEADLINE_S)
    again = running.client().ready()
    again.telemetry({"after": 1})
    again.close()
    assert len(running.hub.series.messages(DEVICE, 9)) == 2


def test_reading_is_held_when_the_disk_is_behind_and_nothing_is_lost(running: RunningHub, monkeypatch: Any) -> None:
    monkeypatch.setattr(intake_module, "HOLD_ABOVE_WEIGHT", 5)
    monkeypatch.setattr(intake_module, "RELEASE_BELOW_WEIGHT", 2)
    clients = [running.client(device_id).ready() for device_id in (DEVICE, OTHER)]
    for number in range(300):
        for each in clients:
            each.publish(f"devices/{each.device_id}/messages/events/", b'{"n":%d}' % number)
    for each in clients:
        wait_until(lambda each=each: len(each.published) == 300, "everything is acknowledged")
        each.close()
    assert running.hub.counters()["reads_held"] > 0
    assert running.hub.counters()["messages_kept"] == 600


def test_reading_is_held_when_the_decoder_is_behind(running: RunningHub, client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(intake_module, "HOLD_ABOVE_BACKLOG_BYTES", 1)
    for number in range(50):
        client.telemetry({"n": number})
    wait_until(lambda: running.hub.counters()["messages_decoded"] == 50, "decoded")


def test_while_too_many_unauthenticated_peers_connect_the_others_wait_and_are_served(
    running: RunningHub, client: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gate_module, "MAX_UNAUTHENTICATED", 2)
    peers = [socket.create_connection(("127.0.0.1", running.port), 10) for _ in range(3)]
    for each in peers:
        each.sendall(b"\x16")  # the first byte of a handshake, and no more
    wait_until(lambda: running.hub.front._gate.is_full, "two are entering")
    client.telemetry({"t": 1})  # who is in is served
    waiting: list[Any] = []
    thread = threading.Thread(target=lambda: waiting.append(running.client(OTHER).ready()))
    thread.start()
    thread.join(0.3)
    assert not waiting
    for each in peers:
        each.close()
    thread.join(DEADLINE_S)
    waiting[0].close()
    assert running.hub.counters()["connections_refused"] == 0


def test_a_fleet_that_comes_at_once_is_served_whole(
    running: RunningHub, authority: Authority, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gate_module, "MAX_UNAUTHENTICATED", 5)
    served: list[int] = []
    fleet = [f"00{number:06x}{0:0120x}" for number in range(60)]

    def come(device_id: str) -> None:
        client = WireClient(running.port, context=device_context(authority, device_id), client_id=device_id)
        served.append(client.connect().reason)
        client.close()

    threads = [threading.Thread(target=come, args=(device_id,)) for device_id in fleet]
    for device_id in fleet:
        authority.device(device_id)  # made before, so that they come at once
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert served == [0] * len(fleet)
    counters = running.hub.counters()
    assert (counters["connections_refused"], counters["handshakes_failed"]) == (0, 0)


def test_who_says_nothing_keeps_nobody_out(running: RunningHub, monkeypatch: Any) -> None:
    monkeypatch.setattr(gate_module, "MAX_UNAUTHENTICATED", 2)
    peers = [socket.create_connection(("127.0.0.1", running.port), 10) for _ in range(20)]
    running.client(OTHER).ready().close()
    for each in peers:
        each.close()


def test_open_calls_of_one_device_are_limited(running: RunningHub, client: Any) -> None:
    client.subscribe("$iothub/methods/POST/#")
    calls = [running.start(running.hub.invoke_method(DEVICE, "m", None, 30)) for _ in range(MAX_OPEN_METHODS)]
    wait_until(lambda: running.hub.counters()["methods_invoked"] == MAX_OPEN_METHODS, "all open")
    with pytest.raises(RateLimitedError):
        running.run(running.hub.invoke_method(DEVICE, "m", None, 30))
    client.close()
    assert all(call.exception(10) for call in calls)


@pytest.mark.parametrize("body", [
        b"{", b"\xff\xfe", b"[" * 5000, b"[" * 100_000, b"[" * 101 + b"]" * 101, b"NaN", b'{"a": [-Infinity]}', b"[1e999]",
        b'"\\ud800"', b'{"\\udfff": 1}',
    ],
)  # fmt: skip
def test_what_cannot_be_sent_on_as_json_is_text(body: bytes) -> None:
    """Routes and pages write answers as JSON: with NaN, a lone surrogate or endless levels in it they would fail."""
    assert decode_answer(body) == body.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[1, 2.5, null, true]", '"\u00e9 \\ud83d\\ude00"'.encode(), b"[" * 100 + b"]" * 100],
)
def test_an_answer_in_json_is_its_value(body: bytes) -> None:
    assert decode_answer(body) == json.loads(body)


@pytest.mark.parametrize(
    ("payload", "body"), [(None, b"null"), ({}, b"{}"), ("", b'""'), (0, b"0"), ({"a": [1]}, b'{"a":[1]}')]
)
def test_a_call_is_json_whatever_it_carries(payload: object, body: bytes) -> None:
    assert encode_call(payload, 1) == body


@pytest.mark.parametrize(
    ("payload", "timeout_s"), [(float("nan"), 1), (object(), 1), ("x" * 200_000, 1), (None, 0), (None, 1e9)]
)
def test_calls_that_make_no_sense(payload: object, timeout_s: float) -> None:
    with pytest.raises(Exception, match="expected"):
        encode_call(payload, timeout_s)


def test_the_hub_closes_while_devices_publish(running: RunningHub, client: Any) -> None:
    for number in range(200):
        client.publish(EVENTS, b'{"n":%d}' % number)
    started = time.monotonic()
    running.run(running.hub.front.close())
    client.is_cut_off()
    assert time.monotonic() - started < 5
    acknowledged = len(client.published)
    wait_until(lambda: running.hub.series.commits.queued == 0, "the queue is written")
    assert len(running.hub.series.messages(DEVICE, 1000)) >= acknowledged
