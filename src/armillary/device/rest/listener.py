# SPDX-License-Identifier: Apache-2.0
"""Takes connections of the device's API: who may not reach it is closed before a byte of his is read.

Connections, and how long one may say nothing, are bounded. A connection that ends, however it does, makes room for
another. Nothing here waits in the event loop: it is the device's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import os
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

from armillary.device.rest.settings import ServiceLink
from armillary.engines.host.connections import peer_user
from armillary.errors import PortInUseError

MAX_CONNECTIONS: Final = 16
MAX_OF_ADDRESS: Final = 8  # somebody on a network leaves room for others
MAX_LOOKED_AT: Final = 16  # connections whose user is being looked up; they take no room of those that are let in
# Connections that have not said a link's secret yet. The newest takes the place of the oldest: silence keeps nobody out
MAX_UNSAID: Final = 64
EXHAUSTED_S: Final = 0.5  # until the next try where no descriptor is left
HANDSHAKE_S: Final = 10.0
FIRST_REQUEST_S: Final = 10.0
IDLE_S: Final = 60.0
REQUEST_S: Final = 300.0  # for 256 MiB at 1 MB/s; an answer is made in less
MAX_LINE_BYTES: Final = 2048
MAX_HEADERS: Final = 32
_READ_BYTES: Final = 64 * 1024
_BACKLOG: Final = 64
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]
# Called with a user id, or None for somebody who has none here, for each connection that was refused.
Refused = Callable[[int | None], None]


class Listener:
    """One listening socket and its connections; use as an async context manager.

    Args:
        handler: Answers a request; raises nothing.
        headers: Of every answer, also of those to what is no HTTP.
        tls: None for plain HTTP.
        owner_only: Whether only this process's user and root, on this host, may connect.
        refused: Hears of those who may not.
        link: The service link whose interface alone connections may come in by, and with its secret.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        headers: dict[str, str],
        tls: ssl.SSLContext | None,
        owner_only: bool,
        refused: Refused,
        link: ServiceLink | None = None,
    ) -> None:
        self._tls = tls
        self._link = link
        self._owner_only = owner_only
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._handler = handler
        self._server = _Server(
            self._answer,
            headers,
            access_log=None,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            keepalive_timeout=IDLE_S,
            lingering_time=0,
            auto_decompress=False,  # a small body must not become a giant one
            read_bufsize=_READ_BYTES,
        )
        self._socket: socket.socket | None = None
        self._entering: set[asyncio.Task[None]] = set()
        self._held: Counter[str] = Counter()  # connections by address
        self._looked_at = 0
        self._unsaid: list[asyncio.Task[Any]] = []  # the oldest first
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="device-api")  # strangers hold up no other work

    def listen(self, host: str, port: int, *, found: Callable[[int], object] = lambda _: None) -> int:
        """Listen; returns the port, for 0 the one that the kernel chose, and tells ``found`` before anybody gets in.

        Raises:
            PortInUseError: another process has it, or there is no such address here.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setblocking(False)
            if self._link is not None:  # an address alone would be reached by every interface (weak host model)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._link.interface.encode())
            made.bind((host, port))
            found(int(made.getsockname()[1]))
            made.listen(_BACKLOG)
        except OSError as error:
            made.close()
            raise PortInUseError.at("the device's API", host, port, error) from error
        self._socket = made
        self._loop.add_reader(made.fileno(), self._accept)
        return int(made.getsockname()[1])

    async def close(self) -> None:
        """Take no more connections and end those that are open."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for task in tuple(self._entering):
            task.cancel()
        await asyncio.gather(*self._entering, return_exceptions=True)
        self._looks.shutdown(wait=False, cancel_futures=True)
        await self._server.shutdown(1.0)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)  # noqa: S101 - this listener makes no others
        connection.set_deadline(REQUEST_S)
        try:
            return await self._handler(request)
        finally:
            connection.set_deadline(IDLE_S)

    def _accept(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is read only while it listens
        try:
            accepted, address = self._socket.accept()
        except OSError as error:  # closed while it waited, or no descriptor is left: the others stay in the queue
            if error.errno in _EXHAUSTED:
                self._loop.remove_reader(self._socket.fileno())
                self._loop.call_later(EXHAUSTED_S, self._listen_again)
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._enter(accepted, str(address[0])), name="device API connection")
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    def _listen_again(self) -> None:
        if self._socket is not None and self._looked_at < MAX_LOOKED_AT:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    async def _enter(self, accepted: socket.socket, address: str) -> None:
        """Let a connection in, if it may come; its handshake has a limit of time."""
        with contextlib.ExitStack() as refused:
            refused.callback(accepted.close)
            if self._owner_only and not await self._is_owners(accepted):
                return
            if self._link is not None and not await self._has_secret(accepted, self._link.secret):
                return
            if not self._has_room(address):
                return
            place = contextlib.ExitStack()  # however often it is closed, the room is free once
            self._held[address] += 1
            place.callback(self._free, address)
            refused.callback(place.close)
            connection = self._server.connection(place.close)
            timeout = None if self._tls is None else HANDSHAKE_S
            with contextlib.suppress(OSError):  # a handshake that failed
                await self._loop.connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=timeout
                )
                refused.pop_all()  # from here on the connection closes its socket, and gives its room back

    async def _is_owners(self, accepted: socket.socket) -> bool:
        """Whether this user or root has made a connection; while many are looked at, the next wait in the kernel."""
        self._looked_at += 1
        if self._looked_at >= MAX_LOOKED_AT and self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
        try:
            user = await self._loop.run_in_executor(self._looks, peer_user, accepted)
        finally:
            self._looked_at -= 1
            self._listen_again()
        if user in (0, os.geteuid()):
            return True
        self._refused(user)
        return False

    async def _has_secret(self, accepted: socket.socket, secret: bytes) -> bool:
        """Whether a connection begins with the secret, in time; nothing that comes after it is read."""
        begun, mine = bytearray(), asyncio.current_task()
        assert mine is not None  # noqa: S101 - each connection has a task
        self._unsaid.append(mine)
        if len(self._unsaid) > MAX_UNSAID:
            self._unsaid.pop(0).cancel()
            self._refused(None)
        try:
            with contextlib.suppress(OSError, TimeoutError):  # it went away, or says nothing
                async with asyncio.timeout(HANDSHAKE_S):
                    while len(begun) < len(secret):
                        part = await self._loop.sock_recv(accepted, len(secret) - len(begun))
                        if not part:
                            break
                        begun += part
        finally:
            with contextlib.suppress(ValueError):  # it was the oldest of too many
                self._unsaid.remove(mine)
        if hmac.compare_digest(bytes(begun), secret):
            return True
        self._refused(None)
        return False

    def _has_room(self, address: str) -> bool:
        if self._owner_only or self._link is not None:  # all of a link come from one address: its computer's
            return self._held.total() < MAX_CONNECTIONS
        return self._held.total() < MAX_CONNECTIONS and self._held[address] < MAX_OF_ADDRESS

    def _free(self, address: str) -> None:
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]


class _Server(Server):
    """Makes connections that tell when they end."""

    def __init__(self, handler: Handler, headers: dict[str, str], **options: Any) -> None:
        super().__init__(handler)
        self._headers = headers
        self._options = options

    def connection(self, ended: Callable[[], None]) -> _Connection:
        """A new connection, which calls ``ended`` once it is over."""
        return _Connection(self, self._headers, ended, loop=self._loop, **self._options)


class _Connection(RequestHandler):
    """One connection: it is closed when it asks nothing, and when one request takes too long."""

    __slots__ = ("_deadline", "_ended", "_fixed_headers")

    def __init__(self, manager: _Server, headers: dict[str, str], ended: Callable[[], None], **options: Any) -> None:
        super().__init__(manager, **options)
        self._fixed_headers = headers
        self._ended = ended
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.set_deadline(FIRST_REQUEST_S)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)
        self._ended()

    def set_deadline(self, seconds: float) -> None:
        """End the connection after so long, unless it gets another deadline."""
        self._cancel_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._expired)

    def handle_error(
        self,
        request: BaseRequest,  # noqa: ARG002 - as in the class above
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> StreamResponse:
        """The answer to what is no HTTP: no text of the sender's comes back, and nothing of it is written to a log."""
        found = Response(status=status, headers=self._fixed_headers)
        found.force_close()
        return found

    def _expired(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
