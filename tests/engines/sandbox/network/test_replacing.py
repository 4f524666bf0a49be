# SPDX-License-Identifier: Apache-2.0
"""The socket that was connected outside takes the place of the application's, wherever the application has that."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage

from armillary.engines.sandbox.network import broker, kernel, replacing
from armillary.engines.sandbox.network.event_queues import QUEUE, registrations
from armillary.engines.sandbox.port import Sandbox

WAIT_LIMIT_S = 20

COPIED = """
import errno, os, select, socket
peer = socket.socket(); peer.setblocking({blocking})
number = os.dup(peer.fileno()); os.set_inheritable(number, True)
other = peer.dup()
queue = select.epoll(); queue.register(number, select.EPOLLOUT)
print(peer.connect_ex(("127.0.0.1", {port})) in (0, errno.EINPROGRESS))
print([(each == number, events) for each, events in queue.poll(5)])
copy = socket.socket(fileno=number)
print([each.getpeername()[1] == {port} for each in (peer, other, copy)])
print([os.get_inheritable(each.fileno()) for each in (peer, other, copy)])
peer.close(); other.setblocking(True); print(other.recv(5)); copy.sendall(b"more"); print(other.recv(4))
"""


@pytest.mark.parametrize("blocking", [True, False])
def test_copies_of_a_descriptor_are_connected_too(stage: Stage, sandbox: Sandbox, blocking: bool) -> None:
    code = COPIED.replace("{blocking}", str(blocking))
    outcome = stage.run(sandbox, code, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == [
        "True",
        f"[(True, {4})]",
        "[True, True, True]",
        "[False, False, True]",
        "b'hello'",
        "b'MORE'",
    ], outcome.errors


CLOSED = """
import os, socket
peer = socket.socket(); copy = os.dup(peer.fileno())
peer.connect(("127.0.0.1", {port})); print(peer.recv(5))
"""


def test_a_copy_that_is_closed_meanwhile_is_no_fault(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = kernel.Descriptors.flags
    asked = []

    def flags(self: kernel.Descriptors, number: int) -> int:
        asked.append(number)
        return plain(self, number if len(asked) == 1 else 255)  # no application has that many

    monkeypatch.setattr(kernel.Descriptors, "flags", flags)
    outcome = stage.run(sandbox, CLOSED, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["b'hello'"], outcome.errors
    assert len(asked) == 2


MANY_COPIES = """
import os, socket
peer = socket.socket()
numbers = [os.dup(peer.fileno()) for _ in range(200)]
peer.connect(("127.0.0.1", {port}))
print({socket.socket(fileno=each).getpeername()[1] == {port} for each in numbers})
"""


def test_many_descriptors_are_looked_at_beside_the_loop(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    plain = replacing._look

    def look(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return plain(*arguments)

    monkeypatch.setattr(replacing, "_look", look)
    outcome = stage.run(sandbox, MANY_COPIES, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["{True}"], outcome.errors
    assert threads
    assert threading.main_thread() not in threads


REGISTERS = """
import errno, select, socket, threading, time
peer = socket.socket(); peer.setblocking(False)
queue = select.epoll()
def register():
    time.sleep(0.2)
    queue.register(peer, select.EPOLLIN)
threading.Thread(target=register).start()
print(errno.errorcode[peer.connect_ex(("127.0.0.1", {port}))])
print([(number == peer.fileno(), events) for number, events in queue.poll(5)], peer.recv(5))
"""


def test_what_is_registered_during_a_connect_is_kept(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last moment at which it can be: until the new socket is in its place."""
    callers: list[kernel.Descriptors] = []

    class Seen(kernel.Descriptors):
        def __init__(self, thread: int) -> None:
            super().__init__(thread)
            callers.append(self)

    plain = kernel.place_descriptor

    def place(listener: int, identity: int, source: int, target: int, flags: int) -> None:
        end = time.monotonic() + WAIT_LIMIT_S
        link = callers[-1].link(target)
        inode = int(link.partition("[")[2].rstrip("]"))
        while time.monotonic() < end:
            queues = [number for number in callers[-1].numbers() if callers[-1].link(number) == QUEUE]
            if registrations(callers[-1], queues, [target], inode):
                break
            time.sleep(0.01)
        plain(listener, identity, source, target, flags)

    monkeypatch.setattr(kernel, "Descriptors", Seen)
    monkeypatch.setattr(kernel, "place_descriptor", place)
    outcome = stage.run(sandbox, REGISTERS, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["EINPROGRESS", "[(True, 1)] b'hello'"], outcome.errors


REGISTERED = """
import errno, select, socket
queue = select.epoll()
peer = socket.socket(); peer.setblocking({blocking})
queue.register(peer, select.EPOLLIN)
print(peer.connect_ex(("127.0.0.1", {port})) in (0, errno.EINPROGRESS))
print([(number == peer.fileno(), events) for number, events in queue.poll(5)], peer.recv(5))
"""


@pytest.mark.parametrize("blocking", [True, False])
def test_everything_of_a_process_is_opened_before_its_socket_is_replaced(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    """The kernel places nothing for a caller that is gone: what is opened before is the caller's own, for ever."""
    said: list[str] = []

    def telling(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            said.append(name)
            return plain(*arguments, **keywords)

        monkeypatch.setattr(owner, name, call)

    for name in ("Descriptors", "Memory", "still_waiting", "place_descriptor", "answer"):
        telling(kernel, name)
    telling(os, "pidfd_open")
    code = REGISTERED.replace("{blocking}", str(blocking))
    outcome = stage.run(sandbox, code, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["True", "[(True, 1)] b'hello'"], outcome.errors
    last = len(said) - 1 - said[::-1].index("place_descriptor")
    assert said[last - 4 : last + 2] == [
        "Memory",
        "Descriptors",
        "pidfd_open",
        "still_waiting",
        "place_descriptor",
        "answer",
    ]


FROM_A_THREAD = """
import socket, threading
def connect():
    with socket.create_connection(("127.0.0.1", {port}), 5) as peer: print(peer.recv(5))
thread = threading.Thread(target=connect); thread.start(); thread.join()
"""


@pytest.mark.parametrize("threads", [True, False])
def test_any_thread_of_a_program_connects(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    """Also before Linux 6.9, which opens whole processes only."""
    plain, asked = os.pidfd_open, []

    def pidfd_open(number: int, flags: int = 0) -> int:
        asked.append(flags)
        if flags & os.O_EXCL and not threads:
            raise OSError(errno.EINVAL, "no such flag")
        return plain(number, flags)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    outcome = stage.run(sandbox, FROM_A_THREAD, hosts=["127.0.0.1"], with_listeners=True)
    assert outcome.lines == ["b'hello'"], outcome.errors
    assert os.O_EXCL in asked


TWO_WAYS = """
import select, socket
for host in ("127.0.0.1", "localhost", "localhost"):
    peer = socket.create_connection((host, {port}), 5); print(peer.recv(5)); peer.close()
peer = socket.socket(); peer.setblocking(False); peer.connect_ex(("127.0.0.1", {port}))
select.select([], [peer], [], 5); print(peer.getpeername()[1] == {port})
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task first runs in the loop's next turn before Python 3.12")
def test_a_connect_that_waits_for_nothing_is_answered_at_once(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the turn of the loop that took it, without a thread: only a name that was not just resolved waits."""
    waited = []
    plain = broker._begin

    def begin(serving: Any) -> Any:
        task = plain(serving)
        waited.append(not task.done())
        return task

    monkeypatch.setattr(broker, "_begin", begin)
    outcome = stage.run(sandbox, TWO_WAYS, hosts=["127.0.0.1", "localhost"], with_listeners=True)
    assert outcome.lines == ["b'hello'", "b'hello'", "b'hello'", "True"], outcome.errors
    assert sum(waited) == (0 if sandbox.name == "reduced" else 1)  # without stand-ins its address is declared
