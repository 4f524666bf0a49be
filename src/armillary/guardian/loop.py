# SPDX-License-Identifier: Apache-2.0
"""The guardian's event loop: one that a connect cannot stop.

In the sandbox a connect is judged and begun outside, and even one of a non-blocking socket returns only when its name
has been resolved (``docs/reference/sandbox.md``), and with older devices when it is done. On the loop's own thread one
machine that is switched off would hold up all others, so connects wait in threads.
"""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Connects that wait at once, each for 10 s at most. The sandbox gives an application 64 threads in all.
CONNECTING_THREADS = 24


class GuardianLoop(asyncio.SelectorEventLoop):
    """An event loop whose connects wait in threads of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._connecting = ThreadPoolExecutor(CONNECTING_THREADS, "connect")

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As asyncio's. The thread has a descriptor of its own: whoever gives up may close the socket at once."""
        own = sock.dup()
        connecting = self.run_in_executor(self._connecting, _connect, own, address)
        try:
            await asyncio.shield(connecting)
        except BlockingIOError:  # It is under way, and the loop hears when it is done
            _take_over(own, sock)
            await self._connected(sock, address)
        except asyncio.CancelledError:
            connecting.add_done_callback(lambda done: _given_up(own, done))
            raise
        except OSError:
            own.close()
            raise
        else:
            _take_over(own, sock)

    async def _connected(self, sock: socket.socket, address: Any) -> None:
        """Wait until a socket is connected; raises OSError when it could not be."""
        done = self.create_future()
        self.add_writer(sock.fileno(), _finish, done)
        try:
            await done
        finally:
            self.remove_writer(sock.fileno())
        if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, f"connect to {address}: {os.strerror(error)}")

    def close(self) -> None:
        """Close the loop; threads that still connect end by themselves."""
        self._connecting.shutdown(wait=False, cancel_futures=True)
        super().close()


def _connect(own: socket.socket, address: Any) -> None:
    own.connect(address)


def _take_over(own: socket.socket, sock: socket.socket) -> None:
    """Put what stands at the thread's descriptor in the other's place: a sandbox may have replaced it there alone."""
    os.dup2(own.fileno(), sock.fileno(), inheritable=False)
    own.close()


def _finish(waited_for: asyncio.Future[None]) -> None:
    if not waited_for.done():
        waited_for.set_result(None)


def _given_up(own: socket.socket, connecting: asyncio.Future[None]) -> None:
    """Close what nobody waits for any more."""
    if not connecting.cancelled():
        connecting.exception()
    own.close()
