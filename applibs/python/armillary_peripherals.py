# SPDX-License-Identifier: Apache-2.0
"""Pins, buses and controllers of the board, for an application whose manifest names them. Beside armillary_application.

::

    from armillary_application import Device
    from armillary_peripherals import I2c, InputPin, OutputPin

    with Device() as device:
        lamp, button = OutputPin(device, 8), InputPin(device, 12, edges="falling", bias="pull-up")
        thermometer = I2c(device, "ISU1")
        while True:
            if button.wait(timeout_s=1.0):
                lamp.set(1 - lamp.get())
            device.log(f"{thermometer.transfer(0x48, write=bytes(1), read=2)[0]} degrees")

Where the kernel has a pin, its line is used directly, without the device; everything else is asked of the device. An
object whose ``simulated`` is true is no hardware. What is refused is a ``DeviceError``, as of every method.

Methods and their parameters: docs/reference/application-interface.md; boards: docs/reference/boards.md.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from typing import Any

from armillary_application import Device

# linux/gpio.h, version 2: the levels of a line, and one event of it
_GET_VALUES, _SET_VALUES = 0xC010B40E, 0xC010B40F
_VALUES = struct.Struct("=QQ")  # bits, mask
_EVENT = struct.Struct("=QIIII24x")  # time, kind, offset, numbers
_EDGES = {1: "rising", 2: "falling"}
_WAIT_LIMIT_MS = 60_000


class Pin:
    """A pin that is open; closed with the application, or by :meth:`close`."""

    def __init__(self, device: Device, pin: int, method: str, parameters: dict[str, Any]) -> None:
        self.pin = pin
        self._device = device
        result, descriptors = device.ask_with_descriptors(method, pin=pin, **parameters)
        self.simulated: bool = result.get("simulated", False)
        self._line: int | None = descriptors[0] if descriptors else None

    def get(self) -> int:
        """The level, 0 or 1."""
        if self._line is None:
            level: int = self._device.ask("gpio.get", pin=self.pin)["level"]
            return level
        values = bytearray(_VALUES.pack(0, 1))
        fcntl.ioctl(self._line, _GET_VALUES, values)
        return _VALUES.unpack(values)[0] & 1

    def close(self) -> None:
        """Use it no more."""
        if self._line is not None:
            os.close(self._line)
            self._line = None
        self._device.ask("gpio.close", pin=self.pin)


class OutputPin(Pin):
    """A pin that puts out a level; ``drive`` is ``push-pull``, ``open-drain`` or ``open-source``."""

    def __init__(self, device: Device, pin: int, level: int = 0, *, drive: str = "push-pull") -> None:
        super().__init__(device, pin, "gpio.open-output", {"level": level, "drive": drive})

    def set(self, level: int) -> None:
        """Put out 0 or 1."""
        if self._line is None:
            self._device.ask("gpio.set", pin=self.pin, level=level)
        else:
            fcntl.ioctl(self._line, _SET_VALUES, _VALUES.pack(1 if level else 0, 1))


class InputPin(Pin):
    """A pin that is read.

    ``edges`` is ``none``, ``rising``, ``falling`` or ``both``; ``bias`` is ``as-is``, ``disabled``, ``pull-up`` or
    ``pull-down``.
    """

    def __init__(self, device: Device, pin: int, *, edges: str = "none", bias: str = "as-is") -> None:
        super().__init__(device, pin, "gpio.open-input", {"edges": edges, "bias": bias})

    def fileno(self) -> int | None:
        """For ``select`` and event loops: when it is readable, :meth:`wait` has an edge; None where there is none."""
        return self._line

    def wait(self, timeout_s: float) -> str | None:
        """The next edge, ``rising`` or ``falling``; None if none came in time."""
        until = time.monotonic() + timeout_s
        if self._line is not None:
            readable, _, _ = select.select([self._line], [], [], timeout_s)
            return _EDGES[_EVENT.unpack(os.read(self._line, _EVENT.size))[1]] if readable else None
        while True:
            left_ms = int(max(0.0, until - time.monotonic()) * 1000)
            answer = self._device.ask("gpio.wait", pin=self.pin, timeout_ms=min(left_ms, _WAIT_LIMIT_MS))
            if answer["edge"] is not None or left_ms <= _WAIT_LIMIT_MS:
                edge: str | None = answer["edge"]
                return edge


class I2c:
    """An I2C bus, by the board's name."""

    def __init__(self, device: Device, bus: str) -> None:
        self.bus = bus
        self.simulated = False  # known after the first transfer
        self._device = device

    def transfer(self, address: int, *, write: bytes = b"", read: int = 0) -> bytes:
        """Write, then read so many bytes, without a stop in between; ENXIO where nothing answers."""
        answer = self._device.ask("i2c.transfer", bus=self.bus, address=address, write=write.hex(), read=read)
        self.simulated = answer.get("simulated", False)
        return bytes.fromhex(answer["data"])


class Spi:
    """One chip at an SPI bus, by the board's name."""

    def __init__(
        self, device: Device, bus: str, *, chip_select: int = 0, mode: int = 0, speed_hz: int = 1_000_000
    ) -> None:
        self.bus = bus
        self.simulated = False  # known after the first transfer
        self._device = device
        self._how = {"chip_select": chip_select, "mode": mode, "speed_hz": speed_hz}

    def transfer(self, *, write: bytes = b"", read: int = 0) -> bytes:
        """Write, then read so many bytes, while the chip is selected."""
        return self._transfer(write=write.hex(), read=read)

    def exchange(self, data: bytes) -> bytes:
        """Write, and read as many bytes at the same time."""
        return self._transfer(write=data.hex(), duplex=True)

    def _transfer(self, **parameters: Any) -> bytes:
        answer = self._device.ask("spi.transfer", bus=self.bus, **self._how, **parameters)
        self.simulated = answer.get("simulated", False)
        return bytes.fromhex(answer["data"])


class Pwm:
    """One channel of a PWM controller, by the board's name. What it puts out goes on after the application."""

    def __init__(self, device: Device, controller: str, channel: int) -> None:
        self.controller = controller
        self.channel = channel
        self.simulated = False  # known after the first change
        self._device = device

    def apply(self, *, period_ns: int, duty_ns: int, inverted: bool = False, enabled: bool = True) -> None:
        """Put out ``duty_ns`` of every ``period_ns``."""
        answer = self._device.ask(
            "pwm.apply",
            controller=self.controller,
            channel=self.channel,
            period_ns=period_ns,
            duty_ns=duty_ns,
            inverted=inverted,
            enabled=enabled,
        )
        self.simulated = answer.get("simulated", False)


class SoundInput:
    """What comes in by a sound bus (I2S), by the board's name: signed little-endian samples of each channel in turn."""

    def __init__(self, device: Device, bus: str, *, rate_hz: int, bits: int = 16, channels: int = 2) -> None:
        self.bus = bus
        self.gaps = 0  # how often frames were lost because they were read too late
        self._device = device
        opened = device.ask("i2s.open-input", bus=bus, rate_hz=rate_hz, bits=bits, channels=channels)
        self.frame_bytes: int = opened["frame_bytes"]
        self.frames_limit: int = opened["frames_limit"]  # of one read
        self.simulated: bool = opened.get("simulated", False)

    def read(self, frames: int, *, timeout_s: float = 0.0) -> bytes:
        """At most so many frames, as soon as some have come; none where none came in time (at most a second)."""
        answer = self._device.ask("i2s.read", bus=self.bus, frames=frames, timeout_ms=int(timeout_s * 1000))
        self.gaps = answer["gaps"]
        return bytes.fromhex(answer["data"])


class SoundOutput:
    """What goes out by a sound bus (I2S), by the board's name."""

    def __init__(self, device: Device, bus: str, *, rate_hz: int, bits: int = 16, channels: int = 2) -> None:
        self.bus = bus
        self.gaps = 0  # how often there was nothing to put out
        self._device = device
        opened = device.ask("i2s.open-output", bus=bus, rate_hz=rate_hz, bits=bits, channels=channels)
        self.frame_bytes: int = opened["frame_bytes"]
        self.frames_limit: int = opened["frames_limit"]  # of one write
        self.simulated: bool = opened.get("simulated", False)

    def write(self, data: bytes) -> int:
        """Put out whole frames; how many of them found room."""
        answer = self._device.ask("i2s.write", bus=self.bus, data=data.hex())
        self.gaps = answer["gaps"]
        taken: int = answer["frames"]
        return taken


class Adc:
    """One channel of an ADC controller, by the board's name."""

    def __init__(self, device: Device, controller: str, channel: int) -> None:
        self.controller = controller
        self.channel = channel
        self.bits = 0  # of a sample; known after the first one, as is the next
        self.simulated = False
        self._device = device

    def read(self) -> int:
        """One sample, 0 to 2 to the power of ``bits``, less one."""
        answer = self._device.ask("adc.read", controller=self.controller, channel=self.channel)
        self.bits, self.simulated = answer["bits"], answer.get("simulated", False)
        value: int = answer["value"]
        return value
