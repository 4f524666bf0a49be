# SPDX-License-Identifier: Apache-2.0
"""One device connection: HTTP/1.1 over TLS, one request at a time, everything bounded.

Our own protocol class over httptools (the parser of uvicorn) and not aiohttp: the check-in path costs 45 us of
serving instead of 57, and the connection can be closed the moment a device is revoked. It supports little: eleven
routes, no chunked replies, no upgrades, no pipelining (a second request before the first reply ends the connection).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import httptools

from armillary.errors import ArmillaryError, WireError
from armillary.service.endpoint.problem import REASONS, RequestRefusedError, problem_of
from armillary.service.verifier.peers import Peer, peer_of
from armillary.wire.device.checkin import MAX_REQUEST_BYTES

MAX_URL_BYTES: Final = 1024
MAX_HEADER_BYTES: Final = 8 * 1024
MAX_HEADERS: Final = 64
MAX_BODY_BYTES: Final = MAX_REQUEST_BYTES

# A request must be whole this long after its first byte.
REQUEST_TIMEOUT_S: Final = 10.0
# A connection without a request is closed after this long; devices come back after an hour or so anyway.
IDLE_TIMEOUT_S: Final = 75.0

CBOR: Final = b"application/cbor"
OCTETS: Final = b"application/octet-stream"

# Head of the reply to an accepted check-in, up to the length.
_OK_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/cbor\r\ncontent-length: "


class Endpoint(Protocol):
    """What a connection needs of its endpoint; ``monotonic`` gives seconds that never go back."""

    monotonic: Callable[[], float]

    def opened(self, connection: DeviceConnection) -> None:
        """Take note of a new connection."""

    def closed(self, connection: DeviceConnection) -> None:
        """Take note of a closed connection."""

    def refused(self, connection: DeviceConnection, error: ArmillaryError, status: int) -> None:
        """Take note of a refused request."""

    def handle(self, connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
        """Answer a request, now or later; ArmillaryError if it is refused."""


@dataclass(eq=False, slots=True, repr=False)
class DeviceConnection(asyncio.Protocol):
    """Parses requests, hands them to the endpoint, writes replies."""

    _endpoint: Endpoint
    transport: asyncio.Transport | None = None
    peer: Peer | None = None
    busy: bool = False
    deadline: float = 0.0
    drained: asyncio.Event | None = None
    range_header: bytes | None = None
    _parser: httptools.HttpRequestParser = field(init=False)
    _url: bytes = b""
    _body: list[bytes] = field(default_factory=list)
    _body_bytes: int = 0
    _header_bytes: int = 0
    _headers: int = 0
    _keep_alive: bool = True

    def __post_init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    # -- asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: parse the client's certificate."""
        self.transport = cast("asyncio.Transport", transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.deadline = self._endpoint.monotonic() + IDLE_TIMEOUT_S
        try:
            self.peer = peer_of(tls.getpeercert(binary_form=True))
        except WireError:
            self.transport.abort()  # a certificate of the silicon authority that is no device's
            return
        self._endpoint.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is closed; a check-in that is being recorded is recorded all the same."""
        self._endpoint.closed(self)
        if self.drained is not None:
            self.drained.set()
        self.transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        if self.busy:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if self.busy or not self._keep_alive:
                self.close()  # an answer now would be taken for the one to the request before
            elif isinstance(cause, RequestRefusedError):
                self.fail(cause, close=True)
            else:
                self.fail(RequestRefusedError(400, "the request is not HTTP/1.1"), close=True)

    def pause_writing(self) -> None:
        """The device reads slower than we write: read no more requests either, their replies would pile up."""
        self.drained = asyncio.Event()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The device has read enough to go on."""
        if self.drained is not None:
            self.drained.set()
            self.drained = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # -- httptools ------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """First byte of a request; never of one that came before the reply to the last: both may be in one segment."""
        if self.busy or not self._keep_alive:
            raise RequestRefusedError(400, "expected no request before the reply to the last one")
        self._url = b""
        self._body = []
        self._body_bytes = self._header_bytes = self._headers = 0
        self.range_header = None
        self.deadline = self._endpoint.monotonic() + REQUEST_TIMEOUT_S

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            raise RequestRefusedError(431, f"target: expected at most {MAX_URL_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            raise RequestRefusedError(431, f"headers: expected at most {MAX_HEADERS} and {MAX_HEADER_BYTES} bytes")
        if (
            len(name) == 14
            and name.lower() == b"content-length"
            and (not value.isdigit() or int(value) > MAX_BODY_BYTES)
        ):
            raise RequestRefusedError(413, f"body: expected at most {MAX_BODY_BYTES} bytes, got {value[:20]!r}")
        if len(name) == 5 and name.lower() == b"range":
            self.range_header = value

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            raise RequestRefusedError(413, f"body: expected at most {MAX_BODY_BYTES} bytes, got more")

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._parser.get_http_version() != "1.1":
            raise RequestRefusedError(400, "the request is not HTTP/1.1")
        self._keep_alive = self._parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.busy = True
        try:
            self._endpoint.handle(self, self._parser.get_method(), self._url, body)
        except ArmillaryError as error:
            self.fail(error)

    # -- replies --------------------------------------------------------------------------------------------------

    def reply_ok(self, body: bytes) -> None:
        """Answer 200 with CBOR."""
        transport = self.transport
        if transport is None:
            return
        transport.write(b"%b%d\r\n\r\n%b" % (_OK_HEAD, len(body), body))
        self.end_reply()

    def wait(self, seconds: float) -> None:
        """Give the reply so much longer before the connection counts as slow."""
        self.deadline = self._endpoint.monotonic() + seconds + REQUEST_TIMEOUT_S

    def start_reply(self, status: int, length: int, *, content: bytes = CBOR, extra: bytes = b"") -> None:
        """Write the head of a reply; the body follows with :meth:`write`, then :meth:`end_reply`."""
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n"
                % (
                    status,
                    REASONS[status],
                    content,
                    length,
                    extra,
                    b"" if self._keep_alive else b"connection: close\r\n",
                )
            )

    async def write(self, chunk: bytes) -> bool:
        """Write a part of a body, no faster than the device reads; False when the device is gone."""
        if self.transport is None or self.transport.is_closing():
            return False
        self.transport.write(chunk)
        self.deadline = self._endpoint.monotonic() + REQUEST_TIMEOUT_S
        if self.drained is not None:
            await self.drained.wait()
        return self.transport is not None

    def end_reply(self) -> None:
        """The body is written: the next request may come."""
        self.busy = False
        self.deadline = self._endpoint.monotonic() + IDLE_TIMEOUT_S
        if not self._keep_alive:
            self.close()

    def fail(self, error: ArmillaryError, *, close: bool = False, is_refusal: bool = True) -> None:
        """Answer with an error; ``is_refusal`` is False for one that devices in order get: nobody takes note of it."""
        status, body, retry = problem_of(error)
        if is_refusal:
            self._endpoint.refused(self, error, status)
        if close:
            self._keep_alive = False
        extra = b"" if retry is None else b"retry-after: %d\r\n" % retry
        self.start_reply(status, len(body), extra=extra)
        if self.transport is not None:
            self.transport.write(body)
        self.end_reply()

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
