# SPDX-License-Identifier: Apache-2.0
"""The device endpoint's listener: TLS, with a limit of handshakes under way (``engines/acceptor.py``)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from armillary.engines.acceptor import Acceptor

# Handshakes under way, beyond which nothing is accepted: each takes 100 KB and 1 ms of work, so the last is done in a
# tenth of its time-out.
MAX_ENTERING: Final = 1000
HANDSHAKE_TIMEOUT_S: Final = 10.0
SHUTDOWN_TIMEOUT_S: Final = 2.0


class Listener:
    """A listening socket with TLS. Belongs to one event loop."""

    def __init__(self, name: str, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(name, self._accepted, lambda: len(self._entering) >= MAX_ENTERING)

    async def open(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen; see :meth:`armillary.engines.acceptor.Acceptor.open`."""
        return await self._acceptor.open(host, port, shared=shared)

    def close(self) -> None:
        """Accept no more connections; handshakes under way end."""
        self._acceptor.close()
        for task in tuple(self._entering):
            task.cancel()

    def _accepted(self, accepted: socket.socket, owner: str) -> None:
        task = self._loop.create_task(self._enter(accepted))
        self._entering.add(task)
        task.add_done_callback(partial(self._entered, owner))

    def _entered(self, owner: str, task: asyncio.Task[None]) -> None:
        self._entering.discard(task)
        self._acceptor.done(owner)

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
