# SPDX-License-Identifier: Apache-2.0
"""Simulated peripherals: a board in memory, for tests and for hosts without hardware. It says that it is none.

What happens outside the chip is said by :class:`SimulatedBoard`'s own methods: the level at a pin, a sample at an ADC
channel, a device at an I2C address, a tone at a sound bus. SPI output is joined with SPI input.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from armillary.capability.board import SIMULATED_BITS, SIMULATED_CHANNELS
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.port import (
    EDGE_LIMIT,
    Edge,
    LineRequest,
    PwmState,
    SoundFormat,
    SpiTransfer,
)
from armillary.engines.peripherals.simulated_sound import SimulatedSoundInput, SimulatedSoundOutput, SoundWorld

CHIP_SELECTS = 2


class SimulatedLine:
    """One pin in use."""

    descriptor: int | None = None

    def __init__(self, board: SimulatedBoard, pin: str, request: LineRequest) -> None:
        self._board = board
        self._pin = pin
        self._edges: deque[Edge] = deque(maxlen=EDGE_LIMIT)
        self._arrived = asyncio.Event()
        self.request = request
        self.configure(request)

    def configure(self, request: LineRequest) -> None:
        """See ``port.Line``."""
        self.request = request
        self._edges.clear()
        if request.output:
            self._board.levels[self._pin] = request.level

    @property
    def use(self) -> str:
        """What it is used as, for people."""
        return "output" if self.request.output else "input"

    def get(self) -> int:
        """See ``port.Line``; an input that nothing drives follows its pull, else it is low."""
        pulled = 1 if not self.request.output and self.request.bias == "pull-up" else 0
        return self._board.levels.get(self._pin, pulled)

    def set(self, level: int) -> None:
        """See ``port.Line``."""
        if not self.request.output:
            raise OSError(errno.EPERM, "the pin is an input")
        self._board.levels[self._pin] = level

    async def edge(self, timeout_s: float) -> Edge | None:
        """See ``port.Line``."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._edges:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None
        return self._edges.popleft()

    def seen(self, edge: Edge) -> None:
        """The level outside has changed."""
        if not self.request.output and self.request.edges in (edge, "both"):
            self._edges.append(edge)
            self._arrived.set()

    def close(self) -> None:
        """See ``port.Line``."""
        self._board.lines.pop(self._pin, None)


class SimulatedI2cDevice:
    """An I2C device with registers: the first byte written chooses one, further bytes go there and to the next ones."""

    def __init__(self, registers: bytes) -> None:
        self.registers = bytearray(256)
        self.registers[: len(registers)] = registers
        self._at = 0

    def transfer(self, write: bytes, read: int) -> bytes:
        """Write, then read from the chosen register on; the last register is followed by the first."""
        if write:
            self._at = write[0]
            for value in write[1:]:
                self.registers[self._next()] = value
        return bytes(self.registers[self._next()] for _ in range(read))

    def _next(self) -> int:
        found, self._at = self._at, (self._at + 1) % len(self.registers)
        return found


class SimulatedI2cBus:
    """An I2C controller with devices at addresses."""

    def __init__(self, devices: Mapping[int, SimulatedI2cDevice]) -> None:
        self._devices = devices

    def transfer(self, address: int, write: bytes, read: int) -> bytes:
        """See ``port.I2cBus``."""
        device = self._devices.get(address)
        if device is None:
            raise OSError(errno.ENXIO, f"nothing answers at address {address:#04x}")
        return device.transfer(write, read)

    def close(self) -> None:
        """See ``port.I2cBus``."""


class SimulatedSpiBus:
    """An SPI controller whose output is joined with its input; nothing keeps what was written before."""

    def transfer(self, transfer: SpiTransfer) -> bytes:
        """See ``port.SpiBus``."""
        if transfer.chip_select >= CHIP_SELECTS:
            raise OSError(errno.EINVAL, f"the board has no chip select {transfer.chip_select}")
        return transfer.write if transfer.duplex else bytes(transfer.read)

    def close(self) -> None:
        """See ``port.SpiBus``."""


class SimulatedPwm:
    """A PWM controller that keeps what each channel puts out."""

    channels = SIMULATED_CHANNELS

    def __init__(self, states: dict[int, PwmState]) -> None:
        self._states = states

    def apply(self, channel: int, state: PwmState) -> None:
        """See ``port.PwmController``."""
        self._states[channel] = state

    def close(self) -> None:
        """See ``port.PwmController``."""
        self._states.clear()


class SimulatedAdc:
    """An ADC controller whose samples are set from outside; 0 until then."""

    channels, bits = SIMULATED_CHANNELS, SIMULATED_BITS

    def __init__(self, samples: Mapping[int, int]) -> None:
        self._samples = samples

    def read(self, channel: int) -> int:
        """See ``port.AdcController``."""
        return self._samples.get(channel, 0)

    def close(self) -> None:
        """See ``port.AdcController``."""


class SimulatedBoard:
    """The world of simulated peripherals: levels, samples and devices, set and read from outside by name.

    Use it in the thread of the device's loop.
    """

    def __init__(
        self, devices: Mapping[tuple[str, int], bytes] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self.sounds: defaultdict[str, SoundWorld] = defaultdict(SoundWorld)  # what is outside of each sound bus
        self.levels: dict[str, int] = {}  # by pin
        self.lines: dict[str, SimulatedLine] = {}  # by pin, those in use
        self.outputs: dict[str, dict[int, PwmState]] = {}  # PWM, by controller and channel
        self._samples: dict[str, dict[int, int]] = {}
        self._devices: dict[str, dict[int, SimulatedI2cDevice]] = {}
        for (bus, address), registers in (devices or {}).items():
            self.attach(bus, address, registers)

    def attach(self, bus: str, address: int, registers: bytes = b"") -> SimulatedI2cDevice:
        """Put a device at an address of an I2C controller."""
        made = SimulatedI2cDevice(registers)
        self._devices.setdefault(bus, {})[address] = made
        return made

    def drive(self, pin: str, level: int) -> None:
        """Set the level at an input from outside; EBUSY for an output, which is driven already."""
        if not self.is_free(pin):
            raise OSError(errno.EBUSY, f"pin {pin} is an output")
        line = self.lines.get(pin)
        before = self.levels.get(pin, 0) if line is None else line.get()
        self.levels[pin] = level
        if line is not None and before != level:
            line.seen("rising" if level else "falling")

    def is_free(self, pin: str) -> bool:
        """Whether a level can be set at a pin from outside: nothing puts one out there."""
        line = self.lines.get(pin)
        return line is None or not line.request.output

    def sample(self, controller: str, channel: int, value: int) -> None:
        """Set what an ADC channel reads."""
        if not 0 <= value < 1 << SIMULATED_BITS:
            raise OSError(errno.ERANGE, f"a sample has {SIMULATED_BITS} bits")
        self._samples.setdefault(controller, {})[channel] = value

    def show(self) -> dict[str, Any]:
        """All that was set and is put out, as JSON values."""
        return {
            "Gpio": {
                pin: {"level": self.levels.get(pin, 0), "used": "" if pin not in self.lines else self.lines[pin].use}
                for pin in sorted({*self.levels, *self.lines}, key=int)
            },
            "Adc": {
                name: {str(channel): value for channel, value in sorted(channels.items())}
                for name, channels in sorted(self._samples.items())
            },
            "Pwm": {
                name: {str(channel): asdict(state) for channel, state in sorted(channels.items())}
                for name, channels in sorted(self.outputs.items())
            },
            "I2cMaster": {
                name: {f"{address:#04x}": each.registers.rstrip(b"\0").hex() for address, each in sorted(found.items())}
                for name, found in sorted(self._devices.items())
            },
            "I2sSubordinate": {
                name: {"tone_hz": world.tone_hz, "frames_out": world.frames_out}
                for name, world in sorted(self.sounds.items())
            },
        }

    def line(self, peripheral: Peripheral, request: LineRequest) -> SimulatedLine:
        """See ``port.Peripherals``."""
        if peripheral.name in self.lines:
            raise OSError(errno.EBUSY, f"pin {peripheral.name} is in use")
        made = self.lines[peripheral.name] = SimulatedLine(self, peripheral.name, request)
        return made

    def i2c(self, peripheral: Peripheral) -> SimulatedI2cBus:
        """See ``port.Peripherals``."""
        return SimulatedI2cBus(self._devices.setdefault(peripheral.name, {}))

    def spi(self, peripheral: Peripheral) -> SimulatedSpiBus:  # noqa: ARG002 - the port's
        """See ``port.Peripherals``."""
        return SimulatedSpiBus()

    def pwm(self, peripheral: Peripheral) -> SimulatedPwm:
        """See ``port.Peripherals``."""
        return SimulatedPwm(self.outputs.setdefault(peripheral.name, {}))

    def adc(self, peripheral: Peripheral) -> SimulatedAdc:
        """See ``port.Peripherals``."""
        return SimulatedAdc(self._samples.setdefault(peripheral.name, {}))

    def sound_input(self, peripheral: Peripheral, asked: SoundFormat) -> SimulatedSoundInput:
        """See ``port.Peripherals``."""
        return SimulatedSoundInput(self.sounds[peripheral.name], asked, self._monotonic)

    def sound_output(self, peripheral: Peripheral, asked: SoundFormat) -> SimulatedSoundOutput:
        """See ``port.Peripherals``."""
        return SimulatedSoundOutput(self.sounds[peripheral.name], asked, self._monotonic)
