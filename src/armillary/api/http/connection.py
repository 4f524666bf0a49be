# SPDX-License-Identifier: Apache-2.0
"""One connection of the operator API: uvicorn's HTTP/1.1 protocol with limits on time, size and number.

uvicorn alone waits without end for a request head, accepts any number of headers, and refuses everybody once somebody
holds enough idle connections. Here connections without a complete head are dropped first when there are too many, so
that peers who hold connections open take nothing from operators. Slow bodies and answers of unauthenticated peers are
limited, too (``unauthenticated.py``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from armillary.api.http import problems
from armillary.api.http.callers import CLIENT_CERTIFICATE, CONNECTION, MAX_REQUESTS, Link
from armillary.api.http.unauthenticated import SlowRequests

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

# From the connection, or the first byte of a later request, to the end of the head, seconds: heads are one packet.
HEAD_TIMEOUT_S = 10.0
# A body may take this long, and one second more for each so many bytes of it: a slow uplink still sends an image.
BODY_TIMEOUT_S = 20.0
BODY_BYTES_A_SECOND = 4096
# A caller that takes nothing of its answer for this long is cut off, seconds.
STALLED_S = 60.0
# A connection that is dropped for another one gets an answer, and this long to read it, seconds.
PARTING_S = 2.0
# Target and headers of one request: browsers behind proxies send 4 KiB.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
# Once a request was refused, the rest of its body is discarded; beyond this the connection ends. No route takes more.
MAX_BODY_BYTES = 128 * 1024 * 1024
# Open connections: a browser uses six, a script one. Beyond, the one that has waited longest for a head is dropped.
MAX_CONNECTIONS = 800


class HeadTooLargeError(Exception):
    """Raised into the parser, which stops; the answer is sent by :meth:`ApiConnection.data_received`."""


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Slow requests that are not admitted yet, over all connections of a server.

    ``unauthenticated`` are counted by address, those ``with_token`` by the owner of their valid token: ``owner_of`` is
    the owner of the one in an Authorization header, empty for none.
    """

    unauthenticated: SlowRequests
    with_token: SlowRequests
    owner_of: Callable[[bytes], str]

    def left(self, connection: object) -> None:
        """Stop counting a connection, if it is counted."""
        self.unauthenticated.left(connection)
        self.with_token.left(connection)


class ApiConnection(HttpToolsProtocol):
    """A connection with limits. ``waiting`` are the server's connections without a request under way, oldest first."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        waiting: dict[ApiConnection, None],
        not_admitted: NotAdmitted,
        form: Callable[[str], problems.Form],
    ) -> None:
        super().__init__(config, server_state, {})
        self._form = form
        self._waiting = waiting
        self._not_admitted = not_admitted
        self._owner = ""  # whose good token the request shows
        self._admitted: object = None  # the scope of the request that somebody has admitted
        self._head_bytes = self._head_count = self._body_bytes = 0
        self._whole = False
        self._begun = self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._parting: asyncio.TimerHandle | None = None

    # -- from the transport ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A peer connected; drops the connection that has waited longest when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            longest = next(iter(self._waiting), self)
            self._waiting.pop(longest, None)
            longest.transport.abort()
        if not transport.is_closing():
            self._waiting[self] = None
            self._allow(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        self._waiting.pop(self, None)
        self._not_admitted.left(self)
        for timer in (self._timer, self._stalled, self._parting):
            if timer is not None:
                timer.cancel()
        self._timer = self._stalled = self._parting = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self in self._waiting and self._timer is None:  # blank lines, which begin nothing, end uvicorn's own time
            self._whole = False
            self._allow(HEAD_TIMEOUT_S)
        elif not self._whole and self not in self._waiting:
            self._count_slow()

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        super().pause_writing()
        self._count_slow()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._whole:
            self._not_admitted.left(self)
        super().resume_writing()

    # -- from the parser ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """First byte of a request."""
        super().on_message_begin()
        self._head_bytes = self._head_count = self._body_bytes = 0
        self._whole = False
        self._allow(HEAD_TIMEOUT_S)

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._head_count += 1
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._waiting.pop(self, None)
        self._begun = self.loop.time()
        self._allow(BODY_TIMEOUT_S)
        scope = self.scope
        given = [value for name, value in self.headers if name == b"authorization"]
        self._owner = self._not_admitted.owner_of(given[0]) if len(given) == 1 else ""
        extended: Any = scope
        extended[CONNECTION] = Link(lambda: self._admit(scope), self.flow.drain)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self.transport.abort()
            return
        self._deadline = self._begun + BODY_TIMEOUT_S + self._body_bytes / BODY_BYTES_A_SECOND
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._whole = True
        self._not_admitted.left(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written."""
        if not self.flow.write_paused:  # else it is in our memory still
            self._not_admitted.left(self)
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            self._waiting[self] = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, as a problem like every other error."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an answer now would be taken for the one to the request before
            return
        if self._head_bytes > MAX_HEAD_BYTES or self._head_count > MAX_HEADERS:
            status = 431
            msg = f"request head: expected at most {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes, got more"
            remedy = "Send fewer and shorter headers."
        else:
            status, msg, remedy = 400, "expected an HTTP/1.1 request", "Use an HTTP client."
        self._refuse(status, msg, remedy)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        busy: Any = self._busy
        super()._start_asgi_task(cycle, busy if len(self.tasks) >= MAX_REQUESTS else app)

    async def _busy(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = Request(scope).url.path
        await self._form(path)(problems.busy(path, MAX_REQUESTS))(scope, receive, send)

    def _admit(self, scope: object) -> None:
        """The caller of a request is known; requests that follow on this connection are not admitted by it."""
        if scope is self.scope:
            self._admitted = scope
            self._not_admitted.left(self)

    def _count_slow(self) -> None:
        if self._admitted is not self.scope or self.scope is None:
            host = self.client[0] if self.client else ""
            kinds = self._not_admitted
            counted = kinds.with_token if self._owner else kinds.unauthenticated
            counted.enter(self, self._owner or host, self._part)

    def _part(self) -> None:
        """End the connection in favour of another; with an answer if none has begun and the peer reads."""
        cycle = self.cycle
        if cycle is None or cycle.response_started or self.pipeline or self.flow.write_paused:
            self.transport.abort()
            return
        cycle.disconnected = True
        cycle.message_event.set()
        self._refuse(429, "too many requests whose bodies do not come", "Send a body at once, or try again later.")
        self._waiting[self] = None  # the first to go when places run out
        self._parting = self.loop.call_later(PARTING_S, self.transport.abort)

    def _refuse(self, status: int, detail: str, remedy: str) -> None:
        """Answer without the application, and close."""
        body = problems.problem_body(problems.Problem("", status, problems.OF_CONNECTIONS[status], detail, remedy))
        content = json.dumps(body).encode()
        later = f"retry-after: {problems.BUSY_RETRY_S}\r\n" if status == HTTPStatus.TOO_MANY_REQUESTS else ""
        head = (
            f"HTTP/1.1 {status} {body['title']}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(content)}\r\ncache-control: no-store\r\n{later}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + content)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: the upgrade is ignored, and unauthenticated peers do not fill our log."""

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES or self._head_count > MAX_HEADERS:
            raise HeadTooLargeError

    def _allow(self, seconds: float) -> None:
        """Set the deadline of what comes next."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._whole or self.transport.is_closing():
            return  # the request is whole; between requests uvicorn's keep-alive time counts
        if self.loop.time() >= self._deadline:
            self.transport.abort()
        else:
            self._timer = self.loop.call_at(self._deadline, self._look)


class CertifiedConnection(ApiConnection):
    """A connection whose requests carry the client certificate that TLS verified, if the peer has shown one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """The handshake is done."""
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {CLIENT_CERTIFICATE: tls.getpeercert(binary_form=True)}
        super().connection_made(transport)
