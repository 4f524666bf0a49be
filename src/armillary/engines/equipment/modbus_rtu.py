# SPDX-License-Identifier: Apache-2.0
"""Modbus over a serial line: one bus, one exchange at a time, any number of units.

Frames have no number: a reply that comes too late looks like the one to the next request. So after an exchange without
a good reply its unit and function are asked again only when that reply has come, or has had :data:`LATE_TIMES` times
its time; other units and functions can be told apart and need not wait. Before each request the line is silent for 3.5
characters and the link's gap; a line that is never silent is not spoken to.

Source: Modbus over Serial Line 1.02 §2.4 (states of a client), §2.5.1.1 (silence).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from armillary.engines.equipment.port import LinkCounters
from armillary.engines.equipment.reconnecting import Backoff
from armillary.engines.equipment.serial_line import LineShape, SerialLine
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus_framing import RtuReply, rtu_frame
from armillary.wire.equipment.profile import ModbusRtu
from armillary.wire.equipment.request import Frame, ModbusReply, ModbusRequest, Request

# §2.5.1.1: between frames; above 19200 baud a fixed time, for shorter ones cost too many interrupts.
SILENT_CHARACTERS: Final = 3.5
FAST_BAUD: Final = 19200
FAST_SILENCE_S: Final = 0.00175
# Silence that ends a frame that was begun. §2.5.1.1 says 1.5 characters; but USB adapters hand bytes on every 16 ms.
BROKEN_OFF_S: Final = 0.05
# A reply may come after its timeout for this many times the timeout, and is not taken for the next one.
LATE_TIMES: Final = 1.0


class RtuBus:
    """One serial line with its units. Links share it (:class:`ModbusRtuLink`); the last to close it closes the line."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._turn = asyncio.Lock()
        self._backoff = Backoff()
        self._links = set[object]()
        self._listening: _Listening | None = None
        self._late: dict[tuple[int, int], _Late] = {}  # By unit and function
        self._heard_at = 0.0  # When the line was last not silent, by the loop's clock
        self._counters = LinkCounters()  # Of the link that asked last

    @property
    def shape(self) -> LineShape:
        """How characters are on its wire."""
        return self._line.shape

    @property
    def is_idle(self) -> bool:
        """Whether no link uses it."""
        return not self._links

    async def exchange(self, request: ModbusRequest, settings: ModbusRtu, counters: LinkCounters) -> bytes:
        """Send a request; return the PDU of its reply.

        Raises:
            LinkError: see :class:`~armillary.engines.equipment.port.Link`.
        """
        async with self._turn:
            self._counters = counters
            self._open(counters)
            await self._outlive_late(request)
            await self._silence(settings)
            return await self._ask(request, settings, counters)

    def joined(self, link: object) -> None:
        """A link uses this bus."""
        self._links.add(link)

    def left(self, link: object) -> None:
        """A link uses it no more; the line is closed after the last."""
        self._links.discard(link)
        if not self._links:
            self._line.close()

    def _open(self, counters: LinkCounters) -> None:
        if self._line.is_open:
            return
        now = asyncio.get_running_loop().time()
        self._backoff.check(now)
        try:
            self._line.open(self._received, self._lost)
        except LinkError:
            self._backoff.failed(now)
            raise
        counters.connects += 1
        self._late.clear()
        self._heard_at = now  # It may be in the middle of something

    async def _outlive_late(self, request: ModbusRequest) -> None:
        key = request.unit, request.pdu[0]
        late = self._late.get(key)
        if late is not None:
            if (left := late.until - asyncio.get_running_loop().time()) > 0:
                await asyncio.wait([late.listening.reply], timeout=left)
            del self._late[key]

    async def _silence(self, settings: ModbusRtu) -> None:
        shape, loop = self._line.shape, asyncio.get_running_loop()
        silence = FAST_SILENCE_S if shape.baud > FAST_BAUD else SILENT_CHARACTERS * shape.character_s
        gap, give_up = max(silence, settings.gap_s), loop.time() + max(settings.timeout_s, BROKEN_OFF_S)
        while (left := self._heard_at + gap - loop.time()) > 0 or self._line.poll():
            if loop.time() > give_up:
                raise LinkError("damaged", "the line is never silent: something else sends on it")
            await asyncio.sleep(left)

    async def _ask(self, request: ModbusRequest, settings: ModbusRtu, counters: LinkCounters) -> bytes:
        loop, frame = asyncio.get_running_loop(), rtu_frame(request.unit, request.pdu)
        listening = _Listening(request, frame if settings.echo else b"", counters)
        sent_at = loop.time() + len(frame) * self._line.shape.character_s
        deadline = sent_at + settings.timeout_s + listening.longest * self._line.shape.character_s
        counters.exchanges += 1
        self._listening, answered = listening, False
        try:
            self._line.write(frame)
            self._heard_at = sent_at
            done, _ = await asyncio.wait([listening.reply], timeout=deadline - loop.time())
            if not done:
                raise listening.failure(settings.timeout_s)
            answered = True
            pdu = listening.reply.result()
        except LinkError as error:
            answered = answered and error.reason == "refused"
            if error.reason == "unreachable":
                self._backoff.failed(loop.time())
            raise
        finally:
            self._listening = None
            if answered:
                self._backoff.worked()
            else:  # Also when the caller gave up
                until = deadline + LATE_TIMES * settings.timeout_s
                self._late[request.unit, request.pdu[0]] = _Late(until, listening.again())
        return pdu

    def _received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._heard_at = max(now, self._heard_at)
        if self._listening is not None:
            self._listening.feed(data, now)
        else:
            self._counters.foreign += 1
            for late in self._late.values():
                late.listening.feed(data, now)

    def _lost(self, error: LinkError) -> None:
        self._counters.disconnects += 1
        if self._listening is not None:
            self._listening.fail(error)


class _Listening:
    """Waits for the reply to one request in what comes over the line; what is damaged it outwaits."""

    def __init__(self, request: ModbusRequest, echo: bytes, counters: LinkCounters) -> None:
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._request, self._counters = request, counters
        self._echo = echo
        self._frames = RtuReply(request.unit, request.pdu)
        self._damage: LinkError | None = None
        self._broken = False  # What comes until the next silence cannot be cut
        self._heard_at = 0.0

    @property
    def longest(self) -> int:
        """Bytes that may come for it."""
        return self._frames.longest + len(self._echo)

    def again(self) -> _Listening:
        """One that waits for the same reply, too late; what it hears is counted elsewhere."""
        return _Listening(self._request, b"", LinkCounters())

    def feed(self, data: bytes, now: float) -> None:
        """Take what came at ``now``."""
        if self.reply.done():
            self._counters.foreign += 1
            return
        silent = now - self._heard_at > BROKEN_OFF_S
        self._heard_at = now
        if silent and (self._broken or self._frames.begun):
            self._frames, self._broken = RtuReply(self._request.unit, self._request.pdu), False
        if self._broken:
            return
        try:
            pdu = self._frames.feed(self._behind_echo(data))
        except LinkError as error:
            if error.reason == "refused":
                self.fail(error)
            else:
                self._damage, self._broken = error, True
            return
        finally:
            self._counters.foreign += self._frames.foreign
            self._frames.foreign = 0
        if pdu is not None:
            self._counters.damaged += self._damage is not None  # Outwaited
            self._counters.foreign += self._frames.begun  # Something behind the reply, such as the same again
            self.reply.set_result(pdu)

    def fail(self, error: LinkError) -> None:
        """It will not come, or came as a refusal."""
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # Whoever waited may have given up: no complaint of asyncio's

    def failure(self, timeout_s: float) -> LinkError:
        """Why there is no reply at its deadline."""
        if self._damage is not None:
            return self._damage
        if self._frames.begun:
            return LinkError("damaged", f"half a reply within {timeout_s:g} s")
        return LinkError("timeout", f"no reply within {timeout_s:g} s")

    def _behind_echo(self, data: bytes) -> bytes:
        """What is left when what was sent is taken off: adapters with two wires hear themselves.

        Raises:
            LinkError: ``damaged``: somebody else sent at the same time.
        """
        if not self._echo:
            return data
        heard, rest = data[: len(self._echo)], data[len(self._echo) :]
        if not self._echo.startswith(heard):
            raise LinkError("damaged", "the line does not give back what was sent: another sender, or no echo at all")
        self._echo = self._echo[len(heard) :]
        return rest


@dataclass(frozen=True, slots=True)
class _Late:
    """A reply that may still come."""

    until: float
    listening: _Listening


class ModbusRtuLink:
    """The link to one unit of a bus."""

    def __init__(self, settings: ModbusRtu, bus: RtuBus) -> None:
        self.counters = LinkCounters()
        self._settings, self._bus = settings, bus
        bus.joined(self)

    async def exchange(self, permit: Permit[Request]) -> ModbusReply:
        """See :class:`~armillary.engines.equipment.port.Link`."""
        request = permit.request
        if not isinstance(request, ModbusRequest):
            raise LinkError("refused", f"a Modbus link does not carry {type(request).__name__}")
        self._bus.joined(self)
        try:
            pdu = await self._bus.exchange(request, self._settings, self.counters)
        except LinkError as error:
            self.counters.count(error)
            raise
        self.counters.replies += 1
        return ModbusReply(pdu)

    async def receive(self) -> Frame:
        """Modbus servers send nothing by themselves: waits for ever."""
        never: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        """Leave the bus. May be called more than once."""
        self._bus.left(self)
