# SPDX-License-Identifier: Apache-2.0
"""A simulated machine that answers Modbus over TCP and over a pseudo-terminal (RTU)."""

from __future__ import annotations

import asyncio
from typing import Final

from armillary.sim.equipment.faults import LATE_S, Fault, rtu_reply, tcp_reply
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.registers import Registers
from armillary.sim.serial.pseudo_terminal import PseudoTerminal
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import answer
from armillary.wire.equipment.modbus_framing import RtuRequests, TcpFrames, UnitPdu

BROADCAST: Final = 0  # done by all, answered by none (Modbus over Serial Line 1.02 §2.1)
# A kernel hands bytes on late: this long a silence ends a frame that could not be cut by its length.
SILENCE_S: Final = 0.02
CHUNK_BYTES: Final = 4096


class ModbusMachine:
    """The server side of one machine, whichever way requests come.

    Args:
        unit: The only unit that is answered, 1 to 247.
        nameless: As of Registers.
    """

    def __init__(self, life: Life, *, unit: int, nameless: bool = False) -> None:
        self._life = life
        self._unit = unit
        self._bank = Registers(life.profile, life.machine, nameless=nameless)

    def reply(self, request: UnitPdu) -> tuple[bytes, Fault | None] | None:
        """What is answered, and how that is spoiled; None: nothing is."""
        if request.unit not in (self._unit, BROADCAST) or self._life.silent:
            return None
        self._life.catch_up()
        made = answer(request.pdu, self._bank)
        fault = self._life.fault()
        if request.unit == BROADCAST or fault in (Fault.SILENCE, Fault.REBOOT):
            return None
        return made, fault

    @property
    def silent(self) -> bool:
        """Whether the machine is starting."""
        return self._life.silent


class TcpServer:
    """Serves one machine over TCP until it is closed."""

    def __init__(self, machine: ModbusMachine) -> None:
        self._machine = machine
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (0 took a free one). Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = TcpFrames()
        self._writers.add(writer)
        try:
            while data := await reader.read(CHUNK_BYTES):
                for request in frames.feed(data):
                    await self._answer(request, writer)
                if self._machine.silent:
                    break  # its power is gone, and with it every connection
        except (LinkError, OSError):
            pass  # what came is no Modbus, or the client is gone: the connection ends
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, request: UnitPdu, writer: asyncio.StreamWriter) -> None:
        made = self._machine.reply(request)
        if made is None:
            return
        reply, fault = made
        if fault is Fault.LATE:
            await asyncio.sleep(LATE_S)
        writer.write(tcp_reply(request, reply, fault))
        await writer.drain()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()


class RtuServer:
    """Serves one machine on a pseudo-terminal until it is closed."""

    def __init__(self, machine: ModbusMachine, line: PseudoTerminal) -> None:
        self._machine = machine
        self._line = line
        self._requests = RtuRequests()
        self._silence: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Answer what comes, in the running event loop."""
        self._line.listen(self._take)

    def _take(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self._silence is not None:
            self._silence.cancel()
        self._silence = loop.call_later(SILENCE_S, lambda: self._answer(self._requests.silence()))
        self._answer(self._requests.feed(data))

    def _answer(self, requests: list[UnitPdu]) -> None:
        for request in requests:
            made = self._machine.reply(request)
            if made is not None:
                frame = rtu_reply(request, *made)
                delay = LATE_S if made[1] is Fault.LATE else 0.0
                asyncio.get_running_loop().call_later(delay, self._line.write, frame)

    async def close(self) -> None:
        """Leave the line."""
        if self._silence is not None:
            self._silence.cancel()
        self._line.close()
