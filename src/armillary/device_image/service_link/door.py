# SPDX-License-Identifier: Apache-2.0
"""Takes connections at loopback, and hands those of this user and of root on to a machine, behind its secret."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Final

from armillary.engines.host.connections import peer_user

HOST: Final = "127.0.0.1"
# As many as a device's API takes of its computer.
MAX_CONNECTIONS: Final = 16
_CONNECT_S: Final = 10.0
_PART_BYTES: Final = 64 * 1024


class Door:
    """Open until :meth:`close`. ``port`` is where tools connect, ``target`` where QEMU takes them for the machine."""

    def __init__(self, target: int, secret: bytes) -> None:
        self._target = target
        self._secret = secret
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server((HOST, 0), backlog=MAX_CONNECTIONS)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, name="service link", daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those that are open."""
        for each in (self._listening, *tuple(self._open)):
            with contextlib.suppress(OSError):  # it has ended already
                each.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                inside, _ = self._listening.accept()
            except OSError:  # closed
                return
            # Looked at one after the other: while many come, the next wait in the kernel, and strangers take no room.
            if peer_user(inside) in (0, os.geteuid()) and self._room.acquire(blocking=False):
                threading.Thread(target=self._enter, args=(inside,), daemon=True).start()
            else:
                inside.close()

    def _enter(self, inside: socket.socket) -> None:
        """Hand a connection on until both sides have ended."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._room.release)
            stack.enter_context(self._held(inside))
            try:
                machine = socket.create_connection((HOST, self._target), _CONNECT_S)
            except OSError:  # the machine is off
                return
            stack.enter_context(self._held(machine))
            machine.settimeout(None)
            with contextlib.suppress(OSError):
                machine.sendall(self._secret)
            back = threading.Thread(target=_hand_on, args=(machine, inside), daemon=True)
            back.start()
            _hand_on(inside, machine)
            back.join()

    @contextlib.contextmanager
    def _held(self, connection: socket.socket) -> Iterator[None]:
        """Have a connection ended with the door."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            connection.close()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    """Copy what comes until it ends, then say so to the other side."""
    with contextlib.suppress(OSError):  # one side was cut off: the other one hears that as an end
        while part := source.recv(_PART_BYTES):
            target.sendall(part)
    for each, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            each.shutdown(how)
