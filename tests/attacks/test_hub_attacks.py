# SPDX-License-Identifier: Apache-2.0
"""Attacks on the hub's front, each beside the same thing done right (the positive control)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.waiting import DEADLINE_S
from tests.hub.running_hub import DEVICE, OTHER, RunningHub, authority, client, running, wait_until
from tests.hub.wire_client import device_context

from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import encode_varint
from armillary.wire.mqtt.packet import Connect, Publish, Subscribe, Subscription
from armillary.wire.mqtt.stream import MAX_PACKET_BYTES

__all__ = ["authority", "client", "running"]

EVENTS = f"devices/{DEVICE}/messages/events/"
CONNECT = encode_packet(Connect(client_id=DEVICE))
ACCEPTED = b"\x20\x02\0\0"


def publish(topic: str, payload: bytes = b"{}", qos: int = 1) -> bytes:
    return encode_packet(Publish(topic=topic, payload=payload, qos=qos, packet_id=1))


PUBLISH = publish(EVENTS, b'{"t":1}')
PUBACK = b"\x40\x02\0\1"


@contextmanager
def raw(running: RunningHub) -> Iterator[ssl.SSLSocket]:
    """A TLS connection with a device's certificate, for bytes that no client would send."""
    with (
        socket.create_connection(("127.0.0.1", running.port), 10) as plain,
        device_context(running.authority).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.settimeout(10)
        yield connection


def answer(connection: ssl.SSLSocket, size: int) -> bytes:
    """Exactly ``size`` bytes, or what came before the hub closed the connection."""
    got = b""
    while len(got) < size:
        try:
            more = connection.recv(size - len(got))
        except (ssl.SSLError, ConnectionError):
            break
        if not more:
            break
        got += more
    return got


def after_connect(running: RunningHub, data: bytes) -> bytes:
    """What the hub answers to ``data`` after a good CONNECT and a good PUBLISH; 4 bytes at most, empty when it closes."""
    with raw(running) as connection:
        connection.sendall(CONNECT + PUBLISH)
        assert answer(connection, 8) == ACCEPTED + PUBACK
        connection.sendall(data)
        return answer(connection, 4)


def test_positive_control(running: RunningHub) -> None:
    assert after_connect(running, PUBLISH) == PUBACK
    assert running.hub.counters()["protocol_violations"] == 0


HOSTILE = {
    "another device's topic": publish(f"devices/{OTHER}/messages/events/"),
    "a topic to another device": publish(f"devices/{OTHER}/messages/devicebound/"),
    "another device's method": publish("$iothub/methods/POST/reboot/?$rid=1"),
    "general publish": publish("chat"),
    "wildcard in a topic": b"\x32\x07\0\3a/#\0\1",
    "bad UTF-8 in a topic": b"\x32\x07\0\3a\xff\xfe\0\1",
    "bad UTF-8 behind the right topic": b"\x32"
    + encode_varint(len(EVENTS) + 6)
    + (len(EVENTS) + 2).to_bytes(2, "big")
    + EVENTS.encode()
    + b"\xff\xfe\0\1",
    "U+0000 in a topic": b"\x32\x06\0\2a\0\0\1",
    "QoS 2": publish(EVENTS, qos=2),
    "packet identifier 0": PUBLISH.replace(b"/\0\1{", b"/\0\0{"),
    "announced 256 MB": b"\x32\xff\xff\xff\x7f",
    "one byte over the limit": b"\x32" + encode_varint(MAX_PACKET_BYTES - 3),
    "five length bytes": b"\x32\xff\xff\xff\xff\x7f",
    "reserved packet type": b"\0\0",
    "a server's packet": ACCEPTED,
    "CONNECT again": CONNECT,
    "broken percent escape": publish(EVENTS + "a=%zz"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_packets_end_the_connection_and_nothing_of_them_is_kept(running: RunningHub, data: bytes) -> None:
    assert after_connect(running, data) == b""
    assert running.hub.counters()["protocol_violations"] == 1
    assert running.hub.counters()["messages_kept"] == 1
    assert after_connect(running, PUBLISH) == PUBACK  # the device itself may come back


FILTERS = [
    "#",
    "+/+",
    "$iothub/#",
    "$iothub/+/POST/#",
    "$SYS/#",
    "devices/+/messages/devicebound/#",
    f"devices/{DEVICE}/messages/devicebound/#",
    f"devices/{OTHER}/messages/events/#",
    EVENTS + "#",
]


def test_subscriptions_reach_no_other_device(running: RunningHub, client: Any) -> None:
    other = running.client(OTHER).ready()
    granted = other.subscribe(*FILTERS, "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#")
    assert granted == [0x80] * len(FILTERS) + [1, 1]
    client.subscribe("$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#")
    running.hub.twins.change(DEVICE, desired={"secret": 1})
    running.start(running.hub.invoke_method(DEVICE, "m", None, 5))
    client.take("$iothub/twin/PATCH/")
    client.take("$iothub/methods/POST/")
    client.telemetry({"t": 1})
    other.telemetry({"t": 1})  # whatever was sent to it before has arrived by now
    assert other.messages == []


def test_a_device_cannot_answer_another_devices_method(running: RunningHub, client: Any) -> None:
    client.subscribe("$iothub/methods/POST/#")
    call = running.start(running.hub.invoke_method(DEVICE, "m", None, 5))
    request_id = client.take("$iothub/methods/POST/m/")[0].split("$rid=")[1]
    other = running.client(OTHER).ready()
    other.publish(f"$iothub/methods/res/666/?$rid={request_id}", b'"forged"')
    other.telemetry({"t": 1})
    assert not call.done()
    client.publish(f"$iothub/methods/res/200/?$rid={request_id}", b'"true"')
    assert call.result(DEADLINE_S).status == 200


def refused(running: RunningHub, device_id: str = DEVICE, **options: Any) -> Any:
    attempt = running.client(device_id, **options)
    wait_until(lambda: attempt.connack is not None or attempt.lost, "an answer")
    attempt.close()
    assert device_id not in running.hub.connected()
    return attempt.connack


def test_identity_is_the_certificate(running: RunningHub) -> None:
    running.client().ready().close()
    assert refused(running, client_id=OTHER).value == 133  # another device's client id
    assert refused(running, client_id=f"{DEVICE}/module").value == 133
    assert refused(running, username=f"localhost/{OTHER}/?api-version=2019-10-01").value == 134
    assert refused(running, will=(f"devices/{OTHER}/messages/events/", b"{}")).value == 135
    assert running.hub.counters()["connections_refused"] == 4


def test_certificates_that_are_not_for_the_hub(running: RunningHub, authority: Any) -> None:
    update_only = authority.device(DEVICE, purpose="update")
    assert refused(running, certificate=update_only).value == 135
    unknown = "ff" * 64
    assert refused(running, unknown, certificate=authority.device(unknown)).value == 135
    running.revoked.add(DEVICE)
    assert refused(running).value == 135
    running.revoked.clear()
    running.client().ready().close()


def handshake_fails(running: RunningHub, certificate: Path | None) -> None:
    before = running.hub.counters()["handshakes_failed"]
    context = ssl.create_default_context(cafile=str(running.authority.folder / "root.pem"))
    if certificate is not None:
        context.load_cert_chain(certificate)
    with socket.create_connection(("127.0.0.1", running.port), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(CONNECT)
                assert answer(connection, 4) == b""  # TLS 1.3: the client hears of the refusal after its own handshake
        except (ssl.SSLError, ConnectionError):
            pass
    wait_until(lambda: running.hub.counters()["handshakes_failed"] == before + 1, "the failed handshake is counted")
    assert not running.hub.connected()


def test_tls_lets_nobody_in_without_a_good_certificate(running: RunningHub, authority: Any) -> None:
    handshake_fails(running, None)
    handshake_fails(running, authority.untrusted())
    handshake_fails(running, authority.device(DEVICE, lifetime_s=-60.0))  # expired a minute ago
    running.client().ready().close()


def test_old_tls_and_weak_suites_are_refused(running: RunningHub) -> None:
    context = device_context(running.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA")
    with socket.create_connection(("127.0.0.1", running.port), 10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_connection_ends_with_its_certificate(running: RunningHub, authority: Any) -> None:
    short = running.client(certificate=authority.device(DEVICE, lifetime_s=1000.0)).ready()
    running.client(OTHER, certificate=authority.device(OTHER, lifetime_s=100_000.0)).ready()
    running.clock_ahead_s = 2000.0
    short.is_cut_off()
    assert running.hub.counters()["connections_expired"] == 1
    assert running.hub.connected() == {OTHER}
    running.clock_ahead_s = 0.0


def test_a_certificate_that_ended_by_the_hubs_clock_is_refused_though_tls_let_it_in(running: RunningHub) -> None:
    running.clock_ahead_s = 7200.0
    assert refused(running).value == 135


def test_a_revoked_device_is_cut_off_at_once(running: RunningHub, client: Any) -> None:
    running.client(OTHER).ready()
    running.hub.disconnect(DEVICE)
    client.is_cut_off()
    assert running.hub.connected() == {OTHER}


def test_a_consumer_that_takes_nothing_is_shed_and_counted(running: RunningHub) -> None:
    notices = "$iothub/twin/PATCH/properties/desired/#"
    with raw(running) as deaf:
        deaf.sendall(CONNECT + encode_packet(Subscribe(packet_id=1, subscriptions=(Subscription(notices),))))
        assert answer(deaf, 9) == ACCEPTED + b"\x90\3\0\1\0"
        for number in range(2000):  # 32 MB at most: more than the send buffer and both sockets' buffers hold
            running.hub.twins.change(DEVICE, desired={key: f"{number}".ljust(4000) for key in "abcd"})
            if running.hub.counters()["slow_consumers_shed"]:
                break
        assert running.hub.counters()["slow_consumers_shed"] == 1
        assert not running.hub.connected()
    patient = running.client().ready()
    patient.telemetry({"t": 1})


def test_a_flood_is_held_back_and_none_of_it_is_lost(running: RunningHub) -> None:
    count = 30_000
    with raw(running) as connection:
        connection.sendall(CONNECT)
        assert answer(connection, 4) == ACCEPTED
        acknowledged = 0
        for start in range(0, count, 1000):
            connection.sendall(
                b"".join(
                    encode_packet(Publish(topic=EVENTS, payload=b'{"n":%d}' % n, qos=1, packet_id=n % 65535 + 1))
                    for n in range(start, start + 1000)
                )
            )
            acknowledged += len(answer(connection, 4 * 1000)) // 4
        assert acknowledged == count
    assert running.hub.counters()["messages_kept"] == count
