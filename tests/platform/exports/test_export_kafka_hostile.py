# SPDX-License-Identifier: Apache-2.0
"""A Kafka cluster that is somebody's who means harm: answers without end, work without end, nonsense."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.platform.exports.test_export_kafka import PASSWORD, _frame, _send, opened, plain, records
from tests.platform.exports.test_exports import Acceptor

from armillary.engines.outbound.attempts import NotNowError
from armillary.platform.exports import kafka as export_kafka, kafka_loop as export_kafka_loop

# API keys that the client asks about, with their versions.
VERSIONS = ((0, 0, 3), (3, 0, 1), (17, 0, 1), (18, 0, 1), (22, 0, 0), (36, 0, 0))
Answer = Callable[[int, int, bytes], bytes | None]


class Broker(Acceptor):
    """Answers each request with what ``answer`` makes of key, correlation id and body; ``first`` of a SCRAM server."""

    def __init__(self, answer: Answer | None = None, first: str = "") -> None:
        self.answer, self.first = answer, first
        self.heard: list[int] = []
        self.proved = threading.Event()  # a second message of SCRAM came
        super().__init__()
        self.servers = [f"127.0.0.1:{self.port}"]

    def serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                request = _frame(near)
                key, _, correlation = struct.unpack(">hhi", request[:8])
                self.heard.append(key)
                made = None if self.answer is None else self.answer(key, correlation, request)
                if made is not None:
                    near.sendall(made)
                elif key == 18:
                    rows = b"".join(struct.pack(">hhh", *each) for each in VERSIONS)
                    _send(near, struct.pack(">ihi", correlation, 0, len(VERSIONS)) + rows)
                elif key == 17:
                    name = b"SCRAM-SHA-256"
                    _send(near, struct.pack(">ihih", correlation, 0, 1, len(name)) + name)
                elif key == 36:
                    self._prove(near, correlation, request)

    def _prove(self, near: socket.socket, correlation: int, request: bytes) -> None:
        said = request[14 + struct.unpack(">h", request[8:10])[0] :].decode()
        if ",,n=" not in said:
            self.proved.set()
            return
        nonce = said.partition(",r=")[2]
        first = self.first.replace("NONCE", f"{nonce}more").encode()
        _send(near, struct.pack(">ihhi", correlation, 0, -1, len(first)) + first)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Broker]]:
    monkeypatch.setattr(export_kafka, "WHOLE_S", 5.0)
    made: list[Broker] = []

    def make(answer: Answer | None = None, first: str = "") -> Broker:
        made.append(Broker(answer, first))
        return made[-1]

    yield make
    for each in made:
        each.close()


def delivered(found: Broker, secret: str | None = None) -> str:
    """Why a delivery failed."""
    more = {} if secret is None else {"sasl": "SCRAM-SHA-256", "username": "u"}
    with opened(plain(found.servers, **more), secret) as kafka:
        said = []
        for _ in range(2):
            with pytest.raises(NotNowError) as failed:
                kafka.deliver(records("a"), "b")
            said.append(str(failed.value))
    assert said[0] == said[1], "the second attempt went on with what the first had left"
    return said[0]


def large(size: int) -> Answer:
    return lambda key, *_: struct.pack(">i", size) + b"\0" * 4096 if key == 18 else None


@pytest.mark.parametrize("size", [export_kafka_loop.MAX_ANSWER_BYTES + 1, 2**31 - 1, -1])
def test_an_answer_that_is_too_large_is_not_read(broker: Callable[..., Broker], size: int) -> None:
    assert "answers with more than 16 MiB" in delivered(broker(large(size)))


def test_an_answer_of_the_permitted_size_is_waited_for(
    broker: Callable[..., Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_kafka, "WHOLE_S", 0.3)  # the rest never comes
    assert "TimeoutError" in delivered(broker(large(export_kafka_loop.MAX_ANSWER_BYTES)))


def test_answers_in_pieces_are_counted_and_let_go() -> None:
    import asyncio  # noqa: PLC0415 - a protocol without a connection

    got: list[bytes] = []

    class Inner(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.append(data)

    loop = export_kafka_loop.GuardedLoop(export_kafka.AllowedHosts.parse(""), tls=False)
    stream = b"".join(struct.pack(">i", size) + b"x" * size for size in (0, 5, 300, 0, 1))
    for step in (1, 2, 3, 7, len(stream)):
        measured = export_kafka_loop._Measured(loop, Inner())
        for at in range(0, len(stream), step):
            measured.data_received(stream[at : at + step])
        assert loop.coming == 0
        assert b"".join(got) == stream
        got.clear()
    measured.data_received(struct.pack(">i", 9) + b"half")
    assert loop.coming == 9
    measured.connection_lost(None)
    assert loop.coming == 0
    loop.close()


@pytest.mark.parametrize(
    "asked",
    ["i=2147483647", "i=1", "i=0", "i=4096,i=2147483647", "i= 2147483647", "i=2_147_483_647", "i=+2147483647"],
)
def test_a_proof_that_is_too_much_work_or_too_little_is_not_begun(broker: Callable[..., Broker], asked: str) -> None:
    found = broker(first=f"r=NONCE,s=c2FsdA==,{asked}")
    assert "iterations" in delivered(found, PASSWORD)
    assert not found.proved.is_set()


@pytest.mark.parametrize("most", [export_kafka_loop.MAX_ITERATIONS, 10**9])
def test_the_limit_of_iterations_is_what_holds_it_back(
    broker: Callable[..., Broker], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(export_kafka, "WHOLE_S", 2.0)
    monkeypatch.setattr(export_kafka_loop, "MAX_ITERATIONS", most)
    found = broker(first="r=NONCE,s=c2FsdA==,i=1000001")
    with opened(plain(found.servers, sasl="SCRAM-SHA-256", username="u"), PASSWORD) as kafka:
        with pytest.raises(NotNowError):
            kafka.deliver(records("a"), "b")
        assert found.proved.wait(10 if most == 10**9 else 0) is (most == 10**9)


@pytest.mark.parametrize(
    ("rows", "first"),
    [((0, 5, 1), ""), (None, "nothing of the kind"), (None, "r=another,s=c2FsdA==,i=4096"), (None, "r=NONCE,i=4096")],
)
def test_nonsense_is_the_clusters_failure_and_the_next_attempt_begins_anew(
    broker: Callable[..., Broker], rows: tuple[int, int, int] | None, first: str
) -> None:
    def versions(key: int, correlation: int, _: bytes) -> bytes | None:
        if key != 18 or rows is None:
            return None
        body = struct.pack(">ihi", correlation, 0, 1) + struct.pack(">hhh", *rows)
        return struct.pack(">i", len(body)) + body

    found = broker(versions, first)
    assert "not Kafka's protocol" in delivered(found, PASSWORD)
    assert found.heard.count(18) == 2
