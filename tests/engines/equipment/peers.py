# SPDX-License-Identifier: Apache-2.0
"""Equipment for tests of links: it answers as it should, or as the test says for the next requests."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import pytest
from tests.wire.equipment.modbus_bank import MemoryBank

from armillary.engines.equipment.port import Link
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import answer, read_request
from armillary.wire.equipment.modbus_framing import RtuRequests, TcpFrames, UnitPdu, rtu_frame, tcp_frame
from armillary.wire.equipment.profile import Table
from armillary.wire.equipment.request import ModbusRequest, Request


class Asked(NamedTuple):
    """A request that came to a peer, and the whole frame of its right reply."""

    request: UnitPdu
    good: bytes


# What a peer does with one request: the bytes that it sends.
Act = Callable[[Asked], bytes]


def permit(pdu: bytes, unit: int = 1) -> Permit[Request]:
    return Permit(ModbusRequest(unit, pdu))


def reading(address: int, count: int = 2, unit: int = 1) -> Permit[Request]:
    return permit(read_request(Table.HOLDING, address, count), unit)


async def fails(link: Link, reason: str, wanted: Permit[Request] | None = None) -> LinkError:
    """An exchange fails, for this reason."""
    with pytest.raises(LinkError) as caught:
        await link.exchange(wanted or reading(100))
    assert caught.value.reason == reason, caught.value
    return caught.value


def reply_of(address: int, count: int = 2) -> bytes:
    """What MemoryBank has there."""
    return bytes([3, 2 * count]) + b"".join(each.to_bytes(2) for each in range(address, address + count))


def sends(data: bytes) -> Act:
    return lambda _: data


silent = sends(b"")


class TcpPeer:
    """A Modbus TCP server on a free port of loopback, in the loop of the test."""

    def __init__(self, *acts: Act) -> None:
        self.bank = MemoryBank()
        self.acts = deque(acts)
        self.requests: list[UnitPdu] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        await self.listen(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.stop()

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def send(self, data: bytes) -> None:
        self._writers[-1].write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        frames = TcpFrames()
        try:
            while data := await reader.read(4096):
                for request in frames.feed(data):
                    self.requests.append(request)
                    good = tcp_frame(request.transaction, request.unit, answer(request.pdu, self.bank))
                    writer.write(self.acts.popleft()(Asked(request, good)) if self.acts else good)
        except OSError:
            pass
        writer.close()


class PtyPeer:
    """A Modbus RTU server behind a pseudo terminal, in the loop of the test. ``path`` is the other end."""

    def __init__(self, *acts: Act, echo: bool = False) -> None:
        self.bank = MemoryBank()
        self.acts = deque(acts)
        self.requests: list[UnitPdu] = []
        self.heard = b""  # Everything that came
        self._echo = echo
        self._frames = RtuRequests()

    async def __aenter__(self) -> Self:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = Path(os.ttyname(slave))
        self._slave: int | None = slave  # Kept open: a pseudo terminal without a slave is hung up
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._serve)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        if self._slave is not None:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._slave = None

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def _serve(self) -> None:
        data = os.read(self._master, 4096)
        self.heard += data
        if self._echo:
            self.send(data)
        for request in self._frames.feed(data):
            self.requests.append(request)
            good = rtu_frame(request.unit, answer(request.pdu, self.bank))
            self.send(self.acts.popleft()(Asked(request, good)) if self.acts else good)
