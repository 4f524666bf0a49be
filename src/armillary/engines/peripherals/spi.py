# SPDX-License-Identifier: Apache-2.0
"""An SPI controller by spidev: one node for each chip select, all of them held."""

from __future__ import annotations

import ctypes
import errno
import threading
from collections.abc import Sequence
from typing import Final

from armillary.engines.peripherals.kernel import Kernel
from armillary.engines.peripherals.port import SpiTransfer

WRITE_MODE: Final = 0x40046B05  # SPI_IOC_WR_MODE32
LSB_FIRST: Final = 0x08  # beside the mode's bits for polarity and phase
_MESSAGE: Final = 0x40006B00  # SPI_IOC_MESSAGE(n): the size of n transfers goes into bits 16 to 29


class Transfer(ctypes.Structure):
    """struct spi_ioc_transfer."""

    _fields_ = (
        ("sent", ctypes.c_uint64),
        ("received", ctypes.c_uint64),
        ("length", ctypes.c_uint32),
        ("speed_hz", ctypes.c_uint32),
        ("delay_us", ctypes.c_uint16),
        ("bits_per_word", ctypes.c_uint8),
        ("change_select", ctypes.c_uint8),
        ("sent_bits", ctypes.c_uint8),
        ("received_bits", ctypes.c_uint8),
        ("word_delay_us", ctypes.c_uint8),
        ("padding", ctypes.c_uint8),
    )


def message_request(count: int) -> int:
    """SPI_IOC_MESSAGE(count)."""
    return _MESSAGE | ctypes.sizeof(Transfer) * count << 16


class KernelSpiBus:
    """An SPI controller of the host, held while it is open."""

    def __init__(self, kernel: Kernel, nodes: Sequence[str]) -> None:
        self._kernel = kernel
        self._descriptors: list[int] = []
        self._one_at_a_time = threading.Lock()  # the mode and what follows belong together
        try:
            for node in nodes:
                self._descriptors.append(kernel.open(node))
                kernel.lock(self._descriptors[-1])
        except OSError:
            self.close()
            raise

    def transfer(self, transfer: SpiTransfer) -> bytes:
        """See ``port.SpiBus``."""
        if transfer.chip_select >= len(self._descriptors):
            raise OSError(errno.EINVAL, f"the board has no chip select {transfer.chip_select}")
        descriptor = self._descriptors[transfer.chip_select]
        mode = transfer.mode | (LSB_FIRST if transfer.lsb_first else 0)
        sent = ctypes.create_string_buffer(transfer.write, len(transfer.write))
        received = ctypes.create_string_buffer(max(transfer.read, 1))
        out, back = ctypes.addressof(sent), ctypes.addressof(received)
        if transfer.duplex:
            parts = [Transfer(out, back, transfer.read, transfer.speed_hz)]
        else:
            parts = [Transfer(out, 0, len(transfer.write), transfer.speed_hz)] if transfer.write else []
            parts += [Transfer(0, back, transfer.read, transfer.speed_hz)] if transfer.read else []
        with self._one_at_a_time:
            self._kernel.ioctl(descriptor, WRITE_MODE, ctypes.c_uint32(mode))
            self._kernel.ioctl(descriptor, message_request(len(parts)), (Transfer * len(parts))(*parts))
        return received.raw[: transfer.read]

    def close(self) -> None:
        """See ``port.SpiBus``."""
        while self._descriptors:
            self._kernel.close(self._descriptors.pop())
