# SPDX-License-Identifier: Apache-2.0
"""Limits how many connections of a server are not authenticated: between their first byte and their CONNECT.

Further connections wait in the kernel's queue, where they cost this process nothing (``engines/acceptor.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from armillary.engines.acceptor import Acceptor
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import MAX_UNAUTHENTICATED
from armillary.hub.link.link import Link
from armillary.hub.link.reasons import Reason
from armillary.hub.link.tls import TlsChannel

Kind = TypeVar("Kind", bound=Link)


class Gate(Generic[Kind]):
    """Listening sockets of one server, and all connections it accepted. Belongs to one event loop."""

    def __init__(self, name: str, counters: Counters) -> None:
        self._name = name
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._acceptors: list[Acceptor] = []
        self._entering: set[asyncio.Task[None]] = set()
        self._links: set[Kind] = set()
        self._unauthenticated: set[Kind] = set()
        self._ways: dict[Kind, tuple[Acceptor, str]] = {}  # of connections that are not authenticated

    @property
    def is_full(self) -> bool:
        """Whether no further connection is accepted until another one is authenticated or closed."""
        return len(self._unauthenticated) + len(self._entering) >= MAX_UNAUTHENTICATED

    async def listen(self, context: ssl.SSLContext | None, make: Callable[[], Kind], host: str, port: int) -> int:
        """Open a listening socket; returns its port. Port 0 picks a free one; without a context there is no TLS.

        Raises:
            PortInUseError: another process listens there.
        """
        failed = self._handshake_failed  # one for all: a bound method of its own would stay with each connection

        def accept(accepted: socket.socket, owner: str) -> None:
            link = make()
            self._ways[link] = (acceptor, owner)
            protocol = link if context is None else TlsChannel(context, link, failed)
            task = self._loop.create_task(self._enter(protocol, accepted))
            self._entering.add(task)
            task.add_done_callback(partial(self._in, link))

        acceptor = Acceptor(self._name, accept, lambda: self.is_full)
        self._acceptors.append(acceptor)
        return await acceptor.open(host, port)

    def close(self) -> None:
        """Accept no more connections, and close all."""
        for acceptor in self._acceptors:
            acceptor.close()
        for task in tuple(self._entering):
            task.cancel()
        for link in self.links:
            link.close(Reason.SHUTTING_DOWN, keep_will=False)

    @property
    def links(self) -> list[Kind]:
        """All connections."""
        return list(self._links)

    def entered(self, link: Kind) -> None:
        """A connection is open; aborted if it did not come through :meth:`listen` and the limit is reached."""
        self._links.add(link)
        full = len(self._unauthenticated) >= MAX_UNAUTHENTICATED
        self._unauthenticated.add(link)
        if full:
            self._counters.connections_refused += 1
            link.abort()

    def authenticated(self, link: Kind) -> None:
        """A client was authenticated; may be called more than once."""
        if link in self._unauthenticated:
            self._unauthenticated.discard(link)
            self._done(link)
            self._resume()

    def left(self, link: Kind) -> None:
        """A connection is closed or closing; may be called more than once."""
        self._links.discard(link)
        self.authenticated(link)

    async def _enter(self, protocol: asyncio.Protocol, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is gone already; the transport has closed the socket then
            await self._loop.connect_accepted_socket(lambda: protocol, accepted)

    def _in(self, link: Kind, task: asyncio.Task[None]) -> None:
        self._entering.discard(task)
        if link not in self._unauthenticated:  # it was gone before it came, or is authenticated by now
            self._done(link)
        self._resume()

    def _done(self, link: Kind) -> None:
        way = self._ways.pop(link, None)
        if way is not None:
            acceptor, owner = way
            acceptor.done(owner)

    def _resume(self) -> None:
        for acceptor in self._acceptors:
            acceptor.resume()

    def _handshake_failed(self) -> None:
        self._counters.handshakes_failed += 1
