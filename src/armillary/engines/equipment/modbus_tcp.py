# SPDX-License-Identifier: Apache-2.0
"""Modbus TCP: one connection, one exchange at a time, told apart by transaction numbers.

A reply counts only with the number and the unit of the request that waits; late, doubled and foreign ones are counted
and dropped, so the link stays in step without a new connection. It is dropped where the stream cannot be cut any more,
where a reply lies, is flooded or stands half done, and after :data:`TIMEOUTS_IN_A_ROW` without an answer (a machine
that was switched off never closes its side).

Source: Modbus Messaging on TCP/IP Implementation Guide 1.0b §4.4.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final, Protocol

from armillary.engines.equipment.port import LinkCounters
from armillary.engines.equipment.reconnecting import Backoff
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import check_reply
from armillary.wire.equipment.modbus_framing import MAX_TCP_FRAME_BYTES, TcpFrames, tcp_frame
from armillary.wire.equipment.profile import ModbusTcp
from armillary.wire.equipment.request import Frame, ModbusReply, ModbusRequest, Request

# A machine on the cable beside answers a SYN within milliseconds, one that boots within a second.
CONNECT_S: Final = 2.0
TIMEOUTS_IN_A_ROW: Final = 3
# Frames that belong to no request, while one waits: more is a flood.
MAX_FOREIGN_FRAMES: Final = 64
# Bytes between two requests that nobody asked for: late replies are far fewer.
MAX_UNASKED_BYTES: Final = 16 * MAX_TCP_FRAME_BYTES


class ModbusTcpLink:
    """The link to one unit."""

    def __init__(self, settings: ModbusTcp) -> None:
        self.counters = LinkCounters()
        self._settings = settings
        self._turn = asyncio.Lock()
        self._backoff = Backoff()
        self._connection: _Connection | None = None
        self._transaction = 0
        self._timeouts = 0

    async def exchange(self, permit: Permit[Request]) -> ModbusReply:
        """See :class:`~armillary.engines.equipment.port.Link`."""
        request = permit.request
        if not isinstance(request, ModbusRequest):
            raise LinkError("refused", f"a Modbus link does not carry {type(request).__name__}")
        async with self._turn:
            connection = self._connection
            if connection is not None and connection.half_done:  # By what came since: nothing behind it is a reply
                connection.drop()
                connection = None
            if connection is None or connection.closed:
                connection = await self._connect()
            try:
                reply = await self._ask(connection, request)
            except LinkError as error:
                self._failed(connection, error)
                raise
            except asyncio.CancelledError:
                # What comes for it later has an old number.
                connection.forget()
                raise
            self._timeouts = 0
            self._backoff.worked()
            self.counters.replies += 1
            return reply

    async def receive(self) -> Frame:
        """Modbus servers send nothing by themselves: waits for ever."""
        never: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        """Disconnect. May be called more than once."""
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

    async def _ask(self, connection: _Connection, request: ModbusRequest) -> ModbusReply:
        self._transaction = self._transaction % 0xFFFF + 1
        self.counters.exchanges += 1
        pdu = await connection.ask(self._transaction, request, self._settings.timeout_s)
        return ModbusReply(check_reply(request.pdu, pdu))

    async def _connect(self) -> _Connection:
        settings, loop = self._settings, asyncio.get_running_loop()
        self._backoff.check(loop.time())
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self.counters), settings.host, settings.port
                )
        except OSError as error:  # TimeoutError is one
            self._backoff.failed(loop.time())
            raise LinkError("unreachable", f"{settings.host}:{settings.port}: {_why(error)}") from error
        self.counters.connects += 1
        self._connection, self._timeouts = connection, 0
        return connection

    def _failed(self, connection: _Connection, error: LinkError) -> None:
        connection.forget()
        self.counters.count(error)
        if error.reason == "refused":  # By equipment that works
            self._timeouts = 0
            self._backoff.worked()
            return
        if error.reason == "timeout":
            self._timeouts += 1
            if self._timeouts < TIMEOUTS_IN_A_ROW and not connection.half_done:
                return
        connection.drop()
        self._connection = None
        self._backoff.failed(asyncio.get_running_loop().time())


def _why(error: OSError) -> str:
    """What a connection that did not come about failed of, without the addresses that asyncio names."""
    if isinstance(error, socket.gaierror):  # Its numbers are no errno
        return f"{error.strerror}"
    return os.strerror(error.errno) if error.errno else f"no connection within {CONNECT_S:.0f} s"


class _Transport(Protocol):
    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...


class _Connection(asyncio.Protocol):
    """One TCP connection: cuts what comes, and hands the reply to the request that waits."""

    def __init__(self, counters: LinkCounters) -> None:
        self.closed = False
        self._counters = counters
        self._frames = TcpFrames()
        self._transport: _Transport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._expected = (0, 0)  # Transaction and unit
        self._timeout_s = self._deadline = 0.0  # Of the request that waits
        self._timer: asyncio.TimerHandle | None = None
        self._unasked_bytes = 0
        self._foreign_frames = 0

    async def ask(self, transaction: int, request: ModbusRequest, timeout_s: float) -> bytes:
        """Send a request; return the PDU that came with its transaction and unit.

        Raises:
            LinkError: ``unreachable``, ``timeout``, ``damaged`` or ``foreign``.
        """
        if self._transport is None or self.closed:
            raise LinkError("unreachable", "the equipment closed the connection")
        loop = asyncio.get_running_loop()
        self._expected = (transaction, request.unit)
        self._unasked_bytes = self._foreign_frames = 0
        self._waiting = loop.create_future()
        self._timeout_s, self._deadline = timeout_s, loop.time() + timeout_s
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(self._deadline, self._look)
        self._transport.write(tcp_frame(transaction, request.unit, request.pdu))
        return await self._waiting

    def _look(self) -> None:
        """Fail what waited too long. One timer serves all requests: most are answered long before it is due."""
        self._timer = None
        if self._waiting is None or self._waiting.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._look)
        else:
            self._fail("timeout", f"no reply within {self._timeout_s:g} s")

    @property
    def half_done(self) -> bool:
        """Whether a part of a reply is here."""
        return self._frames.begun

    def forget(self) -> None:
        """Wait no more."""
        self._waiting = None

    def drop(self) -> None:
        """Close the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport  # type: ignore[assignment] # of TCP: asyncio's type is of every kind

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        waiting = self._waiting
        try:
            frames = self._frames.feed(data)
        except LinkError as error:
            self._fail(error.reason, error.message)
            self.drop()
            return
        for frame in frames:
            if (frame.transaction, frame.unit) == self._expected and waiting is not None and not waiting.done():
                waiting.set_result(frame.pdu)
            else:
                self._counters.foreign += 1
                self._foreign_frames += 1
        if waiting is None or waiting.done():
            self._unasked_bytes += len(data)
        if self._foreign_frames > MAX_FOREIGN_FRAMES or self._unasked_bytes > MAX_UNASKED_BYTES:
            self._fail("foreign", "the equipment floods the link with replies that nobody asked for")
            self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        self._counters.disconnects += 1
        self._fail("unreachable", f"the connection broke: {error}" if error else "the equipment closed the connection")

    def _fail(self, reason: str, message: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LinkError(reason, message))
