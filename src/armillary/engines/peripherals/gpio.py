# SPDX-License-Identifier: Apache-2.0
"""Pins by the kernel's GPIO interface, version 2: one descriptor for one line, which can be handed to an application.

The chip's node, through which every line of it can be asked for, is opened for the request alone and closed again: no
application sees it. The line's descriptor knows nothing of other lines (linux/gpio.h, ``struct gpio_v2_line_request``).
"""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from armillary.engines.peripherals.kernel import Kernel
from armillary.engines.peripherals.port import Edge, LineRequest

CONSUMER: Final = b"armillary"
# _IOWR(0xB4, ...) with the sizes of the structures below.
GET_LINE: Final = 0xC250B407
SET_CONFIG: Final = 0xC110B40D
GET_VALUES: Final = 0xC010B40E
SET_VALUES: Final = 0xC010B40F
# enum gpio_v2_line_flag
INPUT, OUTPUT, EDGE_RISING, EDGE_FALLING = 1 << 2, 1 << 3, 1 << 4, 1 << 5
OPEN_DRAIN, OPEN_SOURCE, PULL_UP, PULL_DOWN, BIAS_DISABLED = 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10
ATTRIBUTE_OUTPUT_VALUES: Final = 2

_DRIVES = {"push-pull": 0, "open-drain": OPEN_DRAIN, "open-source": OPEN_SOURCE}
_EDGES = {"none": 0, "rising": EDGE_RISING, "falling": EDGE_FALLING, "both": EDGE_RISING | EDGE_FALLING}
_BIASES = {"as-is": 0, "disabled": BIAS_DISABLED, "pull-up": PULL_UP, "pull-down": PULL_DOWN}


class Attribute(ctypes.Structure):
    """struct gpio_v2_line_config_attribute, with the attribute in it."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("values", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
    )


class Configuration(ctypes.Structure):
    """struct gpio_v2_line_config."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("attribute_count", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 5),
        ("attributes", Attribute * 10),
    )


class Request(ctypes.Structure):
    """struct gpio_v2_line_request."""

    _fields_ = (
        ("offsets", ctypes.c_uint32 * 64),
        ("consumer", ctypes.c_char * 32),
        ("configuration", Configuration),
        ("line_count", ctypes.c_uint32),
        ("event_buffer_size", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 5),
        ("descriptor", ctypes.c_int32),
    )


class Values(ctypes.Structure):
    """struct gpio_v2_line_values: bit 0 is the only line of a request."""

    _fields_ = (("bits", ctypes.c_uint64), ("mask", ctypes.c_uint64))


class KernelLine:
    """One line that the kernel gave."""

    def __init__(self, kernel: Kernel, descriptor: int, *, output: bool) -> None:
        self._kernel = kernel
        self.descriptor: int | None = descriptor
        self._output = output

    def configure(self, request: LineRequest) -> None:
        """See ``port.Line``; whoever has the descriptor sees the change."""
        self._kernel.ioctl(self._open(), SET_CONFIG, configuration(request))
        self._output = request.output

    def get(self) -> int:
        """See ``port.Line``."""
        values = Values(0, 1)
        self._kernel.ioctl(self._open(), GET_VALUES, values)
        return int(values.bits & 1)

    def set(self, level: int) -> None:
        """See ``port.Line``."""
        if not self._output:
            raise OSError(errno.EPERM, "the pin is an input")
        self._kernel.ioctl(self._open(), SET_VALUES, Values(level, 1))

    async def edge(self, timeout_s: float) -> Edge | None:  # noqa: ARG002 - the port's
        """See ``port.Line``."""
        raise OSError(errno.EOPNOTSUPP, "edges of this pin are read from its descriptor")

    def close(self) -> None:
        """See ``port.Line``; the kernel frees the line when nobody has the descriptor any more."""
        if self.descriptor is not None:
            self._kernel.close(self.descriptor)
            self.descriptor = None

    def _open(self) -> int:
        if self.descriptor is None:
            raise OSError(errno.EBADF, "the pin is closed")
        return self.descriptor


def open_line(kernel: Kernel, chip: str, offset: int, request: LineRequest) -> KernelLine:
    """Ask a chip for one line; OSError, EBUSY if a driver or another program has it."""
    wanted = Request(consumer=CONSUMER, line_count=1, configuration=configuration(request), descriptor=-1)
    wanted.offsets[0] = offset
    node = kernel.open(chip)
    try:
        kernel.ioctl(node, GET_LINE, wanted)
    finally:
        kernel.close(node)
    return KernelLine(kernel, wanted.descriptor, output=request.output)


def configuration(request: LineRequest) -> Configuration:
    """What the kernel is told of how a line is used."""
    if not request.output:
        return Configuration(flags=INPUT | _EDGES[request.edges] | _BIASES[request.bias])
    made = Configuration(flags=OUTPUT | _DRIVES[request.drive], attribute_count=1)
    made.attributes[0] = Attribute(id=ATTRIBUTE_OUTPUT_VALUES, values=request.level, mask=1)
    return made
