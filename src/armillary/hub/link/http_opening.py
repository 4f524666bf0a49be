# SPDX-License-Identifier: Apache-2.0
"""The first line of an HTTP request on the hub's ports decides whether the hub or the operator API answers it.

IoT Hub's service clients know no other port than 443, so services and devices share one. A connection whose first
request is one of the service API goes to the operator API, with its limits and its admission; all others stay with the
hub. Clients reuse connections for either kind of request: ``hub/provisioning/routes.py`` hands a connection over
between two requests, and the operator API passes devices' requests to :meth:`DeviceHttps.answer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from armillary.hub.link.tls import TlsChannel
from armillary.wire.hub.iot_hub_paths import is_service_target

# Makes what answers a service's connection, for a client with this certificate (DER); None when it takes none any more.
AnswerService = Callable[[bytes | None], asyncio.Protocol | None]

# A first line that is longer is none of a client's: targets are an id or two and a version.
MAX_LINE_BYTES: Final = 8 * 1024
_PARTS: Final = 3  # method, target, version (RFC 9112 §3)


class ServiceConnections:
    """Hands connections of services to the operator API, once that has started."""

    def __init__(self) -> None:
        self._answer: AnswerService | None = None

    @property
    def are_answered(self) -> bool:
        """Whether the operator API has started."""
        return self._answer is not None

    def answer_with(self, answer: AnswerService) -> None:
        """The operator API has started: it gets connections of services from now on."""
        self._answer = answer

    def hand_over(self, transport: TlsChannel, certificate: bytes | None, data: bytes) -> None:
        """Give a connection to the operator API, with what came of its request so far."""
        protocol = None if self._answer is None else self._answer(certificate)
        if protocol is None:
            transport.abort()
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)  # type: ignore[arg-type]  # it has what uvicorn's protocol calls
        if not transport.is_closing():
            protocol.data_received(data)


def has_line(data: bytes) -> bool:
    """Whether enough of a request has come to decide who answers it: a whole first line, or no request's."""
    return b"\n" in data or len(data) > MAX_LINE_BYTES or not data[:1].isalpha()


def is_of_service(data: bytes) -> bool:
    """Whether a request that begins so is one to the service API."""
    words = data.partition(b"\n")[0].split()
    return len(words) == _PARTS and is_service_target(words[1].decode("latin-1"))
