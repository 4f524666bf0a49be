# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket on the same port as MQTT: a connection that begins with an HTTP request is upgraded.

Sources: RFC 6455; MQTT 3.1.1 and 5.0 §6 (subprotocol ``mqtt``, binary frames, packets and frames need not agree). The
protocol itself is the library ``websockets`` without its I/O. Identity is what it is without WebSocket: the TLS client
certificate, or what CONNECT shows.

The channel stands between transport and MQTT connection: a protocol to the one, a transport to the other.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, Protocol, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from armillary.hub.link.limits import MAX_WEBSOCKET_MESSAGE_BYTES
from armillary.hub.link.tls import Receiver, Transport
from armillary.wire.mqtt.stream import MAX_CONNECT_BYTES
from armillary.wire.text.web_address import host_of_origin

# IoT Hub's path, and the one that brokers have by custom.
PATHS = frozenset(("/$iothub/websocket", "/mqtt"))

# A request that is longer before it is whole is none of a client's: the library alone would buffer a megabyte for each
# unauthenticated peer, and this channel as much again.
MAX_OPENING_BYTES: Final = 16 * 1024

_SUBPROTOCOL = Subprotocol("mqtt")


class Inner(Receiver, Protocol):
    """What runs on a WebSocket."""

    @property
    def connected(self) -> bool:
        """Whether the client's CONNECT was accepted."""

    def serves(self, target: str, /) -> bool:
        """Whether a GET request for this target is no WebSocket's but is answered by :meth:`serve_http`."""

    def serve_http(self, transport: Transport, data: bytes, /) -> None:
        """Answer a request over HTTP: ``data`` is what came so far, ``transport`` what is below the WebSocket."""


class WebSocketChannel(asyncio.Protocol):
    """WebSocket between an open transport and an MQTT connection, server side."""

    def __init__(self, transport: Transport, inner: Inner) -> None:
        self._transport = transport
        self._inner = inner
        self._protocol = ServerProtocol(subprotocols=[_SUBPROTOCOL], max_size=MAX_CONNECT_BYTES)
        self._opening: bytes | None = b""  # what came before the request was whole

    # From the transport -------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._inner.connected:  # before anybody is known a message is no longer than a CONNECT may be
            self._protocol.max_message_size = MAX_WEBSOCKET_MESSAGE_BYTES
        if self._opening is not None:
            self._opening += data
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                opening, self._opening = self._opening or b"", None
                if self._inner.serves(event.path):
                    self._inner.serve_http(self._transport, opening)
                    return
                self._protocol.send_response(self._answer(event))
            elif isinstance(event, Frame):
                self._frame(event)
        if self._opening is not None and len(self._opening) > MAX_OPENING_BYTES and not self._protocol.close_expected():
            self._protocol.send_response(
                self._protocol.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request is too long.\n")
            )
            self._opening = None
        self._flush()
        if self._protocol.close_expected():
            self._inner.eof_received()
            self.close()

    def eof_received(self) -> bool | None:
        """The client has closed its side."""
        self._protocol.receive_eof()
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self._inner.resume_writing()

    # From the MQTT connection ------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes as a binary message."""
        if self._protocol.state is State.OPEN and not self._transport.is_closing():
            self._protocol.send_binary(data)
            self._flush()

    def close(self) -> None:
        """Send what is buffered and a close frame, then close."""
        self._say_goodbye()
        self._transport.close()

    def write_eof(self) -> None:
        """Send a close frame and nothing more; what still comes is discarded."""
        self._say_goodbye()
        self._transport.write_eof()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Deliver no more data."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What is known of the connection below."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver what comes to another MQTT connection from now on."""
        self._inner = cast("Inner", protocol)

    def _answer(self, request: Request) -> Response:
        if request.path.partition("?")[0] not in PATHS:
            return self._protocol.reject(HTTPStatus.NOT_FOUND, f"WebSocket is at {' and '.join(sorted(PATHS))}.\n")
        origin = request.headers.get("Origin")
        if origin is not None and host_of_origin(origin) != request.headers.get("Host", ""):
            # A browser sends its user's certificate along with what any page asks for.
            return self._protocol.reject(HTTPStatus.FORBIDDEN, "Pages of other sites may not connect.\n")
        return self._protocol.accept(request)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:  # MQTT §6: nothing but binary
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT) and self._protocol.state is State.OPEN:
            self._inner.data_received(bytes(frame.data))

    def _say_goodbye(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
