# SPDX-License-Identifier: Apache-2.0
"""HTTP requests of devices on the hub's ports: one small JSON request at a time, everything bounded.

A connection to the hub that begins with an HTTP request comes here when it is neither a WebSocket's nor of a service
(``http_opening.py``). Its identity is the TLS client certificate, or a shared access signature in the Authorization
header.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools

from armillary.hub.link.http_opening import has_line

if TYPE_CHECKING:
    from armillary.hub.link.tls import Transport

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
# Bytes of one request as they come, with the framing of chunks and what follows them: the parser keeps a header that is
# not at its end, so bytes are counted, not what the parser reports.
MAX_REQUEST_BYTES: Final = MAX_HEAD_BYTES + MAX_BODY_BYTES
# Requests that a client sends before the first of them is answered; they are answered in their order.
MAX_PIPELINED: Final = 8
# A request must be whole, and the next must begin, within this time (seconds).
REQUEST_TIMEOUT_S: Final = 20.0
# Open connections of this kind: uploads are rare, and each request is short.
MAX_CONNECTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; ``target`` is path and query as they came."""

    method: str
    target: str
    authorization: str | None
    body: bytes
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer; a body of None is empty."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class HttpChannel(asyncio.Protocol):
    """HTTP/1.1 on a transport, server side.

    ``passed_on`` is called between two requests with the beginning of the next; True when it gave the connection to
    another protocol, which answers that request.
    """

    def __init__(
        self,
        transport: Transport,
        certificate: bytes | None,  # The client's certificate, or None
        answer: Callable[[HttpRequest], Awaitable[HttpReply]],  # Answers a request; may raise nothing
        closed: Callable[[HttpChannel], None],  # Called once when the connection is gone or was passed on
        passed_on: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._transport = transport
        self._certificate = certificate
        self._answer = answer
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)  # one for the connection: a request may begin in any piece
        self._ready: deque[tuple[HttpRequest, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = self._opening = b""
        self._passed_on = passed_on
        self._is_broken = False
        self._turns = 0  # begins and ends of requests so far
        self.on_message_begin()
        self._wait_for_request()

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it is being answered: it waits for a request, or for the rest of one."""
        return self._task is None

    # From the transport -------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; while one is answered, a limited number of bytes waits."""
        if self._is_broken:
            return
        if self._task is not None:
            self._waiting += data
            if len(self._waiting) > MAX_REQUEST_BYTES:
                self.abort()
            return
        if self._turns % 2:  # no request has begun
            data, self._opening = self._opening + data, b""
            if not has_line(data):
                self._opening = data
                return
            if self._passed_on(data):
                self._leave()
                return
        turns = self._turns
        try:
            self._parser.feed_data(data)
            self._count(len(data) if turns == self._turns else 0)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_broken = True
        if self._ready:
            self._task = self._loop.create_task(self._reply())
        elif self._is_broken:
            self._write(HttpReply(400, {"Message": HTTPStatus.BAD_REQUEST.phrase}), keep=False)
            self._transport.close()

    def eof_received(self) -> bool | None:
        """The client has closed its side."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """The connection is gone."""
        self._leave()

    def pause_writing(self) -> None:
        """The send buffer is full although answers are small: the client reads none of them."""
        self.abort()

    def resume_writing(self) -> None:
        """Nothing: the connection was aborted."""

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # From the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins: forget what came of the one before."""
        self._turns += 1
        self._url, self._body, self._bytes, self._head_size = b"", b"", 0, 0
        self._in_head = True
        self._authorization: str | None = None

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._count_head(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._count_head(len(name) + len(value))
        if name.lower() == b"authorization":
            self._authorization = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            raise httptools.HttpParserError("body too large")

    def on_message_complete(self) -> None:
        """The request is whole."""
        if len(self._ready) >= MAX_PIPELINED:
            raise httptools.HttpParserError("too many requests at once")
        request = HttpRequest(
            self._parser.get_method().decode("ascii", "replace"),
            self._url.decode("latin-1"),
            self._authorization,
            self._body,
            self._certificate,
        )
        self._ready.append((request, self._parser.should_keep_alive()))
        self._turns += 1
        self._in_head, self._bytes = True, 0

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._closed(self)

    def _wait_for_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(REQUEST_TIMEOUT_S, self._transport.abort)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise httptools.HttpParserError("head too large")

    def _count(self, size: int) -> None:
        """Count a piece that was all of one request."""
        self._bytes += size
        if self._bytes > (MAX_HEAD_BYTES if self._in_head else MAX_REQUEST_BYTES):
            raise httptools.HttpParserError("request too large")

    async def _reply(self) -> None:
        while self._ready:
            request, keep = self._ready.popleft()
            reply = await self._answer(request)
            if self._transport.is_closing():
                return
            keep = keep and (bool(self._ready) or not self._is_broken)
            self._write(reply, keep=keep)
            if not keep:
                self._is_broken = True
                self._transport.close()
                return
            self._wait_for_request()
        self._task = None
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self.data_received(waiting)

    def _write(self, reply: HttpReply, *, keep: bool) -> None:
        content = b"" if reply.body is None else json.dumps(reply.body).encode()
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", f"content-length: {len(content)}"]
        lines.append(f"date: {formatdate(usegmt=True)}")  # RFC 9110 §6.6.1; guardians compare their clocks with it
        if content:
            lines.append("content-type: application/json; charset=utf-8")
        lines += [f"{name}: {value}" for name, value in reply.headers]
        lines.append(f"connection: {'keep-alive' if keep else 'close'}")
        self._transport.write("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + content)
