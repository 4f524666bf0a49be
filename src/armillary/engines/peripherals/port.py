# SPDX-License-Identifier: Apache-2.0
"""The peripherals port: what can be done with one peripheral of a board, whatever it is on this host.

Every operation raises OSError with the number that an application gets: EBUSY for what another program or a driver of
the kernel holds, ENXIO for an I2C address at which nothing answers, ENODEV for a node that is not there. Operations on
buses and controllers may block for as long as the hardware does: call them in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from armillary.capability.grant import Peripheral

# Bytes of one transfer, each way: what spidev takes at once, and more than an I2C device has.
TRANSFER_LIMIT_BYTES = 4096
# Edges that wait to be taken; then the oldest is dropped.
EDGE_LIMIT = 16
# A period of about two seconds: slower than any lamp or motor needs, and all that 31 bits of nanoseconds hold.
PERIOD_LIMIT_NS = 2**31 - 1

# What a sound bus has.
SOUND_RATES_HZ = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
SOUND_BITS = (16, 24, 32)
SHORT_SAMPLE_BITS = 16
SOUND_CHANNELS_LIMIT = 4
# Bytes of frames at once, each way: at the fastest format an application asks some 50 times a second, a fourth of what
# it may.
SOUND_LIMIT_BYTES = 16 * 1024

Edge = Literal["rising", "falling"]
Edges = Literal["none", "rising", "falling", "both"]
Drive = Literal["push-pull", "open-drain", "open-source"]
Bias = Literal["as-is", "disabled", "pull-up", "pull-down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRequest:
    """How a pin is used: as an output with a first level, or as an input with edges to watch."""

    output: bool
    level: int = 0  # of an output
    drive: Drive = "push-pull"  # of an output
    edges: Edges = "none"  # of an input
    bias: Bias = "as-is"  # of an input


class Line(Protocol):
    """One pin that is in use."""

    descriptor: int | None  # the kernel's line, which can be handed over; None for a simulated one

    def configure(self, request: LineRequest) -> None:
        """Use it in another way from now on."""
        ...

    def get(self) -> int:
        """Its level, 0 or 1."""
        ...

    def set(self, level: int) -> None:
        """Set the level of an output; EPERM for an input."""
        ...

    async def edge(self, timeout_s: float) -> Edge | None:
        """The next edge, None when none came in time; EOPNOTSUPP where edges are read from the descriptor."""
        ...

    def close(self) -> None:
        """Use it no more."""
        ...


class I2cBus(Protocol):
    """One I2C controller that this device holds."""

    def transfer(self, address: int, write: bytes, read: int) -> bytes:
        """Write, then read so many bytes without letting the bus go in between; either may be none."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiTransfer:
    """One exchange while a chip is selected: ``write`` first and then ``read`` bytes, or both at once (``duplex``)."""

    write: bytes = b""
    read: int = 0
    duplex: bool = False
    chip_select: int = 0
    mode: int = 0  # 0 to 3: clock polarity and phase
    lsb_first: bool = False
    speed_hz: int = 1_000_000


class SpiBus(Protocol):
    """One SPI controller that this device holds."""

    def transfer(self, transfer: SpiTransfer) -> bytes:
        """Do an exchange; what was read. EINVAL for a chip select that the board has not."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PwmState:
    """What a channel puts out: ``duty_ns`` of every ``period_ns`` active."""

    period_ns: int
    duty_ns: int
    inverted: bool = False
    enabled: bool = True


class PwmController(Protocol):
    """One PWM controller that this device holds."""

    channels: int

    def apply(self, channel: int, state: PwmState) -> None:
        """Put out this from now on; it goes on after the application has ended."""
        ...

    def close(self) -> None:
        """End every output and let it go."""
        ...


class AdcController(Protocol):
    """One ADC controller."""

    channels: int
    bits: int

    def read(self, channel: int) -> int:
        """One sample, 0 to 2 to the power of ``bits``, less one."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFormat:
    """Frames of a sound bus: signed samples, little endian, one of each channel in turn; 24 bits are in four bytes."""

    rate_hz: int
    bits: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return self.channels * (2 if self.bits == SHORT_SAMPLE_BITS else 4)


class SoundInput(Protocol):
    """What comes in by a sound bus; the other side has the clock."""

    gaps: int  # how often frames were lost because they were taken too late

    def read(self, frames: int) -> bytes:
        """At most so many frames that have come; it does not wait for any."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class SoundOutput(Protocol):
    """What goes out by a sound bus; the other side has the clock."""

    gaps: int  # how often there was nothing to put out

    def write(self, data: bytes) -> int:
        """Put out whole frames; how many of them found room, without waiting for it."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Peripherals(Protocol):
    """All peripherals of one board. What was opened belongs to who opened it, who closes it."""

    def is_simulated(self, peripheral: Peripheral) -> bool:
        """Whether it is no hardware: whoever uses it must be told."""
        ...

    def line(self, peripheral: Peripheral, request: LineRequest) -> Line:
        """Use a pin."""
        ...

    def i2c(self, peripheral: Peripheral) -> I2cBus:
        """Hold an I2C controller."""
        ...

    def spi(self, peripheral: Peripheral) -> SpiBus:
        """Hold an SPI controller."""
        ...

    def pwm(self, peripheral: Peripheral) -> PwmController:
        """Hold a PWM controller."""
        ...

    def adc(self, peripheral: Peripheral) -> AdcController:
        """Use an ADC controller."""
        ...

    def sound_input(self, peripheral: Peripheral, asked: SoundFormat) -> SoundInput:
        """Hold what comes in by a sound bus; EINVAL for a format that it has not."""
        ...

    def sound_output(self, peripheral: Peripheral, asked: SoundFormat) -> SoundOutput:
        """Hold what goes out by it."""
        ...
