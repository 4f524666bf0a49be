# SPDX-License-Identifier: Apache-2.0
"""Lets devices in a few at a time: who has been let in is served before the next ones are.

An event loop's own server takes in everybody who waits. When ten thousand devices come at once (a power cut, a new
release), every handshake then waits for all the others and most run out of time; measured: 16,000 broken connections
and 1.1 GB. Here the others wait where it costs nothing, in the system's queue of the listening socket.

Who says nothing is not let in at all: the system hands over a connection when its first byte is there. Not prevented: a
stranger who opens ``MAX_ENTERING`` connections and says a little on each makes others wait for up to the handshake's
time-out. Limit connections by address in front of the endpoint where strangers can reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from armillary.errors import PortInUseError

# Connections let in with one turn of the event loop, so that handshakes under way get their turns too.
AT_ONCE: Final = 16
# Connections that wait in the system's queue; the system lowers it to its own limit (net.core.somaxconn).
BACKLOG: Final = 4096
# Handshakes under way beyond which nobody is let in: 100 KB each, and one takes 1 ms of work, so that the last is done
# in a tenth of its time.
MAX_ENTERING: Final = 1000
HANDSHAKE_TIMEOUT_S: Final = 10.0
SHUTDOWN_TIMEOUT_S: Final = 2.0
# A connection without a first byte stays with the system, which gives it up (Linux: hands it over, to time out here)
# after about this long. A device's first byte follows its connection at once.
SPEAKS_WITHIN_S: Final = 10
# After the system had no descriptor or memory left for another connection, wait this long.
EXHAUSTED_PAUSE_S: Final = 1.0


class Listener:
    """A listening socket with TLS. Belongs to one event loop."""

    def __init__(self, name: str, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        self._name = name
        self._context = context
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._entering: set[asyncio.Task[None]] = set()
        self._waiting: set[socket.socket] = set()  # that nobody is let in from until there is room

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
            self._open_door(one)
        return port

    def close(self) -> None:
        """Let nobody in any more; handshakes under way end."""
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        self._sockets.clear()
        self._waiting.clear()
        for task in tuple(self._entering):
            task.cancel()

    def _let_in(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if len(self._entering) >= MAX_ENTERING:
                self._close_door(listening)
                return
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):  # nobody waits, or left while waiting
                return
            except OSError:  # no descriptor, no memory: those who wait keep their place
                self._close_door(listening)
                self._loop.call_later(EXHAUSTED_PAUSE_S, self._open_door, listening)
                return
            accepted.setblocking(False)
            task = self._loop.create_task(self._enter(accepted))
            self._entering.add(task)
            task.add_done_callback(self._entered)

    def _entered(self, task: asyncio.Task[None]) -> None:
        self._entering.discard(task)
        for one in tuple(self._waiting):
            self._open_door(one)

    def _close_door(self, listening: socket.socket) -> None:
        self._waiting.add(listening)
        self._loop.remove_reader(listening.fileno())

    def _open_door(self, listening: socket.socket) -> None:
        self._waiting.discard(listening)
        if listening in self._sockets:  # not closed meanwhile
            self._loop.add_reader(listening.fileno(), self._let_in, listening)

    async def _enter(self, accepted: socket.socket) -> None:
        # A handshake that fails is the peer's affair; the transport has closed the socket then.
        with contextlib.suppress(OSError):  # of TLS and of time too
            await self._loop.connect_accepted_socket(
                self._make,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )


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
    made = socket.socket(family, socket.SOCK_STREAM)
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
