# SPDX-License-Identifier: Apache-2.0
"""An I2C controller by i2c-dev: combined transfers to one address, and no address that a driver of the kernel has.

``I2C_RDWR`` does not ask whether a driver has an address; ``I2C_SLAVE`` does, and is asked first.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from armillary.engines.peripherals.kernel import Kernel

SLAVE: Final = 0x0703
TIMEOUT: Final = 0x0702  # in units of 10 ms
RDWR: Final = 0x0707
READ: Final = 0x0001  # I2C_M_RD
# Of one transfer; a device that stretches the clock longer is broken.
TIMEOUT_UNITS: Final = 100


class Message(ctypes.Structure):
    """struct i2c_msg."""

    _fields_ = (
        ("address", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("buffer", ctypes.c_void_p),
    )


class Transfer(ctypes.Structure):
    """struct i2c_rdwr_ioctl_data."""

    _fields_ = (("messages", ctypes.POINTER(Message)), ("count", ctypes.c_uint32))


class KernelI2cBus:
    """An I2C controller of the host, held while it is open."""

    def __init__(self, kernel: Kernel, node: str) -> None:
        self._kernel = kernel
        self._descriptor = kernel.open(node)
        try:
            kernel.lock(self._descriptor)
            kernel.ioctl(self._descriptor, TIMEOUT, TIMEOUT_UNITS)
        except OSError:
            kernel.close(self._descriptor)
            raise

    def transfer(self, address: int, write: bytes, read: int) -> bytes:
        """See ``port.I2cBus``."""
        try:
            self._kernel.ioctl(self._descriptor, SLAVE, address)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OSError(errno.EBUSY, f"a driver of the kernel has address {address:#04x}") from error
            raise
        sent, received = ctypes.create_string_buffer(write, len(write)), ctypes.create_string_buffer(max(read, 1))
        messages = []
        if write or not read:  # without data: does anything answer at the address
            messages.append(Message(address, 0, len(write), ctypes.addressof(sent)))
        if read:
            messages.append(Message(address, READ, read, ctypes.addressof(received)))
        array = (Message * len(messages))(*messages)
        try:
            self._kernel.ioctl(self._descriptor, RDWR, Transfer(array, len(messages)))
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.EREMOTEIO):
                raise OSError(errno.ENXIO, f"nothing answers at address {address:#04x}") from error
            raise
        return received.raw[:read]

    def close(self) -> None:
        """See ``port.I2cBus``."""
        self._kernel.close(self._descriptor)
