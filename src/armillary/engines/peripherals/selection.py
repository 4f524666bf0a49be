# SPDX-License-Identifier: Apache-2.0
"""Opens the peripherals that a board is said to have: wired ones by the kernel, the others simulated."""

from __future__ import annotations

import errno
from pathlib import Path

from armillary.capability.board import Board, Wired
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.adc import KernelAdc
from armillary.engines.peripherals.exports import PwmExports
from armillary.engines.peripherals.gpio import open_line
from armillary.engines.peripherals.i2c import KernelI2cBus
from armillary.engines.peripherals.kernel import HostKernel, Kernel
from armillary.engines.peripherals.port import (
    AdcController,
    I2cBus,
    Line,
    LineRequest,
    PwmController,
    SoundFormat,
    SoundInput,
    SoundOutput,
    SpiBus,
)
from armillary.engines.peripherals.pwm import KernelPwm
from armillary.engines.peripherals.simulated import SimulatedBoard
from armillary.engines.peripherals.sound import KernelSound, node_of
from armillary.engines.peripherals.spi import KernelSpiBus


class BoardPeripherals:
    """The peripherals of a board (``port.Peripherals``); ``world`` is what is simulated of it.

    ``record`` is the file from which the next one learns what this one has left, if it is killed.
    """

    def __init__(self, board: Board, kernel: Kernel | None = None, *, record: Path | None = None) -> None:
        self._board = board
        self._kernel = kernel or HostKernel()
        self._exports = PwmExports(self._kernel, record)
        pwm = [wired.nodes[0] for peripheral, wired in board.wired.items() if peripheral.kind == "Pwm"]
        self._exports.let_go_what_is_left(pwm)
        self.world = SimulatedBoard(board.devices)

    def is_simulated(self, peripheral: Peripheral) -> bool:
        """See ``port.Peripherals``."""
        return peripheral in self._board.simulated

    def line(self, peripheral: Peripheral, request: LineRequest) -> Line:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        if wired is None:
            return self.world.line(peripheral, request)
        return open_line(self._kernel, wired.nodes[0], wired.line, request)

    def i2c(self, peripheral: Peripheral) -> I2cBus:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        return self.world.i2c(peripheral) if wired is None else KernelI2cBus(self._kernel, wired.nodes[0])

    def spi(self, peripheral: Peripheral) -> SpiBus:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        return self.world.spi(peripheral) if wired is None else KernelSpiBus(self._kernel, wired.nodes)

    def pwm(self, peripheral: Peripheral) -> PwmController:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        if wired is None:
            return self.world.pwm(peripheral)
        return KernelPwm(self._kernel, wired.nodes[0], wired.channels, self._exports)

    def adc(self, peripheral: Peripheral) -> AdcController:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        if wired is None:
            return self.world.adc(peripheral)
        return KernelAdc(self._kernel, wired.nodes[0], wired.channels, wired.bits)

    def sound_input(self, peripheral: Peripheral, asked: SoundFormat) -> SoundInput:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        if wired is None:
            return self.world.sound_input(peripheral, asked)
        return KernelSound(self._kernel, node_of(wired.nodes, output=False), asked)

    def sound_output(self, peripheral: Peripheral, asked: SoundFormat) -> SoundOutput:
        """See ``port.Peripherals``."""
        wired = self._wired(peripheral)
        if wired is None:
            return self.world.sound_output(peripheral, asked)
        return KernelSound(self._kernel, node_of(wired.nodes, output=True), asked)

    def _wired(self, peripheral: Peripheral) -> Wired | None:
        """What it is on the host, None where it is simulated; ENODEV for what the board does not bring out."""
        if peripheral in self._board.simulated:
            return None
        found = self._board.wired.get(peripheral)
        if found is None:
            raise OSError(errno.ENODEV, f"board {self._board.name} has no {peripheral.kind} {peripheral.name}")
        return found
