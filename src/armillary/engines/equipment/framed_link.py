# SPDX-License-Identifier: Apache-2.0
"""Framed serial: equipment that speaks by itself, and takes requests that it answers.

Where the link acknowledges, a frame that came is acknowledged when the *next one is asked for*: whoever calls
:meth:`FramedLink.receive` again has kept what it got before, and what was not kept when the power went is sent again by
the equipment. A frame that is sent again is acknowledged and not handed on twice.

Format: ``wire/equipment/framed_serial.py``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from armillary.engines.equipment.port import LinkCounters
from armillary.engines.equipment.reconnecting import Backoff
from armillary.engines.equipment.serial_line import SerialLine
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.framed_serial import (
    REFUSED,
    RESERVED_KINDS,
    FrameDecoder,
    acknowledgement,
    check_specials,
    encode_frame,
)
from armillary.wire.equipment.profile import FramedSerial
from armillary.wire.equipment.request import Frame, FrameRequest, Request

# How often a request is sent when no answer comes: noise takes one, hardly two.
ATTEMPTS: Final = 3
# Frames that wait to be received; more are dropped without an acknowledgement, so the equipment sends them again.
MAX_WAITING_FRAMES: Final = 256


class FramedLink:
    """The link to the equipment at one serial port."""

    def __init__(self, settings: FramedSerial, line: SerialLine) -> None:
        check_specials(settings.flag, settings.escape)
        self.counters = LinkCounters()
        self._settings, self._line = settings, line
        self._turn = asyncio.Lock()
        self._backoff = Backoff()
        self._frames = self._decoder()
        self._sequence = 0
        self._answer: asyncio.Future[Frame] | None = None  # To the request that waits
        self._came: deque[Frame] = deque()
        self._arrival = asyncio.Event()  # Something came, or the line is gone
        self._last: Frame | None = None  # That came new, so that the same is known again
        self._kept: Frame | None = None  # Handed on, and not acknowledged

    async def exchange(self, permit: Permit[Request]) -> Frame:
        """Send a frame and return the equipment's answer; where the link acknowledges nothing, the frame as sent.

        Raises:
            LinkError: see :class:`~armillary.engines.equipment.port.Link`.
        """
        request = permit.request
        if not isinstance(request, FrameRequest) or request.kind in RESERVED_KINDS:
            raise LinkError("refused", f"a framed link does not carry {request}")
        async with self._turn:
            try:
                answer = await self._ask(request)
            except LinkError as error:
                self.counters.count(error)
                raise
            self.counters.replies += 1
            self._backoff.worked()
            return answer

    async def receive(self) -> Frame:
        """Acknowledge the frame before, and wait for the next. See :class:`~armillary.engines.equipment.port.Link`.

        Where the port is gone, each call waits for the next attempt to open it.
        """
        while True:
            if not self._line.is_open and (left := self._backoff.left(asyncio.get_running_loop().time())):
                await asyncio.sleep(left)
            self._open()
            if self._kept is not None:
                kept, self._kept = self._kept, None
                self._acknowledge(kept)
            if self._came:
                self._kept = self._came.popleft()
                return self._kept
            self._arrival.clear()
            await self._arrival.wait()
            if not self._line.is_open:
                raise LinkError("unreachable", f"serial port {self._line.path} is gone")

    async def close(self) -> None:
        """Close the port. May be called more than once."""
        self._line.close()
        self._arrival.set()

    def _decoder(self) -> FrameDecoder:
        settings = self._settings
        return FrameDecoder(max_payload=settings.max_payload, flag=settings.flag, escape=settings.escape)

    def _open(self) -> None:
        if self._line.is_open:
            return
        now = asyncio.get_running_loop().time()
        self._backoff.check(now)
        try:
            self._line.open(self._received, self._lost)
        except LinkError:
            self._backoff.failed(now)
            raise
        self.counters.connects += 1
        self._frames = self._decoder()
        self._last = None

    async def _ask(self, request: FrameRequest) -> Frame:
        self._open()
        self._sequence = (self._sequence + 1) % 256
        frame = Frame(request.kind, self._sequence, request.payload)
        data = self._encoded(frame)
        self.counters.exchanges += 1
        if not self._settings.acknowledged:
            self._line.write(data)
            return frame
        self._answer = asyncio.get_running_loop().create_future()
        try:
            for _ in range(ATTEMPTS):
                self._line.write(data)
                wire_s = (len(data) + 2 * self._settings.max_payload) * self._line.shape.character_s
                await asyncio.wait([self._answer], timeout=self._settings.timeout_s + wire_s)
                if self._answer.done():
                    return self._checked(self._answer.result())
        finally:
            self._answer = None
        raise LinkError("timeout", f"no answer to {ATTEMPTS} frames, each within {self._settings.timeout_s:g} s")

    def _checked(self, answer: Frame) -> Frame:
        if answer.kind == REFUSED:
            reason = answer.payload[0] if answer.payload else 0
            raise LinkError("refused", f"the equipment refused the request: reason {reason}", refusal=reason)
        return answer

    def _encoded(self, frame: Frame) -> bytes:
        return encode_frame(frame, flag=self._settings.flag, escape=self._settings.escape)

    def _acknowledge(self, frame: Frame) -> None:
        if self._settings.acknowledged:
            self._line.write(self._encoded(acknowledgement(frame)))

    def _received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._take(frame)
        self.counters.damaged += self._frames.damaged
        self._frames.damaged = 0

    def _take(self, frame: Frame) -> None:
        answer = self._answer
        if frame.kind in RESERVED_KINDS:
            if answer is not None and not answer.done() and frame.sequence == self._sequence:
                answer.set_result(frame)
            else:
                self.counters.foreign += 1
        elif frame == self._last and self._settings.acknowledged:
            self.counters.foreign += 1
            self._again(frame)
        elif len(self._came) >= MAX_WAITING_FRAMES:
            self.counters.foreign += 1
        else:
            self._last = frame
            self._came.append(frame)
            self.counters.received += 1
            self._backoff.worked()
            self._arrival.set()

    def _again(self, frame: Frame) -> None:
        """The equipment has not heard the acknowledgement; or it was not given yet, and comes when it is kept."""
        if frame != self._kept and frame not in self._came:
            try:
                self._acknowledge(frame)
            except LinkError:  # the port is gone or full: the equipment asks again
                self._arrival.set()

    def _lost(self, error: LinkError) -> None:
        self.counters.disconnects += 1
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._arrival.set()
