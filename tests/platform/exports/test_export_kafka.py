# SPDX-License-Identifier: Apache-2.0
"""Data exports to Kafka: keys and headers, brokers that go and come back, what is refused, SASL, TLS, kill -9."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import random
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.effort import effort
from tests.hub.running_hub import DEVICE, Authority, RunningHub, wait_until
from tests.platform.exports.kafka_cluster import MESSAGE_TOO_LARGE, Cluster, cluster
from tests.platform.exports.test_exports import (
    RUNNER,
    Acceptor,
    assert_all_exported,
    exported_over_kills,
    put,
    quick,
    replay,
    settled,
)

from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.attempts import NeverError, NotNowError
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError
from armillary.platform.exports import kafka as export_kafka
from armillary.platform.exports.kafka import Kafka
from armillary.platform.exports.port import Outgoing

__all__ = ["cluster", "quick"]
ALLOWED = AllowedHosts.parse("127.0.0.1, localhost")
PASSWORD = "a password of sixteen"


def options(servers: list[str], topic: str = "out", **more: Any) -> dict[str, Any]:
    return {"kind": "kafka", "servers": servers, "topic": topic, "tls": False, **more}


def plain(servers: list[str], topic: str = "out", **more: Any) -> dict[str, Any]:
    """Options as they are when they have been parsed."""
    given = {"ca": None, "sasl": "none", "username": "", **options(servers, topic, **more)}
    return {name: value for name, value in given.items() if name != "kind"}


@contextlib.contextmanager
def opened(given: dict[str, Any], secret: str | None = None, allowed: AllowedHosts = ALLOWED) -> Iterator[Kafka]:
    before = set(threading.enumerate())
    found = Kafka(given, secret, allowed)
    try:
        yield found
    finally:
        own = [each for each in threading.enumerate() if each.name == "hub-export-kafka" and each not in before]
        found.close()
        for thread in own:
            thread.join(30)
            assert not thread.is_alive()


def records(*texts: str) -> list[Outgoing]:
    return [Outgoing(each.encode(), f"d{number % 2}", f"t-{number}") for number, each in enumerate(texts)]


def test_records_go_out_with_their_device_as_the_key_and_a_lost_broker_is_found_again(
    running: RunningHub, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_kafka, "WHOLE_S", 1.0)
    cluster.make("out")
    client = running.client(DEVICE).ready()
    name = put(running, options(cluster.servers))
    client.telemetry({"n": 0})
    settled(running, name, exported=1)
    for broker in (1, 2):
        cluster.down(broker)
    for number in range(1, 4):
        client.telemetry({"n": number})
    missed = wait_until(
        lambda: (c := running.platform.exports.store.cursor(name)) and c.failures and c, "a failure", 40
    )
    assert (missed.exported, missed.dead) == (1, 0)
    assert "the cluster does not take it" in missed.error
    assert running.platform.exports.counts()["export_failures"] >= 1
    for broker in (1, 2):
        cluster.up(broker)
    cursor = settled(running, name, exported=4)
    assert (cursor.error, cursor.dead) == ("", 0)
    found = cluster.read("out", 4)
    assert {each.key().decode() for each in found} == {DEVICE}
    documents = {dict(each.headers())["id"].decode(): json.loads(each.value()) for each in found}
    assert [each["values"]["n"] for each in documents.values()] == [0, 1, 2, 3]
    assert list(documents) == [each["id"] for each in documents.values()]


def test_the_key_survives_a_transform_and_a_replay(running: RunningHub, cluster: Cluster) -> None:
    pytest.importorskip("jq")
    cluster.make("out")
    client = running.client(DEVICE).ready()
    cluster.refuse(MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE)
    name = put(running, options(cluster.servers), transform="{n: .values.n}, {n: -1}")
    client.telemetry({"n": 7})
    settled(running, name, dead=2)
    assert replay(running, name) == 2
    found = cluster.read("out", 2)
    assert {each.key().decode() for each in found} == {DEVICE}
    first, second = sorted(dict(each.headers())["id"].decode() for each in found)
    assert (first[-2:], second[-2:], first[:-2]) == (".0", ".1", second[:-2])
    assert {each.value() for each in found} == {b'{"n":7}', b'{"n":-1}'}


def test_one_record_that_is_too_large_is_a_dead_letter_and_no_other(cluster: Cluster) -> None:
    cluster.make("out")
    with opened(plain(cluster.servers)) as kafka:
        cluster.refuse(MESSAGE_TOO_LARGE)  # the batch of one partition; then each goes alone, and is taken
        kafka.deliver(records("a", "b", "c", "d"), "b")
        assert {each.value() for each in cluster.read("out", 4)} == {b"a", b"b", b"c", b"d"}
        huge = "x" * (export_kafka.MAX_RECORD_BYTES + 1)
        with pytest.raises(NeverError, match="MessageSizeTooLarge") as refused:
            kafka.deliver(records("e", huge, "f"), "b")
        assert refused.value.which == [1]
        kafka.deliver(records("g"), "b")
        assert {each.value() for each in cluster.read("out", 7)} >= {b"e", b"f", b"g"}


@pytest.mark.parametrize("code", [29, 19, 17, 87])
def test_what_is_wrong_with_the_topic_is_never_blamed_on_records(cluster: Cluster, code: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(export_kafka, "WHOLE_S", 0.7)  # the client tries some errors again by itself
    cluster.make("out")
    with opened(plain(cluster.servers)) as kafka:
        cluster.refuse(*[code] * 100)
        with pytest.raises(NotNowError):
            kafka.deliver(records("a"), "b")


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_kafka.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidArgumentError, match="aiokafka is not installed") as refused:
        Kafka(plain(["127.0.0.1:1"]), None, ALLOWED)
    assert "armillary[kafka]" in refused.value.remedy


class Gate(Acceptor):
    """Stands before a broker of the cluster and does what that one cannot: TLS, and SASL (PLAIN and SCRAM-SHA-256).

    Args:
        server: The broker.
        context: TLS; None without.
        password: Of the user ``u``; None without SASL.
    """

    def __init__(self, server: str, context: ssl.SSLContext | None, password: str | None) -> None:
        host, _, port = server.rpartition(":")
        self._to, self._context, self._password = (host, int(port)), context, password
        self.mechanisms: list[str] = []
        super().__init__()

    def serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):
            if self._context is not None:
                near = self._context.wrap_socket(near, server_side=True)
            far = socket.create_connection(self._to)
            self.open += [near, far]
            if self._password is None or self._prove(near, far):
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
        with contextlib.suppress(OSError):
            near.close()

    def _prove(self, near: socket.socket, far: socket.socket) -> bool:
        """Kafka's SaslHandshake (17) and SaslAuthenticate (36), version 0 and 1; everything before goes on."""
        mechanism, state = "", ""
        while True:
            request = _frame(near)
            key, version, correlation = struct.unpack(">hhi", request[:8])
            body = request[10 + max(0, struct.unpack(">h", request[8:10])[0]) :]
            if key == 17:
                mechanism = body[2:].decode()
                self.mechanisms.append(mechanism)
                offered = b"".join(struct.pack(">h", len(each)) + each for each in (b"PLAIN", b"SCRAM-SHA-256"))
                _send(near, struct.pack(">ihi", correlation, 0, 2) + offered)
            elif key == 36:
                said = body[4:].decode()
                right, answer, state = self._judge(mechanism, said, state)
                tail = struct.pack(">q", 0) if version else b""
                told = b"no" if not right else None
                text = struct.pack(">h", -1) if told is None else struct.pack(">h", len(told)) + told
                data = struct.pack(">i", len(answer)) + answer.encode()
                _send(near, struct.pack(">ih", correlation, 0 if right else 58) + text + data + tail)
                if not right:
                    return False
                if state == "proved":
                    return True
            else:
                far.sendall(struct.pack(">i", len(request)) + request)
                answered = _frame(far)
                if key == 18:  # versions: the cluster behind does not speak of SASL
                    count = struct.unpack(">i", answered[6:10])[0]
                    more = struct.pack(">hhhhhh", 17, 0, 1, 36, 0, 1)
                    rows = answered[10 : 10 + 6 * count]
                    answered = answered[:6] + struct.pack(">i", count + 2) + rows + more + answered[10 + 6 * count :]
                _send(near, answered)

    def _judge(self, mechanism: str, said: str, state: str) -> tuple[bool, str, str]:
        password = str(self._password)
        if mechanism == "PLAIN":
            return said.split("\0")[1:] == ["u", password], "", "proved"
        if not state:  # RFC 5802 section 3: client-first
            bare = said.partition(",,")[2]
            nonce = dict(part.split("=", 1) for part in bare.split(","))["r"]
            first = f"r={nonce}more,s={base64.b64encode(b'salt').decode()},i=4096"
            return True, first, f"{bare},{first}"
        final = dict(part.split("=", 1) for part in said.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 4096)
        message = f"{state},c={final['c']},r={final['r']}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        right = base64.b64decode(final["p"]) == proof
        return right, f"v={base64.b64encode(server).decode()}" if right else "", "proved"


def _copy(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)


def _frame(connection: socket.socket) -> bytes:
    return _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        data = connection.recv(size - len(found))
        if not data:
            raise EOFError
        found += data
    return found


def _send(connection: socket.socket, body: bytes) -> None:
    connection.sendall(struct.pack(">i", len(body)) + body)


@pytest.fixture
def gates(
    cluster: Cluster, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes a gate before each broker, to which the addresses that the cluster names lead; options for it."""
    cluster.make("out")
    found: list[Gate] = []
    ports: dict[str, int] = {}
    looked_up = rule_webhook.resolve

    def resolve(url: str, allowed: AllowedHosts) -> tuple[str, int]:
        address, port = looked_up(url, allowed)
        return address, ports.get(f"{address}:{port}", port)

    monkeypatch.setattr(rule_webhook, "resolve", resolve)

    def make(*, tls: bool = False, password: str | None = None, **more: Any) -> dict[str, Any]:
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.folder / "server.pem")
        for server in cluster.servers:
            found.append(Gate(server, context, password))
            ports[server] = found[-1].port
        return plain(cluster.servers, tls=tls, **more)

    yield make
    for each in found:
        each.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_user_proves_itself_and_a_wrong_secret_is_said_so(
    cluster: Cluster, gates: Any, authority: Authority, mechanism: str
) -> None:
    given = gates(tls=True, password=PASSWORD, ca=authority.trusted, sasl=mechanism, username="u")
    with opened(given, PASSWORD) as kafka:
        kafka.deliver(records("a", "b"), "b")
    assert {each.value() for each in cluster.read("out", 2)} == {b"a", b"b"}
    with opened(given, "another of sixteen") as kafka, pytest.raises(NotNowError, match="user name or the secret"):
        kafka.deliver(records("c"), "b")
    with opened(given, None) as kafka, pytest.raises(NotNowError, match="its secret is not here"):
        kafka.deliver(records("c"), "b")


def test_a_broker_whose_certificate_nobody_vouches_for_gets_nothing(
    cluster: Cluster, gates: Any, authority: Authority
) -> None:
    given = gates(tls=True)
    with opened(given) as kafka, pytest.raises(NotNowError, match="certificate is not trusted"):
        kafka.deliver(records("a"), "b")
    with opened({**given, "ca": authority.trusted}) as kafka:  # the control
        kafka.deliver(records("b"), "b")
    assert [each.value() for each in cluster.read("out", 1)] == [b"b"]


@pytest.mark.e2e
def test_an_export_to_kafka_goes_on_after_kill_9_without_a_gap(tmp_path: Path, cluster: Cluster) -> None:
    cluster.make("out")
    messages = effort(400, 1000)
    command = [sys.executable, str(RUNNER), str(tmp_path / "hub"), str(messages), ",".join(cluster.servers)]
    kills = exported_over_kills(command, random.Random(7), (0.03, 0.12))  # noqa: S311 - the same moments in every run
    assert kills >= effort(2, 3)
    found = cluster.read("out", messages)
    numbers = {int(json.loads(each.value())["values"]["n"]) for each in found}
    assert numbers == set(range(messages))
    assert_all_exported(tmp_path / "hub", messages)
