# SPDX-License-Identifier: Apache-2.0
"""Methods of sound buses (I2S): an application takes the frames that come in, and gives those that go out.

The other side has the clock, so nothing is held up for an application: what it takes too late is lost, and counted.
Each way is open until the run ends.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from armillary.capability.grant import Peripheral
from armillary.device.interface.method import Call, Method
from armillary.device.interface.peripherals.owned import OwnedPeripherals, answered
from armillary.device.interface.session import Session
from armillary.engines.peripherals.port import (
    SOUND_BITS,
    SOUND_CHANNELS_LIMIT,
    SOUND_LIMIT_BYTES,
    SOUND_RATES_HZ,
    SoundFormat,
    SoundInput,
    SoundOutput,
)

KIND = "I2sSubordinate"
WAIT_LIMIT_MS = 1000
# How often is looked for frames while an application waits for them; a buffer has half a second of them.
LOOK_S = 0.01
_HEX = re.compile(r"(?:[0-9a-f]{2})*")

Stream = TypeVar("Stream", SoundInput, SoundOutput)


class _Open:
    """The ways that one run has open, with their formats."""

    def __init__(self) -> None:
        self.inputs: dict[Peripheral, tuple[SoundInput, SoundFormat]] = {}
        self.outputs: dict[Peripheral, tuple[SoundOutput, SoundFormat]] = {}
        self.reading = asyncio.Lock()  # one call at a time looks for frames, however many wait

    def close(self) -> None:
        for ways in (self.inputs, self.outputs):
            while ways:
                ways.popitem()[1][0].close()


class Sounds:
    """Answers what applications ask of their sound buses."""

    def __init__(self, owned: OwnedPeripherals) -> None:
        self._owned = owned
        self._open: WeakKeyDictionary[Session, _Open] = WeakKeyDictionary()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("i2s.open-input", KIND, self._open_input),
            Method("i2s.open-output", KIND, self._open_output),
            Method("i2s.read", KIND, self._read),
            Method("i2s.write", KIND, self._write),
            Method("i2s.close", KIND, self._close),
        )

    async def _open_input(self, call: Call) -> Mapping[str, Any]:
        bus = self._owned.named(call, KIND, "bus")
        return self._begin(call, bus, self._of(call.session).inputs, self._owned.use.sound_input)

    async def _open_output(self, call: Call) -> Mapping[str, Any]:
        bus = self._owned.named(call, KIND, "bus")
        return self._begin(call, bus, self._of(call.session).outputs, self._owned.use.sound_output)

    def _begin(
        self,
        call: Call,
        bus: Peripheral,
        ways: dict[Peripheral, tuple[Stream, SoundFormat]],
        open_it: Callable[[Peripheral, SoundFormat], Stream],
    ) -> Mapping[str, Any]:
        """Open a way, or open it anew with another format."""
        asked = _format(call)
        before = ways.pop(bus, None)
        if before is not None:
            before[0].close()
        ways[bus] = (open_it(bus, asked), asked)
        limit = SOUND_LIMIT_BYTES // asked.frame_bytes
        return answered(self._owned.use, bus, frame_bytes=asked.frame_bytes, frames_limit=limit)

    async def _read(self, call: Call) -> Mapping[str, Any]:
        """The frames that have come, as soon as there are any."""
        bus, opened = self._owned.named(call, KIND, "bus"), self._of(call.session)
        stream, asked = _found(opened.inputs, bus, "input")
        frames = call.parameters.integer("frames", 1, SOUND_LIMIT_BYTES // asked.frame_bytes)
        timeout_ms = call.parameters.integer("timeout_ms", 0, WAIT_LIMIT_MS, default=0)
        call.parameters.finish()
        async with opened.reading:
            data = await self._frames(bus, partial(stream.read, frames), timeout_ms / 1000)
        return answered(self._owned.use, bus, data=data.hex(), gaps=stream.gaps)

    async def _frames(self, bus: Peripheral, read: Callable[[], bytes], timeout_s: float) -> bytes:
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while True:
            data = await self._owned.use.run(bus, read)
            left = ends - loop.time()
            if data or left <= 0:
                return data
            await asyncio.sleep(min(left, LOOK_S))

    async def _write(self, call: Call) -> Mapping[str, Any]:
        """As many frames as there is room for."""
        bus = self._owned.named(call, KIND, "bus")
        stream, asked = _found(self._of(call.session).outputs, bus, "output")
        text = call.parameters.text("data", most=2 * SOUND_LIMIT_BYTES)
        call.parameters.finish()
        if not _HEX.fullmatch(text) or len(text) // 2 % asked.frame_bytes:
            raise call.parameters.refused("data", f"whole frames of {asked.frame_bytes} bytes in lower-case hex", text)
        taken = await self._owned.use.run(bus, partial(stream.write, bytes.fromhex(text)))
        return answered(self._owned.use, bus, frames=taken, gaps=stream.gaps)

    async def _close(self, call: Call) -> None:
        """End both ways."""
        bus = self._owned.named(call, KIND, "bus")
        call.parameters.finish()
        opened = self._of(call.session)
        ways = [found[0] for each in (opened.inputs, opened.outputs) if (found := each.pop(bus, None)) is not None]
        if not ways:
            raise OSError(errno.EBADF, f"{bus.name} is not open")
        for each in ways:
            each.close()

    def _of(self, session: Session) -> _Open:
        """What a run has open, which is closed when it ends."""
        if session not in self._open:
            opened = self._open[session] = _Open()
            session.on_close(opened.close)
        return self._open[session]


def _format(call: Call) -> SoundFormat:
    parameters = call.parameters
    rate_hz, bits = parameters.take("rate_hz"), parameters.take("bits", 16)
    for name, value, known in (("rate_hz", rate_hz, SOUND_RATES_HZ), ("bits", bits, SOUND_BITS)):
        if type(value) is not int or value not in known:
            raise parameters.refused(name, f"one of {', '.join(map(str, known))}", value)
    channels = parameters.integer("channels", 1, SOUND_CHANNELS_LIMIT, default=2)
    parameters.finish()
    return SoundFormat(rate_hz=rate_hz, bits=bits, channels=channels)


def _found(
    ways: Mapping[Peripheral, tuple[Stream, SoundFormat]], bus: Peripheral, way: str
) -> tuple[Stream, SoundFormat]:
    found = ways.get(bus)
    if found is None:
        raise OSError(errno.EBADF, f"the {way} of {bus.name} is not open: i2s.open-{way} first")
    return found
