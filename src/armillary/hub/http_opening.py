# SPDX-License-Identifier: Apache-2.0
"""The first line of an HTTP request on the hub's ports: it says whom the connection is for.

Services ask on the same port as devices, because IoT Hub's service clients know no other than 443. Whoever asks first
for something of the service API gets a connection of the operator API, with its limits and its admission; all others
stay with the hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from armillary.wire.iot_hub_paths import is_service_target

if TYPE_CHECKING:
    from armillary.hub.connection import Connection
    from armillary.hub.tls import TlsChannel

# Makes what answers a service's connection; None when there is nobody any more.
ServiceApi = Callable[[], asyncio.Protocol | None]

# A first line that is longer is none of a client's: targets are an id or two and a version.
MAX_LINE_BYTES: Final = 8 * 1024
_PARTS: Final = 3  # method, target, version (RFC 9112 §3)


class HttpOpening(asyncio.Protocol):
    """Keeps what came until the first line is whole. The link's own time for a CONNECT goes on.

    Args:
        connection: Whose beginning it is.
        transport: Its TLS channel, which delivers here until somebody else takes it.
        service_api: Makes what answers a service's connection.
    """

    def __init__(self, connection: Connection, transport: TlsChannel, service_api: ServiceApi) -> None:
        self._connection = connection
        self._transport = transport
        self._service_api = service_api
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Bytes of the request."""
        self._data += data
        line, end, _ = self._data.partition(b"\n")
        if not end and len(self._data) <= MAX_LINE_BYTES:
            return
        words = line.split()
        if len(words) == _PARTS and is_service_target(words[1].decode("latin-1")):
            self._serve()
        else:
            self._connection.serve_devices(self._transport, self._data)

    def eof_received(self) -> bool | None:
        """The client has closed its side."""
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Nothing is written yet."""

    def resume_writing(self) -> None:
        """Nothing is written yet."""

    def _serve(self) -> None:
        protocol = self._service_api()
        self._connection.give_up()
        if protocol is None:
            self._transport.abort()
            return
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)  # type: ignore[arg-type]  # it has what uvicorn's protocol calls
        if not self._transport.is_closing():
            protocol.data_received(self._data)
