# SPDX-License-Identifier: Apache-2.0
"""A simulated sound bus: a tone comes in at the rate of the format, what is put out is counted and its end is kept.

It runs by a clock as the real one does: who reads too seldom loses what does not fit into the buffer, who writes too
seldom leaves a gap.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from armillary.engines.peripherals.port import SoundFormat

DEFAULT_TONE_HZ = 400
# Of the format's full scale.
AMPLITUDE = 0.5
# Half a second in the buffer, as sound hardware has at most.
BUFFER_PART = 2
# What is kept of the output, for people and tests who look.
KEPT_BYTES = 64 * 1024
_PACKED = {2: "<h", 4: "<i"}


@dataclass(slots=True)
class SoundWorld:
    """What is outside of one simulated bus: the tone that comes in, and what has gone out."""

    tone_hz: int = DEFAULT_TONE_HZ
    frames_out: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def play(self, tone_hz: int) -> None:
        """Have this tone come in from now on; 0 for silence."""
        self.tone_hz = tone_hz


class SimulatedSoundInput:
    """The tone (``port.SoundInput``); ``monotonic`` gives seconds."""

    def __init__(self, world: SoundWorld, asked: SoundFormat, monotonic: Callable[[], float]) -> None:
        self.gaps = 0
        self._world = world
        self._asked = asked
        self._monotonic = monotonic
        self._began = monotonic()
        self._at = 0  # the next frame to read

    def read(self, frames: int) -> bytes:
        """See ``port.SoundInput``."""
        come = int((self._monotonic() - self._began) * self._asked.rate_hz)
        room = self._asked.rate_hz // BUFFER_PART
        if come - self._at > room:
            self.gaps += 1
            self._at = come - room
        count = min(frames, come - self._at)
        found = _tone(self._asked, self._world.tone_hz, self._at, count)
        self._at += count
        return found

    def close(self) -> None:
        """See ``port.SoundInput``."""


class SimulatedSoundOutput:
    """What goes out (``port.SoundOutput``); ``monotonic`` gives seconds."""

    def __init__(self, world: SoundWorld, asked: SoundFormat, monotonic: Callable[[], float]) -> None:
        self.gaps = 0
        self._world = world
        self._asked = asked
        self._monotonic = monotonic
        self._ends: float | None = None  # when what is in the buffer has gone out
        world.frames_out = 0
        world.kept.clear()

    def write(self, data: bytes) -> int:
        """See ``port.SoundOutput``."""
        now = self._monotonic()
        if self._ends is not None and self._ends < now:
            self.gaps += 1
        ends = now if self._ends is None else max(self._ends, now)
        rate = self._asked.rate_hz
        room = rate // BUFFER_PART - math.ceil((ends - now) * rate)
        taken = min(len(data) // self._asked.frame_bytes, max(0, room))
        self._ends = ends + taken / rate
        self._world.frames_out += taken
        self._world.kept += data[: taken * self._asked.frame_bytes]
        del self._world.kept[: max(0, len(self._world.kept) - KEPT_BYTES)]
        return taken

    def close(self) -> None:
        """See ``port.SoundOutput``."""


@functools.lru_cache(maxsize=4)
def _wave(asked: SoundFormat, tone_hz: int) -> bytes:
    """The frames after which a tone repeats: few, as tones have steps."""
    period = asked.rate_hz // math.gcd(asked.rate_hz, tone_hz) if tone_hz else 1
    packed = _PACKED[asked.frame_bytes // asked.channels]
    full, turn = AMPLITUDE * (2 ** (asked.bits - 1) - 1), 2 * math.pi * tone_hz / asked.rate_hz
    return b"".join(
        struct.pack(packed, round(full * math.sin(turn * number))) * asked.channels for number in range(period)
    )


def _tone(asked: SoundFormat, tone_hz: int, at: int, count: int) -> bytes:
    """So many frames of a sine from one on; the same in each channel."""
    one = _wave(asked, tone_hz)
    begin = at * asked.frame_bytes % len(one)
    end = begin + count * asked.frame_bytes
    return (one * (end // len(one) + 1))[begin:end]
