# SPDX-License-Identifier: Apache-2.0
"""A simulated machine that speaks frames over a pseudo-terminal: it sends by itself, and answers what it is asked."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from armillary.sim.equipment.faults import LATE_S, Fault
from armillary.sim.equipment.layout import field_bytes, field_value, payload
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.machine import FrameSending
from armillary.sim.serial.pseudo_terminal import PseudoTerminal
from armillary.wire.equipment.framed_serial import (
    ACKNOWLEDGED,
    REFUSED,
    FrameDecoder,
    acknowledgement,
    encode_frame,
    refusal,
)
from armillary.wire.equipment.profile import RAW_KINDS, Command, FramedSerial, FrameField
from armillary.wire.equipment.request import Frame

TICK_S: Final = 0.05
RESEND_S: Final = 0.5
TRIES: Final = 4
# What nobody acknowledges is forgotten, oldest first: counters in later frames say the same again.
MOST_WAITING: Final = 64
UNKNOWN_KIND: Final = 1  # reasons of a refusal
WRONG_LENGTH: Final = 2


class FramedServer:
    """Serves one machine on a pseudo-terminal until it is closed."""

    def __init__(self, life: Life, settings: FramedSerial, line: PseudoTerminal) -> None:
        self._life = life
        self._settings = settings
        self._line = line
        self._decoder = FrameDecoder(max_payload=settings.max_payload, flag=settings.flag, escape=settings.escape)
        self._commands = {each.frame: each for each in life.profile.commands if each.frame is not None}
        self._sequence = 0
        self._waiting: deque[Frame] = deque(maxlen=MOST_WAITING)
        self._sent: tuple[float, int] | None = None  # when the first of them was sent, how often
        self._ticking: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send and answer in the running event loop."""
        self._line.listen(self._take)
        self._tick()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticking = loop.call_later(TICK_S, self._tick)
        self._life.catch_up()
        machine = self._life.machine
        if self._life.silent or not isinstance(machine, FrameSending):
            return
        for name, values in machine.take_frames():
            kind, data = payload(self._life.profile, name, values)
            self._waiting.append(Frame(kind, self._sequence, data))
            self._sequence = (self._sequence + 1) % 256
        self._send(loop.time())

    def _send(self, now: float) -> None:
        """Send the oldest that waits, again if nobody has acknowledged it; without acknowledgements, all of them."""
        if not self._settings.acknowledged:
            while self._waiting:
                self._write(self._waiting.popleft(), self._life.fault())
            return
        if self._sent is not None and self._sent[1] >= TRIES and now - self._sent[0] >= RESEND_S:
            self._waiting.popleft()
            self._sent = None
        if self._waiting and (self._sent is None or now - self._sent[0] >= RESEND_S):
            self._sent = (now, 1 if self._sent is None else self._sent[1] + 1)
            self._write(self._waiting[0], self._life.fault())

    def _take(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if self._life.silent:
                continue
            if frame.kind in (ACKNOWLEDGED, REFUSED):
                self._acknowledged(frame.sequence)
            else:
                self._write(self._answer(frame), self._life.fault())

    def _acknowledged(self, sequence: int) -> None:
        if self._waiting and self._waiting[0].sequence == sequence and self._sent is not None:
            self._waiting.popleft()
            self._sent = None
            self._send(asyncio.get_running_loop().time())

    def _answer(self, frame: Frame) -> Frame:
        """Do what a frame asks; the answer carries the value that stands after it."""
        command = self._commands.get(frame.kind)
        if command is None:
            return refusal(frame, UNKNOWN_KIND)
        place = command.address
        if not isinstance(place, FrameField):
            self._life.machine.command(command.name, True)
            return acknowledgement(frame)
        own = frame.payload[place.offset : place.offset + max(RAW_KINDS[command.raw].size, 1)]
        if len(own) != max(RAW_KINDS[command.raw].size, 1):
            return refusal(frame, WRONG_LENGTH)
        self._life.machine.command(command.name, field_value(command.raw, own, command.scale, command.offset))
        return acknowledgement(frame, self._standing(command, frame.payload))

    def _standing(self, command: Command, sent: bytes) -> bytes:
        value = self._life.machine.settings().get(command.name)
        if value is None or not isinstance(command.address, FrameField):
            return sent
        data = field_bytes(command.raw, value, command.scale, command.offset)
        return sent[: command.address.offset] + data

    def _write(self, frame: Frame, fault: Fault | None) -> None:
        if fault in (Fault.SILENCE, Fault.REBOOT):
            return
        delay = LATE_S if fault is Fault.LATE else 0.0
        asyncio.get_running_loop().call_later(delay, self._line.write, self._spoiled(frame, fault))

    def _spoiled(self, frame: Frame, fault: Fault | None) -> bytes:
        if fault is Fault.FOREIGN:
            frame = Frame(frame.kind, frame.sequence ^ 0x55, frame.payload)
        if fault is Fault.BUSY:
            frame = refusal(frame, UNKNOWN_KIND)
        made = bytearray(encode_frame(frame, flag=self._settings.flag, escape=self._settings.escape))
        if fault is Fault.DAMAGED:
            made[-2] ^= 0x01
        if fault is Fault.LENGTH:
            made[1] ^= 0x02
        return bytes(made[: len(made) // 2]) if fault is Fault.HALF else bytes(made)

    async def close(self) -> None:
        """Leave the line."""
        if self._ticking is not None:
            self._ticking.cancel()
        self._line.close()
