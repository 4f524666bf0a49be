# SPDX-License-Identifier: Apache-2.0
"""An ADC controller by the kernel's industrial input and output: one file with the last sample of each channel."""

from __future__ import annotations

import errno

from armillary.engines.peripherals.kernel import Kernel


class KernelAdc:
    """An ADC controller of the host."""

    def __init__(self, kernel: Kernel, device: str, channels: int, bits: int) -> None:
        self.channels = channels
        self.bits = bits
        self._kernel = kernel
        self._device = device
        kernel.read_text(f"{device}/name")  # it is there, or OSError

    def read(self, channel: int) -> int:
        """See ``port.AdcController``."""
        text = self._kernel.read_text(f"{self._device}/in_voltage{channel}_raw")
        if not text.isascii() or not text.isdigit() or int(text) >= 1 << self.bits:
            raise OSError(errno.EIO, f"the driver gave {text!a:.20}, which has more than {self.bits} bits")
        return int(text)

    def close(self) -> None:
        """See ``port.AdcController``; there is nothing to let go."""
