# SPDX-License-Identifier: Apache-2.0
"""Accepts connections a few at a time: those that were accepted are served before more are.

An event loop's own server takes in everybody who waits. When ten thousand devices come at once (a power cut, a new
release), every handshake then waits for all the others and most run out of time; measured: 16,000 broken connections
and 1.1 GB. Here the others wait where it costs nothing, in the system's queue of the listening socket.

Who says nothing is not let in at all: the system hands over a connection when its first byte is there. Of one address
at most half of those who may enter do: the others of that address wait here for their own, and nobody else for them. So
a stranger who opens connections and says a little on each makes others wait only from several addresses, or with more
connections than wait here and with the system. Limit connections by address in front of the door where strangers can
reach it.
"""

from __future__ import annotations

import _socket
import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from armillary.engines.places import address_owner
from armillary.errors import PortInUseError

# Connections let in with one turn of the event loop, so that handshakes under way get their turns too.
AT_ONCE: Final = 16
# Connections that wait in the system's queue; the system lowers it to its own limit (net.core.somaxconn).
BACKLOG: Final = 4096
# Connections of one address that are on their way in at once: half of what may be (service/endpoint/listener.py,
# hub/link/limits.py). A factory behind one address loses nothing by it: a handshake is a millisecond of work, so these
# are half a second.
MAX_OF_ADDRESS: Final = 500
# Connections that wait here for others of their address; beyond it nobody is let in until some have gone in.
MAX_HELD: Final = 2048
# A connection without a first byte stays with the system, which gives it up (Linux: hands it over, to time out here)
# after about this long. A device's first byte follows its connection at once.
SPEAKS_WITHIN_S: Final = 10
# After the system had no descriptor or memory left for another connection, wait this long.
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


class Door:
    """Listening sockets. Belongs to one event loop.

    Args:
        name: Who listens, for messages.
        enter: Takes a connected socket that was let in, and who its address counts as; says :meth:`through` when it
            is in or gone.
        is_full: Says whether nobody may be let in now; whoever says so calls :meth:`make_room` when that is over.
    """

    def __init__(self, name: str, enter: Callable[[socket.socket, str], None], is_full: Callable[[], bool]) -> None:
        self._name = name
        self._enter = enter
        self._is_full = is_full
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._waiting: set[socket.socket] = set()  # that nobody is let in from until there is room
        self._of: Counter[str] = Counter()  # on their way in, by address
        self._held: dict[str, deque[socket.socket]] = {}  # behind others of their address
        self._held_count = 0

    async def open(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen on every address of the host; returns the port (that the system chose, for 0).

        Args:
            host: Name or address.
            port: 0 for any.
            shared: Other processes of this user listen on the port as well; the system spreads connections.

        Raises:
            PortInUseError: somebody else has it.
        """
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                one = _bound(family, (address[0], port, *address[2:]), shared=shared)
                self._sockets.append(one)
                one.listen(BACKLOG)
                port = int(self._sockets[-1].getsockname()[1])  # what the system chose for the first is that of all
        except OSError as error:
            self.close()
            raise PortInUseError.at(self._name, host, port, error) from error
        for one in self._sockets:
            self._open(one)
        return port

    def close(self) -> None:
        """Let nobody in any more."""
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        for held in self._held.values():
            for one in held:
                one.close()
        self._held.clear()
        self._held_count = 0
        self._sockets.clear()
        self._waiting.clear()

    def through(self, owner: str) -> None:
        """One of an address is in, or gone: its next one goes in, and others if there is room."""
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]
        held = self._held.get(owner)
        if held:
            following = held.popleft()
            self._held_count -= 1
            if not held:
                del self._held[owner]
            self._go_in(following, owner)
        self.make_room()

    def make_room(self) -> None:
        """Somebody who was entering is in, or gone: let in those who wait."""
        if self._waiting and self._held_count < MAX_HELD:
            for one in tuple(self._waiting):
                self._open(one)

    def _let_in(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._is_full() or self._held_count >= MAX_HELD:
                self._shut(listening)
                return
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):  # nobody waits, or left while waiting
                return
            except OSError:  # no descriptor, no memory: those who wait keep their place
                self._shut(listening)
                self._loop.call_later(EXHAUSTED_PAUSE_S, self._open, listening)
                return
            accepted.setblocking(False)
            owner = address_owner(str(address[0]))
            if self._of[owner] < MAX_OF_ADDRESS:
                self._go_in(accepted, owner)
            else:
                self._held.setdefault(owner, deque()).append(accepted)
                self._held_count += 1

    def _go_in(self, accepted: socket.socket, owner: str) -> None:
        self._of[owner] += 1
        self._enter(accepted, owner)

    def _shut(self, listening: socket.socket) -> None:
        self._waiting.add(listening)
        self._loop.remove_reader(listening.fileno())

    def _open(self, listening: socket.socket) -> None:
        self._waiting.discard(listening)
        if listening in self._sockets:  # not closed meanwhile
            self._loop.add_reader(listening.fileno(), self._let_in, listening)


def reserve(name: str, host: str, port: int) -> tuple[list[socket.socket], int]:
    """Take a port for other processes of this user, which listen on it with ``shared``; it stays theirs until closed.

    Bound alone first, so that a port that somebody listens on is refused, and shared only then. Nobody is let in
    here: a socket that is bound and does not listen gets no connections.

    Returns:
        What keeps the port, and the port (that the system chose, for 0).

    Raises:
        PortInUseError: somebody else has it.
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
    made = _PlainSocket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SPEAKS_WITHIN_S)
        made.bind(address)
    except BaseException:  # undone whatever it was, then raised on
        made.close()
        raise
    return made
