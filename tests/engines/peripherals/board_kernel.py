# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the kernel's side of the peripheral interfaces: it reads and writes the same structures.

It checks what a kernel checks (offsets, flags that exclude one another, padding that must be 0, addresses of drivers,
buffers), so that an engine that fills a structure wrongly fails here as it would there.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Any

# Written down from linux/gpio.h, i2c-dev.h and spidev.h, apart from the engines.
GET_LINE, SET_CONFIG, GET_VALUES, SET_VALUES = 0xC250B407, 0xC110B40D, 0xC010B40E, 0xC010B40F
INPUT, OUTPUT = 1 << 2, 1 << 3
OUTPUT_ONLY, INPUT_ONLY = (1 << 6) | (1 << 7), (1 << 4) | (1 << 5)
LINES = 8


def failure(number: int) -> OSError:
    return OSError(number, errno.errorcode[number])


class BoardKernel:
    """Chips with lines, I2C buses with devices, SPI nodes joined to themselves, and files below /sys."""

    def __init__(self) -> None:
        self.descriptors: dict[int, str] = {}  # open ones
        self.nodes = {"/dev/gpiochip0", "/dev/i2c-1", "/dev/spidev0.0", "/dev/spidev0.1"}
        self.locked: set[str] = set()  # held by another device
        self.lines: dict[int, dict[str, int]] = {}  # by descriptor
        self.levels: dict[int, int] = {}  # by offset
        self.taken: set[int] = set()  # offsets that a driver has
        self.devices: dict[int, bytearray] = {0x48: bytearray(range(16))}
        self.driver_addresses = {0x68}
        self.address: int | None = None
        self.log: list[tuple[Any, ...]] = []  # transfers
        self.files: dict[str, str] = {}
        self.writes: list[tuple[str, str]] = []
        self._next = 100

    def open(self, path: str, *, waits: bool = True) -> int:  # noqa: ARG002 - the port
        if path not in self.nodes:
            raise OSError(errno.ENODEV, f"{path} is not on this host")
        return self._give(path)

    def lock(self, descriptor: int) -> None:
        if self.descriptors[descriptor] in self.locked:
            raise OSError(errno.EBUSY, "another device of this host holds it")

    def close(self, descriptor: int) -> None:
        del self.descriptors[descriptor]
        self.lines.pop(descriptor, None)

    def read_text(self, path: str) -> str:
        if path not in self.files:
            raise OSError(errno.ENODEV, f"{path} is not on this host")
        return self.files[path]

    def write_text(self, path: str, text: str) -> None:
        if path not in self.files and not path.endswith(("/export", "/unexport")):
            raise OSError(errno.ENODEV, f"{path} is not on this host")
        self.writes.append((path, text))
        self.files[path] = text
        if path.endswith("/unexport"):
            folder = f"{path.removesuffix('/unexport')}/pwm{text}/"
            self.files = {name: content for name, content in self.files.items() if not name.startswith(folder)}
        elif path.endswith("/export"):
            folder = f"{path.removesuffix('/export')}/pwm{text}"
            if f"{folder}/enable" in self.files:
                raise failure(errno.EBUSY)
            self.files |= {f"{folder}/{name}": "0" for name in ("enable", "period", "duty_cycle")}
            self.files[f"{folder}/polarity"] = "normal"
        elif path.endswith("/duty_cycle") and int(text) > int(self.files[path.replace("duty_cycle", "period")]):
            raise failure(errno.EINVAL)
        elif path.endswith("/polarity") and self.files[path.replace("polarity", "enable")] == "1":
            raise failure(errno.EBUSY)

    def ioctl(self, descriptor: int, request: int, argument: Any) -> None:
        place = self.descriptors[descriptor]
        if place.startswith("/dev/gpiochip"):
            self._chip(request, argument)
        elif place == "line":
            self._line(descriptor, request, argument)
        elif place.startswith("/dev/i2c"):
            self._i2c(request, argument)
        else:
            self._spi(place, request, argument)

    def _give(self, what: str) -> int:
        self._next += 1
        self.descriptors[self._next] = what
        return self._next

    def _chip(self, request: int, argument: Any) -> None:
        raw = bytes(argument)
        if request != GET_LINE or len(raw) != 592:
            raise failure(errno.ENOTTY)
        offsets = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, 256, 4)]
        line_count = int.from_bytes(raw[560:564], "little")
        if line_count != 1 or any(offsets[1:]) or any(raw[568:588]) or offsets[0] >= LINES:
            raise failure(errno.EINVAL)
        if offsets[0] in self.taken | {line["offset"] for line in self.lines.values()}:
            raise failure(errno.EBUSY)
        assert raw[256:288].rstrip(b"\0") == b"armillary"
        line = self._configured(raw[288:560], offsets[0])
        given = self._give("line")
        self.lines[given] = line
        ctypes.memmove(ctypes.addressof(argument) + 588, given.to_bytes(4, "little"), 4)

    def _configured(self, raw: bytes, offset: int) -> dict[str, int]:
        flags, attributes = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:12], "little")
        if bool(flags & INPUT) == bool(flags & OUTPUT) or any(raw[12:32]) or attributes > 1:
            raise failure(errno.EINVAL)
        if flags & (OUTPUT_ONLY if flags & INPUT else INPUT_ONLY):
            raise failure(errno.EINVAL)
        if attributes:
            kind, padding, values, mask = (
                int.from_bytes(raw[start:end], "little") for start, end in ((32, 36), (36, 40), (40, 48), (48, 56))
            )
            if kind != 2 or padding or not flags & OUTPUT:
                raise failure(errno.EINVAL)
            self.levels[offset] = values & mask & 1
        return {"offset": offset, "flags": flags}

    def _line(self, descriptor: int, request: int, argument: Any) -> None:
        line = self.lines[descriptor]
        if request == SET_CONFIG and len(bytes(argument)) == 272:
            self.lines[descriptor] = self._configured(bytes(argument), line["offset"])
        elif request in (GET_VALUES, SET_VALUES) and len(bytes(argument)) == 16:
            bits, mask = (int.from_bytes(bytes(argument)[at : at + 8], "little") for at in (0, 8))
            if mask != 1:
                raise failure(errno.EINVAL)
            if request == SET_VALUES:
                if not line["flags"] & OUTPUT:
                    raise failure(errno.EPERM)
                self.levels[line["offset"]] = bits & 1
            else:
                level = self.levels.get(line["offset"], 0)
                ctypes.memmove(ctypes.addressof(argument), level.to_bytes(8, "little"), 8)
        else:  # a line is no chip: it knows no other line
            raise failure(errno.EINVAL)

    def _i2c(self, request: int, argument: Any) -> None:
        if request == 0x0703:
            if argument in self.driver_addresses:
                raise failure(errno.EBUSY)
            self.address = argument
        elif request == 0x0707:
            messages, count = (
                ctypes.c_void_p.from_buffer(argument).value,
                ctypes.c_uint32.from_buffer(argument, 8).value,
            )
            at = 0
            for number in range(count):
                raw = ctypes.string_at(messages + 16 * number, 16)  # type: ignore[operator]
                address, flags, length = (int.from_bytes(raw[start : start + 2], "little") for start in (0, 2, 4))
                buffer = int.from_bytes(raw[8:16], "little")
                if address not in self.devices:
                    raise failure(errno.EREMOTEIO)
                registers = self.devices[address]
                if flags & 1:
                    ctypes.memmove(buffer, bytes(registers[at : at + length]), length)
                    self.log.append(("read", address, length))
                else:
                    data = ctypes.string_at(buffer, length)
                    at = data[0] if data else 0
                    registers[at : at + len(data) - 1] = data[1:]
                    self.log.append(("write", address, data))
        elif request != 0x0702:
            raise failure(errno.ENOTTY)

    def _spi(self, place: str, request: int, argument: Any) -> None:
        raw = bytes(argument)
        if request == 0x40046B05:
            self.log.append(("mode", place, int.from_bytes(raw, "little")))
            return
        if request not in (0x40206B00, 0x40406B00) or len(raw) != (request >> 16 & 0x3FFF):
            raise failure(errno.ENOTTY)
        for start in range(0, len(raw), 32):
            part = raw[start : start + 32]
            sent, received = int.from_bytes(part[:8], "little"), int.from_bytes(part[8:16], "little")
            length, speed = int.from_bytes(part[16:20], "little"), int.from_bytes(part[20:24], "little")
            data = ctypes.string_at(sent, length) if sent else b"\x5a" * length
            if received:
                ctypes.memmove(received, data, length)
            self.log.append(("spi", place, data if sent else length, bool(received), speed))
