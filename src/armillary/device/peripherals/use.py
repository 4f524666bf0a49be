# SPDX-License-Identifier: Apache-2.0
"""Uses the peripherals of a device's board for the applications that own them.

Controllers are opened at their first use and kept until the device ends, so that a PWM output goes on over a restart of
its application. What may block runs in threads of its own, one operation at a time for each peripheral: a slow bus
delays its owner alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from armillary.capability.board import Board
from armillary.capability.grant import Peripheral
from armillary.engines.peripherals.port import Line, LineRequest, Peripherals, SoundFormat, SoundInput, SoundOutput

# Threads that wait for buses: two slow ones leave the others waiting, and the device's own work goes on.
THREADS = 2
NO_BOARD = "the device was told no board: start it with armillary device boot --data DIR --board NAME (or a file)"

if TYPE_CHECKING:
    from armillary.engines.peripherals.simulated import SimulatedBoard

T = TypeVar("T")


class PeripheralUse:
    """The peripherals of one device process; ``peripherals`` is None for a device that was told no board."""

    def __init__(self, peripherals: Peripherals | None = None) -> None:
        self._peripherals = peripherals
        self.simulated: tuple[Board, SimulatedBoard] | None = None  # the board of simulated peripherals, and its world
        self._threads: ThreadPoolExecutor | None = None
        self._controllers: dict[Peripheral, Any] = {}
        self._locks: dict[Peripheral, asyncio.Lock] = {}

    def is_simulated(self, peripheral: Peripheral) -> bool:
        """Whether it is no hardware."""
        return self._board().is_simulated(peripheral)

    def line(self, peripheral: Peripheral, request: LineRequest) -> Line:
        """Begin to use a pin; at once, so that whoever asked has it or nobody does."""
        return self._board().line(peripheral, request)

    def sound_input(self, peripheral: Peripheral, asked: SoundFormat) -> SoundInput:
        """Begin to use what comes in by a sound bus; at once, as a pin."""
        return self._board().sound_input(peripheral, asked)

    def sound_output(self, peripheral: Peripheral, asked: SoundFormat) -> SoundOutput:
        """Begin to use what goes out by it."""
        return self._board().sound_output(peripheral, asked)

    async def controller(self, peripheral: Peripheral, operation: Callable[[Any], T]) -> T:
        """What an operation with the open controller gives; the port's type of it is that of the peripheral's kind."""
        return await self.run(peripheral, lambda: self._with_controller(peripheral, operation))

    async def run(self, peripheral: Peripheral, operation: Callable[[], T]) -> T:
        """Do something with a peripheral, after what is under way with it.

        Raises OSError: what the operation raises; ENODEV without a board.
        """
        if self._board().is_simulated(peripheral):
            return operation()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="peripherals")
        async with self._locks.setdefault(peripheral, asyncio.Lock()):
            return await asyncio.get_running_loop().run_in_executor(self._threads, operation)

    def close(self) -> None:
        """Let go of every controller."""
        if self._threads is not None:
            self._threads.shutdown()
        while self._controllers:
            _, controller = self._controllers.popitem()
            with contextlib.suppress(OSError):  # its node is gone
                controller.close()

    def _board(self) -> Peripherals:
        if self._peripherals is None:
            raise OSError(errno.ENODEV, NO_BOARD)
        return self._peripherals

    def _with_controller(self, peripheral: Peripheral, operation: Callable[[Any], T]) -> T:
        board = self._board()
        if peripheral not in self._controllers:
            opened = {"I2cMaster": board.i2c, "SpiMaster": board.spi, "Pwm": board.pwm, "Adc": board.adc}
            self._controllers[peripheral] = opened[peripheral.kind](peripheral)
        try:
            return operation(self._controllers[peripheral])
        except OSError as error:
            if error.errno == errno.ENODEV:  # an adapter was pulled out: look for it again at the next use
                with contextlib.suppress(OSError):
                    self._controllers.pop(peripheral).close()
            raise


@contextlib.contextmanager
def hold_peripherals(board: Board | None, record: Path | None = None) -> Iterator[PeripheralUse]:
    """The peripherals of a board, for as long as a device runs; ``record`` has what it leaves if it is killed."""
    use = PeripheralUse() if board is None else _open(board, record)
    try:
        yield use
    finally:
        use.close()


def _open(board: Board, record: Path | None) -> PeripheralUse:
    from armillary.engines.peripherals.selection import BoardPeripherals  # noqa: PLC0415 - most devices have no board

    opened = BoardPeripherals(board, record=record)
    use = PeripheralUse(opened)
    use.simulated = (board, opened.world) if board.simulated else None
    return use
