# SPDX-License-Identifier: Apache-2.0
"""Accepts connections a few at a time: when enough are being set up, further ones wait until some are done.

An event loop's own server accepts every connection at once. When ten thousand devices connect together (after a power
cut, or a new release), every TLS handshake then waits for all the others and most time out; measured: 16,000 broken
connections and 1.1 GB. Here further connections wait in the kernel's queue of the listening socket, at no cost.

The kernel hands over a connection when its first byte has arrived, so a silent one takes no capacity. One address has
at most half of the connections being set up; its other connections wait here, and those of other addresses do not wait
for them. An attacker can therefore delay others only from several addresses, or with more connections than wait here
and in the kernel's queue. On a network that attackers reach, put a limit of connections by address in front of it.
"""

from __future__ import annotations

import _socket
import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from armillary.engines.quota import address_owner
from armillary.errors import PortInUseError

# Connections accepted in one turn of the event loop, so that handshakes under way get their turns too.
AT_ONCE: Final = 16
# Connections that wait in the kernel's queue; the kernel lowers it to its own limit (net.core.somaxconn).
BACKLOG: Final = 4096
# Connections of one address that may be set up at once: half of all that may (service/endpoint/listener.py,
# hub/link/limits.py). A factory behind one address loses nothing by it: a handshake is a millisecond of work, so these
# are half a second.
MAX_OF_ADDRESS: Final = 500
# Connections that wait here for others of their address; at this number nothing is accepted until some go on.
MAX_HELD: Final = 2048
# A connection without a first byte stays in the kernel about this long; Linux then hands it over, to time out here. A
# device's first byte follows its connection at once.
SPEAKS_WITHIN_S: Final = 10
# Pause after the kernel had no descriptor or memory for another connection.
EXHAUSTED_PAUSE_S: Final = 1.0


class _PlainSocket(socket.socket):
    """A socket whose family and type are plain numbers, and so are those of the sockets it accepts.

    ``socket.socket`` makes members of an enumeration of them whenever it is asked; the event loop and ``accept`` ask
    six times for each connection, together 70 us of the 1,100 that a check-in on a new connection takes.
    """

    __slots__ = ()

    family = _socket.socket.family  # type: ignore[assignment]
    type = _socket.socket.type  # type: ignore[assignment]

    def accept(self) -> tuple[socket.socket, tuple[Any, ...]]:
        """As :meth:`socket.socket.accept`, which makes a ``socket.socket``."""
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return _PlainSocket(self.family, self.type, self.proto, fileno=descriptor), address


class Acceptor:
    """Listening sockets. Belongs to one event loop.

    Args:
        name: Who listens, for messages.
        enter: Called with each accepted socket and the owner of its address (:func:`address_owner`); :meth:`done` has
            to be called with that owner when the connection is set up or closed.
        is_full: Whether nothing may be accepted now; :meth:`resume` has to be called when that changes.
    """

    def __init__(self, name: str, enter: Callable[[socket.socket, str], None], is_full: Callable[[], bool]) -> None:
        self._name = name
        self._enter = enter
        self._is_full = is_full
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._paused: set[socket.socket] = set()  # listening sockets that accept nothing until there is room
        self._entering: Counter[str] = Counter()  # connections being set up, by owner
        self._held: dict[str, deque[socket.socket]] = {}  # accepted connections that wait for others of their owner
        self._held_count = 0

    async def open(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen on every address of the host; returns the port (for 0 the one that the kernel chose).

        With ``shared`` other processes of this user listen on the port as well, and the kernel distributes connections.

        Raises:
            PortInUseError: another process has it.
        """
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                one = _bound(family, (address[0], port, *address[2:]), shared=shared)
                self._sockets.append(one)
                one.listen(BACKLOG)
                port = int(self._sockets[-1].getsockname()[1])  # the kernel's choice for the first is that of all
        except OSError as error:
            self.close()
            raise PortInUseError.at(self._name, host, port, error) from error
        for one in self._sockets:
            self._open(one)
        return port

    def close(self) -> None:
        """Accept no more connections, and close those that wait."""
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        for held in self._held.values():
            for one in held:
                one.close()
        self._held.clear()
        self._held_count = 0
        self._sockets.clear()
        self._paused.clear()

    def done(self, owner: str) -> None:
        """A connection of an owner is set up, or closed: its next one goes on, and more are accepted."""
        self._entering[owner] -= 1
        if not self._entering[owner]:
            del self._entering[owner]
        held = self._held.get(owner)
        if held:
            following = held.popleft()
            self._held_count -= 1
            if not held:
                del self._held[owner]
            self._go_on(following, owner)
        self.resume()

    def resume(self) -> None:
        """There may be room again: accept what waits."""
        if self._paused and self._held_count < MAX_HELD:
            for one in tuple(self._paused):
                self._open(one)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._is_full() or self._held_count >= MAX_HELD:
                self._pause(listening)
                return
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):  # none waits, or it was closed while it waited
                return
            except OSError:  # no descriptor or no memory: the others stay in the kernel's queue
                self._pause(listening)
                self._loop.call_later(EXHAUSTED_PAUSE_S, self._open, listening)
                return
            accepted.setblocking(False)
            owner = address_owner(str(address[0]))
            if self._entering[owner] < MAX_OF_ADDRESS:
                self._go_on(accepted, owner)
            else:
                self._held.setdefault(owner, deque()).append(accepted)
                self._held_count += 1

    def _go_on(self, accepted: socket.socket, owner: str) -> None:
        self._entering[owner] += 1
        self._enter(accepted, owner)

    def _pause(self, listening: socket.socket) -> None:
        self._paused.add(listening)
        self._loop.remove_reader(listening.fileno())

    def _open(self, listening: socket.socket) -> None:
        self._paused.discard(listening)
        if listening in self._sockets:  # not closed meanwhile
            self._loop.add_reader(listening.fileno(), self._accept, listening)


def reserve(name: str, host: str, port: int) -> tuple[list[socket.socket], int]:
    """Reserve a port for other processes of this user, which listen on it with ``shared``.

    The sockets are bound alone first, so that a port on which another process listens is refused, and shared only then.
    A socket that is bound and does not listen gets no connections.

    Returns the sockets, which reserve the port until they are closed, and the port (for 0 the one that the kernel
    chose).

    Raises:
        PortInUseError: another process has it.
    """
    held: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            held.append(_bound(family, (address[0], port, *address[2:])))
            held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = int(held[-1].getsockname()[1])
    except OSError as error:
        for one in held:
            one.close()
        raise PortInUseError.at(name, host, port, error) from error
    return held, port


def _bound(family: int, address: tuple[str | int, ...], *, shared: bool = False) -> socket.socket:
    bound = _PlainSocket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SPEAKS_WITHIN_S)
        bound.bind(address)
    except BaseException:  # close it, whatever was raised
        bound.close()
        raise
    return bound
