# SPDX-License-Identifier: Apache-2.0
"""Connections of simulated devices in this process: MQTT over calls instead of a socket.

Decoder, limits, group commit, log, twin and methods are those of any device. No client outside the process can open
one; the code that opens it vouches for the identity, as a certificate does elsewhere.
"""

from __future__ import annotations

from asyncio import BaseProtocol
from collections.abc import Callable
from typing import TYPE_CHECKING

from armillary.errors import WireError
from armillary.hub.front.connection import HubConnection, Listening

if TYPE_CHECKING:
    from armillary.wire.mqtt.packet import Connect


class InProcessChannel:
    """The device's end of a connection, and the transport under the hub's. Lives in the hub's loop.

    ``receive`` is called with bytes from the hub, soon after it sent them; ``closed`` once, when the connection is
    over.
    """

    def __init__(
        self, front: Listening, identity: str, receive: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        self._loop = front.loop
        self._receive = receive
        self._closed = closed
        self._is_closing = False
        self._is_paused = False
        self._waiting = bytearray()
        self._connection = InProcessConnection(front, identity)
        self._connection.attached(self)

    def send(self, data: bytes) -> None:
        """Bytes to the hub; kept here while it reads nothing."""
        if self._is_closing:
            return
        if self._is_paused:
            self._waiting += data
        else:
            self._connection.data_received(data)

    # Of the hub's transport ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes to the device."""
        self._loop.call_soon(self._receive, bytes(data))

    def write_eof(self) -> None:
        """Nothing more comes: a simulated device closes its end at once."""
        self.close()

    def close(self) -> None:
        """Close after what is on its way."""
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._lost)

    def abort(self) -> None:
        """Close at once."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._is_closing

    def pause_reading(self) -> None:
        """Keep what the device sends."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Take what was kept."""
        self._is_paused = False
        if self._waiting:
            data, self._waiting = bytes(self._waiting), bytearray()
            self._loop.call_soon(self.send, data)

    def get_extra_info(self, name: str, default: object = None) -> object:  # noqa: ARG002 - there is no network
        """Nothing: a simulated device has no address."""
        return default

    def set_protocol(self, protocol: BaseProtocol) -> None:
        """For WebSocket, which simulated devices do not use."""

    def _lost(self) -> None:
        self._connection.connection_lost(None)
        self._closed()


class InProcessConnection(HubConnection):
    """The hub's end: a device whose identity was vouched for when the channel was opened."""

    __slots__ = ("_vouched_for",)

    def __init__(self, front: Listening, identity: str) -> None:
        super().__init__(front)
        self._vouched_for = identity

    def _identify(self, packet: Connect) -> None:
        if packet.client_id != self._vouched_for:
            raise WireError("mqtt", expected="the client id that the channel was opened for", got="another")
        self.device_id = self._vouched_for
        self._will = packet.will
