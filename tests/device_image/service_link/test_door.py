# SPDX-License-Identifier: Apache-2.0
"""The door before a machine's service link: whose connections it hands on, what it says first, and what it leaves."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.fixtures.waiting import wait_until

from armillary.device_image.service_link import door
from armillary.device_image.service_link.door import HOST, MAX_CONNECTIONS, Door

SECRET = b"s" * 32
LIMIT_S = 20


class Machine:
    """Where QEMU would take connections: it keeps what each says, and says it back."""

    def __init__(self) -> None:
        self.heard: list[bytearray] = []
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.heard.append(bytearray())
            threading.Thread(target=self._echo, args=(connection, self.heard[-1]), daemon=True).start()

    def _echo(self, connection: socket.socket, heard: bytearray) -> None:
        with connection, contextlib.suppress(OSError):
            while part := connection.recv(4096):
                heard += part
                connection.sendall(part)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with contextlib.closing(Machine()) as made:
        yield made


@pytest.fixture
def opened(machine: Machine) -> Iterator[Door]:
    with contextlib.closing(Door(machine.port, SECRET)) as made:
        yield made


def connect(opened: Door) -> socket.socket:
    return socket.create_connection((HOST, opened.port), LIMIT_S)


def all_of(connection: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(4096):
            found += part
    return found


def test_a_connection_of_this_user_begins_with_the_secret_and_goes_both_ways(machine: Machine, opened: Door) -> None:
    for number in range(2 * MAX_CONNECTIONS):  # each gives its room back
        with connect(opened) as tool:
            tool.sendall(b"hello")
            wait_until(lambda number=number: machine.heard[number:] == [SECRET + b"hello"], "what it said")
            tool.shutdown(socket.SHUT_WR)
            assert all_of(tool) == SECRET + b"hello"


@pytest.mark.parametrize("user", [65534, None])
def test_nobody_else_reaches_the_machine(
    machine: Machine, opened: Door, user: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "peer_user", lambda _: user)
    with connect(opened) as stranger:
        assert all_of(stranger) == b""
    assert machine.heard == []


def test_strangers_take_no_room(machine: Machine, opened: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at, gate = 0, threading.Event()

    def user_of(_: socket.socket) -> int:
        nonlocal looked_at
        assert gate.wait(LIMIT_S)
        looked_at += 1
        return 65534 if looked_at <= MAX_CONNECTIONS else os.geteuid()

    monkeypatch.setattr(door, "peer_user", user_of)
    with contextlib.ExitStack() as strangers:
        for _ in range(MAX_CONNECTIONS):
            strangers.enter_context(connect(opened))
        with connect(opened) as tool:
            threading.Timer(0.2, gate.set).start()
            tool.sendall(b"hello")
            wait_until(lambda: machine.heard == [SECRET + b"hello"], "the owner is let in")


def test_only_so_many_are_let_in_at_a_time(machine: Machine, opened: Door) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(connect(opened))
        wait_until(lambda: len(machine.heard) == MAX_CONNECTIONS, "all of them")
        assert all_of(stack.enter_context(connect(opened))) == b""
        assert len(machine.heard) == MAX_CONNECTIONS


def test_a_machine_that_is_off_ends_the_connection(machine: Machine, opened: Door) -> None:
    machine.close()
    with connect(opened) as tool:
        assert all_of(tool) == b""


def test_nothing_is_open_after_its_end(machine: Machine, opened: Door) -> None:
    with connect(opened) as tool:
        wait_until(lambda: machine.heard and machine.heard[0] == SECRET, "a connection")
        opened.close()
        assert all_of(tool) in (b"", SECRET), "it ended"
    with pytest.raises(ConnectionRefusedError):
        connect(opened)
