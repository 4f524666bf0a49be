# SPDX-License-Identifier: Apache-2.0
"""SysTick and the system control block, as far as bare-metal firmware needs them (Armv7-M ARM, B3.2 and B3.3).

SysTick follows the host's clock, not the number of instructions: a tick that comes while another is pending is lost, as
on the chip. There are no other interrupts; a register that is not here is not there (BusFault).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from armillary.engines.real_time.within.memory_map import CLOCK_HZ

CSR, RVR, CVR, CALIB = 0x010, 0x014, 0x018, 0x01C
CPUID, ICSR, VTOR, AIRCR, SCR, CCR, CPACR = 0xD00, 0xD04, 0xD08, 0xD0C, 0xD10, 0xD14, 0xD88
CORTEX_M4: Final = 0x410F_C241  # CPUID of r0p1
# Registers that are written at start and have no effect here: sleep modes, traps, priorities, coprocessor access.
_KEPT: Final = frozenset({SCR, CCR, 0xD18, 0xD1C, 0xD20, 0xD24, CPACR})
_ENABLE, _INTERRUPT, _COUNTED = 1 << 0, 1 << 1, 1 << 16
_COUNTER_MASK: Final = 0xFF_FFFF  # 24 bits
_RESET_REQUEST: Final = 0x05FA_0004  # key and SYSRESETREQ
_NO_REFERENCE_CLOCK: Final = 1 << 31


class SystemControl:
    """The registers; ``monotonic`` gives seconds."""

    def __init__(self, vector_table: int, monotonic: Callable[[], float]) -> None:
        self.vector_table = vector_table
        self.wants_reset = False
        self._monotonic = monotonic
        self._kept = dict.fromkeys(_KEPT, 0)
        self._control = 0
        self._reload = 0
        self._since = 0.0  # when the counter was last full
        self._pending = False

    def read(self, offset: int) -> int | None:
        """The value of a register; None where there is none."""
        if offset == CSR:
            self._advance()
            found, self._control = self._control, self._control & ~_COUNTED
            return found
        fixed = {
            RVR: self._reload,
            CVR: self._counter(),
            CALIB: _NO_REFERENCE_CLOCK,
            CPUID: CORTEX_M4,
            ICSR: 0,
            VTOR: self.vector_table,
            AIRCR: 0xFA05_0000,
        }
        return fixed.get(offset, self._kept.get(offset))

    def write(self, offset: int, value: int) -> bool:
        """Write a register; False where there is none."""
        if offset == CSR:
            if value & _ENABLE and not self._control & _ENABLE:
                self._since = self._monotonic()
            self._control = value & (_ENABLE | _INTERRUPT | 1 << 2)
        elif offset == RVR:
            self._reload = value & _COUNTER_MASK
        elif offset == CVR:
            self._since, self._control = self._monotonic(), self._control & ~_COUNTED
        elif offset == VTOR:
            self.vector_table = value
        elif offset == AIRCR:
            self.wants_reset = self.wants_reset or value == _RESET_REQUEST
        elif offset in self._kept:
            self._kept[offset] = value
        else:
            return False
        return True

    def take_tick(self) -> bool:
        """Whether SysTick's exception is pending, which it then is no more."""
        self._advance()
        found, self._pending = self._pending, False
        return found

    def wait_s(self) -> float | None:
        """Seconds until the next tick; None when none will come."""
        if not self._control & _INTERRUPT or not self._ticks:
            return None
        return 0.0 if self._pending else max(0.0, self._since + self._period_s - self._monotonic())

    @property
    def _ticks(self) -> bool:
        return bool(self._control & _ENABLE and self._reload)

    @property
    def _period_s(self) -> float:
        return (self._reload + 1) / CLOCK_HZ

    def _advance(self) -> None:
        """Count the periods that have passed."""
        if not self._ticks:
            return
        passed = int((self._monotonic() - self._since) / self._period_s)
        if passed:
            self._since += passed * self._period_s
            self._control |= _COUNTED
            self._pending = self._pending or bool(self._control & _INTERRUPT)

    def _counter(self) -> int:
        self._advance()
        if not self._ticks:
            return 0
        return max(0, self._reload - int((self._monotonic() - self._since) * CLOCK_HZ))
