# SPDX-License-Identifier: Apache-2.0
"""A connect that does not block goes on by itself, as everywhere: EINPROGRESS, then poll, epoll and SO_ERROR say how."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, own_network
from tests.fixtures.ports import reserved_port

from armillary.engines.sandbox.network import datagram, event_queues, outside, replacing
from armillary.engines.sandbox.port import Sandbox

HELLO = """
import errno, select, socket
peer = socket.socket(); peer.setblocking(False)
before = peer.fileno()
print(errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))])
print(bool(select.select([], [peer], [], 5)[1]), peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
print(peer.connect_ex(("127.0.0.1", {port})) == errno.EISCONN, peer.fileno() == before, peer.getpeername()[1] == {port})
peer.setblocking(True); print(peer.recv(5))
"""


def test_it_returns_at_once_and_completes_by_itself(stage: Stage, sandbox: Sandbox) -> None:
    outcome = stage.run(sandbox, HELLO, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["EINPROGRESS", "True 0", "True True True", "b'hello'"], outcome.errors


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """The port of a server that takes no connection: one to it stays in progress."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", reserved_port()))
        server.listen(0)
        for _ in range(4):
            peer = held.enter_context(socket.socket())
            peer.setblocking(False)
            peer.connect_ex(server.getsockname())
        yield server.getsockname()[1]


WAITS = """
import errno, select, socket, time
peer = socket.socket(); peer.setblocking(False)
began = time.monotonic()
print(errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))], errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))])
print(select.select([], [peer], [], 0.1)[1])
print([errno.errorcode[peer.connect_ex(("127.0.0.2", {port}))]])
for action in (lambda: peer.bind(("", 0)), lambda: peer.listen(1)):
    try: action(); print("done")
    except OSError as error: print(errno.errorcode[error.errno])
peer.close(); print("closed")
"""


def test_a_server_that_does_not_answer_keeps_nobody_waiting(stage: Stage, sandbox: Sandbox) -> None:
    """And a socket on its way is no port of the host, and goes nowhere else."""
    with full_listener() as port:
        outcome = stage.run(sandbox, WAITS.replace("{port}", str(port)), hosts=["127.0.0.1"])
    assert outcome.lines[:3] == ["EINPROGRESS EALREADY", "[]", "['EACCES']"], outcome.errors
    assert outcome.lines[3] in ("EINVAL", "EACCES")
    assert outcome.lines[4:] == ["EINVAL" if own_network(sandbox) else "EACCES", "closed"]


REGISTERED = """
import errno, select, socket
queue, other = select.epoll(), select.epoll()
peer = socket.socket(); peer.setblocking(False)
queue.register(peer, select.EPOLLOUT | select.EPOLLET)
other.register(peer, select.EPOLLIN)
queue.poll(0.05)  # what an unconnected socket says
print(errno.errorcode[peer.connect_ex(("localhost", {port}))])
print([(number == peer.fileno(), bool(events & select.EPOLLOUT)) for number, events in queue.poll(5)])
print([(number == peer.fileno(), events == select.EPOLLIN) for number, events in other.poll(5)], peer.recv(5))
queue.modify(peer, select.EPOLLIN); peer.sendall(b"more")
print([events for _, events in queue.poll(5)], peer.recv(4))
queue.unregister(peer); other.unregister(peer.fileno()); print("unregistered")
"""


def test_a_socket_in_event_queues_stays_in_them(stage: Stage, sandbox: Sandbox) -> None:
    outcome = stage.run(sandbox, REGISTERED, hosts=["localhost"], with_listeners=True)
    assert outcome.lines == [
        "EINPROGRESS",
        "[(True, True)]",
        "[(True, True)] b'hello'",
        "[1] b'MORE'",
        "unregistered",
    ], outcome.errors


def test_a_refusal_is_told_by_the_socket(stage: Stage, sandbox: Sandbox) -> None:
    code = """
import errno, select, socket
peer = socket.socket(); peer.setblocking(False)
error = peer.connect_ex(("127.0.0.1", PORT))
if error == errno.EINPROGRESS:
    select.select([], [peer], [], 5)
    error = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
print(errno.errorcode[error])
"""
    outcome = stage.run(sandbox, code.replace("PORT", str(reserved_port())), hosts=["127.0.0.1"])
    assert outcome.lines == ["ECONNREFUSED"], outcome.errors


def test_ipv6_addresses_of_a_name_are_found_when_they_are_asked_for(stage: Stage, namespaces: Any) -> None:
    code = """
import socket
found = socket.getaddrinfo("localhost", {port}, socket.AF_INET6, socket.SOCK_STREAM)
family, kind, protocol, _, where = found[0]
peer = socket.socket(family, kind, protocol); peer.connect(where); print(family == socket.AF_INET6, peer.recv(5))
print({each[0].name for each in socket.getaddrinfo("localhost", {port}, type=socket.SOCK_STREAM)})
"""
    outcome = stage.run(namespaces, code, hosts=["localhost"], with_listeners=True)
    assert outcome.lines == ["True b'hello'", "{'AF_INET'}"], outcome.errors


@pytest.mark.anyio
async def test_of_several_addresses_the_first_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    port = reserved_port()

    async def addresses(*_: object) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1")]

    monkeypatch.setattr(outside, "addresses_of", addresses)
    with socket.create_server(("127.0.0.1", port)), await outside.begin_outside("two.example", port) as stream:
        await asyncio.sleep(0.05)
        assert stream.getpeername() == ("127.0.0.1", port)  # the other refuses
    with socket.create_server(("127.0.0.2", port)), await outside.begin_outside("two.example", port) as stream:
        assert stream.getpeername() == ("127.0.0.2", port)


def test_datagrams_go_on_when_this_machine_has_another_address() -> None:
    class Moved:
        """A socket whose source address has gone, until it is connected anew."""

        def __init__(self) -> None:
            self.sent: list[bytes] = []
            self.connected: list[object] = []

        def send(self, data: bytes) -> None:
            if not self.connected:
                raise OSError(errno.EINVAL, "gone")
            self.sent.append(data)

        def getpeername(self) -> tuple[str, int]:
            return ("192.0.2.7", 5683)

        def connect(self, where: object) -> None:
            self.connected.append(where)

    moved: Any = Moved()
    datagram._send(moved, b"x")
    assert (moved.connected, moved.sent) == ([("192.0.2.7", 5683)], [b"x"])


def test_what_is_read_of_event_queues_is_read_beside_the_loop(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(*arguments: Any) -> list[event_queues.Registration]:
        threads.append(threading.current_thread())
        return event_queues.registrations(*arguments)

    monkeypatch.setattr(replacing, "registrations", read)
    outcome = stage.run(sandbox, REGISTERED, hosts=["localhost"], with_listeners=True)
    assert outcome.lines[-1] == "unregistered", outcome.errors
    assert threads
    assert threading.main_thread() not in threads


QUEUES = """
import errno, select, socket
queues = [select.epoll() for _ in range(60)]
others = [socket.socket() for _ in range(90)]
for queue in queues:
    for other in others: queue.register(other)
peer = socket.socket(); peer.setblocking(False)
print(errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))])
for queue in queues: queue.close()
print(errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))])
"""


def test_a_connect_is_refused_while_too_much_is_registered(stage: Stage, sandbox: Sandbox) -> None:
    outcome = stage.run(sandbox, QUEUES, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["ENOBUFS", "EINPROGRESS"], outcome.errors
