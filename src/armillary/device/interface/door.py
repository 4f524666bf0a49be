# SPDX-License-Identifier: Apache-2.0
"""The socket of one running application: whoever connects there is that application.

Inside a sandbox the device itself makes the connection for the application, after it has looked at the path
(``engines/sandbox/network/broker.py``); without one (``process``) the application does. So the peer's user
(SO_PEERCRED) is always the device's, and any other is turned away: a program of another user, if the folder were ever
open to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from armillary.device.interface.allowance import Allowance
from armillary.device.interface.connection import Connection
from armillary.device.interface.session import Session
from armillary.device.interface.table import MethodTable
from armillary.wire.device.interface.frame import encode_frame
from armillary.wire.device.interface.message import refusal

# Connections of one application at a time: one for each of some processes or threads.
CONNECTION_LIMIT = 8
BACKLOG = 8
# Connections that one application may make: a program makes one at its start.
CONNECT_BURST, CONNECTS_PER_SECOND = 20, 10.0
# Requests of one application, over all its connections: what a loop on a 10 ms timer needs, twice.
REQUEST_BURST, REQUESTS_PER_SECOND = 200, 200.0
_CREDENTIALS = struct.Struct("=3i")  # struct ucred: process, user, group


class Door:
    """Accepts the connections of one application at ``path``, which is made and removed here.

    ``refused`` is called with why, where a connection is ended for what was sent on it.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        table: MethodTable,
        monotonic: Callable[[], float],
        refused: Callable[[str], object],
    ) -> None:
        self._path = path
        self._refused = refused
        self._session = session
        self._table = table
        self._requests = Allowance(burst=REQUEST_BURST, per_second=REQUESTS_PER_SECOND, monotonic=monotonic)
        self._connects = Allowance(burst=CONNECT_BURST, per_second=CONNECTS_PER_SECOND, monotonic=monotonic)
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to accept; OSError if the socket cannot be made. Needs a running loop."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener), name="interface accept")

    async def close(self) -> None:
        """End every connection and remove the socket."""
        tasks = [*self._connections] if self._accepting is None else [self._accepting, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._connects.wait()
            try:
                stream, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                continue  # the device is short of something: the rate above keeps this from spinning
            problem = self._problem(stream)
            if problem is not None:
                with contextlib.suppress(OSError), stream:
                    stream.send(problem)
                continue
            task = asyncio.create_task(
                Connection(stream, self._session, self._table, self._requests, self._refused).serve(),
                name="interface connection",
            )
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    def _problem(self, stream: socket.socket) -> bytes | None:
        """The frame that turns a connection away, if it is not taken."""
        user = _CREDENTIALS.unpack(stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
        if user != os.geteuid():
            return encode_frame(refusal(None, errno.EACCES, "this socket belongs to one application"))
        if len(self._connections) >= CONNECTION_LIMIT:
            message = f"an application has at most {CONNECTION_LIMIT} connections to its device"
            return encode_frame(refusal(None, errno.EAGAIN, message, remedy="Close one first."))
        return None
