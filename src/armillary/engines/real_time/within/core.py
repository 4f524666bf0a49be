# SPDX-License-Identifier: Apache-2.0
"""An emulated Cortex-M4: memories, registers and SysTick around Unicorn's processor.

Unicorn executes instructions and has no exceptions of a microcontroller: SysTick is entered and left here (Armv7-M ARM,
B1.5.6 and B1.5.8, main stack only). Every fault ends the core: a HardFault handler of the firmware is not run, so that
what is reported is where the fault was and not where the handler loops.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
    Uc,
    UcError,
    arm_const as arm,
    unicorn_const,
)

from armillary.engines.real_time.within import memory_map
from armillary.engines.real_time.within.mailbox import Mailbox
from armillary.engines.real_time.within.system_control import SystemControl
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.image.firmware import Firmware

# Instructions between two looks at the clock and the mailbox: half a millisecond on an ordinary machine.
SLICE: Final = 50_000
# Translated code that is kept: firmware is small.
TRANSLATION_BYTES: Final = 8 * 1024 * 1024
# Looks at an empty mailbox in a row after which the core is taken to wait.
EMPTY_READS: Final = 64
_SYSTICK: Final = 15  # number of the exception
_FRAME: Final = struct.Struct("<8I")
_STACKED: Final = (
    arm.UC_ARM_REG_R0,
    arm.UC_ARM_REG_R1,
    arm.UC_ARM_REG_R2,
    arm.UC_ARM_REG_R3,
    arm.UC_ARM_REG_R12,
    arm.UC_ARM_REG_LR,
)
_RETURN_TO_THREAD: Final = 0xFFFF_FFF9  # EXC_RETURN: to thread mode, main stack, no floating point
_ALIGNED: Final = 1 << 9  # of the stacked xPSR: the frame was moved by four bytes
_PROCESS_STACK: Final = 1 << 1  # CONTROL.SPSEL
_WFI: Final = b"\x30\xbf"
# Numbers of QEMU's exceptions (target/arm/cpu.h) -> kind of fault, phrase.
_LEAVE: Final = 8
_EXCEPTIONS: Final = {
    1: ("UsageFault", "an instruction that a Cortex-M4 does not have"),
    2: ("UsageFault", "SVC, which the emulated core does not serve"),
    3: ("BusFault", "jump to memory that is not executed"),
    7: ("Breakpoint", "BKPT without a debugger"),
}
_ACCESSES: Final = {
    unicorn_const.UC_MEM_READ_UNMAPPED: "read of an address where nothing is",
    unicorn_const.UC_MEM_WRITE_UNMAPPED: "write to an address where nothing is",
    unicorn_const.UC_MEM_FETCH_UNMAPPED: "jump to an address where nothing is",
    unicorn_const.UC_MEM_WRITE_PROT: "write to read-only memory",
    unicorn_const.UC_MEM_READ_PROT: "read of memory that cannot be read",
    unicorn_const.UC_MEM_FETCH_PROT: "jump to memory that is not executed",
}


class Core:
    """One core with its firmware; ``output`` gets what it writes to its serial line."""

    def __init__(self, firmware: Firmware, *, output: Callable[[bytes], None], monotonic: Callable[[], float]) -> None:
        self.mailbox = Mailbox()
        self.system = SystemControl(firmware.vector_table, monotonic)
        self.waits = False  # for a tick or a message: nothing is to be done before
        self.fault: CoreFault | None = None
        self._output = output
        self._left: int | None = None  # exception that stopped the processor
        self._processor = _processor(firmware)
        self._map_registers()
        self._processor.hook_add(UC_HOOK_INTR, self._on_exception)
        self._processor.hook_add(UC_HOOK_MEM_INVALID, self._on_access)
        self._processor.reg_write(arm.UC_ARM_REG_SP, firmware.stack_pointer)
        self._next = firmware.reset_vector

    def run(self) -> None:
        """Run one slice; afterwards ``fault``, ``waits`` and ``system.wants_reset`` say how it went.

        After a tick's handler the program itself has a slice, so that it goes on however often ticks come.
        """
        self.waits = False
        if self._takes_exceptions() and self.system.take_tick():
            self._enter_systick()
        self._execute()
        if self._left == _LEAVE and self.fault is None:
            self._leave_exception()
            self._execute()
        self._look_whether_it_waits()

    def _execute(self) -> None:
        """Let the processor go on for a slice, unless the core has stopped."""
        self._left = None
        if self.fault is not None:
            return
        try:
            self._processor.emu_start(self._next | 1, 0xFFFF_FFFF, 0, SLICE)
        except UcError as error:
            kind = "UsageFault" if error.errno == unicorn_const.UC_ERR_INSN_INVALID else "HardFault"
            self._stop(kind, str(error), None)
        self._next = self._register(arm.UC_ARM_REG_PC)

    def _look_whether_it_waits(self) -> None:
        if self.mailbox.empty_reads >= EMPTY_READS:
            self.mailbox.empty_reads, self.waits = 0, True
        elif self._left is None and self.fault is None:
            self.waits = self._memory(self._next - len(_WFI), len(_WFI)) == _WFI and not self.mailbox.has_mail

    def _map_registers(self) -> None:
        blocks = (
            (memory_map.UART_BASE, self._read_uart, self._write_uart),
            (memory_map.MAILBOX_BASE, self._read_mailbox, self.mailbox.write),
            (memory_map.SYSTEM_BASE, self.system.read, self._write_system),
        )
        for base, read, write in blocks:
            self._processor.mmio_map(
                base,
                memory_map.PAGE_BYTES,
                self._reader(base, read),
                None,
                self._writer(base, write),
                None,
            )

    def _reader(self, base: int, read: Callable[[int], int | None]) -> Callable[..., int]:
        def answer(_: Uc, offset: int, size: int, __: Any) -> int:
            word = read(offset & ~3)
            if word is None:
                self._stop("BusFault", "read of a register that is not there", base + offset)
                return 0
            return word >> 8 * (offset & 3) & (1 << 8 * size) - 1

        return answer

    def _writer(self, base: int, write: Callable[[int, int], bool]) -> Callable[..., None]:
        def take(_: Uc, offset: int, __: int, value: int, ___: Any) -> None:
            if offset & 3 or not write(offset, value):
                self._stop("BusFault", "write to a register that is not there", base + offset)

        return take

    def _read_uart(self, offset: int) -> int | None:
        return memory_map.LSR_EMPTY if offset == memory_map.UART_LSR & ~3 else None

    def _write_uart(self, offset: int, value: int) -> bool:
        if offset != memory_map.UART_THR:
            return False
        self.mailbox.empty_reads = 0
        self._output(bytes([value & 0xFF]))
        return True

    def _read_mailbox(self, offset: int) -> int | None:
        found = self.mailbox.read(offset)
        if self.mailbox.empty_reads >= EMPTY_READS:
            self._processor.emu_stop()
        return found

    def _write_system(self, offset: int, value: int) -> bool:
        known = self.system.write(offset, value)
        if self.system.wants_reset:
            self._processor.emu_stop()
        return known

    def _on_exception(self, _: Uc, number: int, __: Any) -> None:
        self._left = number
        if number != _LEAVE:
            kind, reason = _EXCEPTIONS.get(number, ("HardFault", f"exception {number} of the processor"))
            self._stop(kind, reason, None)
        self._processor.emu_stop()

    def _on_access(self, _: Uc, access: int, address: int, __: int, ___: int, ____: Any) -> bool:
        self._stop("BusFault", _ACCESSES.get(access, "an access that is not possible"), address)
        return False

    def _stop(self, kind: str, reason: str, address: int | None) -> None:
        """Remember the first fault and where it was."""
        if self.fault is None:
            where = "" if address is None else f" {address:#010x}"
            self.fault = CoreFault(
                kind=kind,
                reason=f"{reason}{where}",
                address=address,
                pc=self._register(arm.UC_ARM_REG_PC),
                lr=self._register(arm.UC_ARM_REG_LR),
                sp=self._register(arm.UC_ARM_REG_SP),
            )
        self._processor.emu_stop()

    def _takes_exceptions(self) -> bool:
        """Whether no handler is at work and interrupts are not masked."""
        return not self._register(arm.UC_ARM_REG_IPSR) and not self._register(arm.UC_ARM_REG_PRIMASK) & 1

    def _enter_systick(self) -> None:
        if self._register(arm.UC_ARM_REG_CONTROL) & _PROCESS_STACK:
            self._stop("HardFault", "SysTick on the process stack, which the emulated core does not have", None)
            return
        stack, status = self._register(arm.UC_ARM_REG_SP), self._register(arm.UC_ARM_REG_XPSR)
        moved = stack & 4
        frame = stack - moved - _FRAME.size
        values = [self._register(each) for each in _STACKED]
        try:
            self._processor.mem_write(
                frame, _FRAME.pack(*values, self._next, (status & ~_ALIGNED) | (_ALIGNED if moved else 0))
            )
            handler = self._word(self.system.vector_table + 4 * _SYSTICK)
        except UcError:
            self._stop("HardFault", "no stack, or no vector, for SysTick", frame)
            return
        self._processor.reg_write(arm.UC_ARM_REG_SP, frame)
        self._processor.reg_write(arm.UC_ARM_REG_LR, _RETURN_TO_THREAD)
        self._processor.reg_write(arm.UC_ARM_REG_IPSR, _SYSTICK)
        self._next = handler

    def _leave_exception(self) -> None:
        frame = self._register(arm.UC_ARM_REG_SP)
        content = self._memory(frame, _FRAME.size)
        if content is None or not self._register(arm.UC_ARM_REG_IPSR):
            self._stop("HardFault", "return from an exception that was not entered", frame)
            return
        *values, self._next, status = _FRAME.unpack(content)
        self._processor.reg_write(arm.UC_ARM_REG_IPSR, 0)
        for register, value in zip(_STACKED, values, strict=True):
            self._processor.reg_write(register, value)
        self._processor.reg_write(arm.UC_ARM_REG_XPSR, status & ~_ALIGNED)
        self._processor.reg_write(arm.UC_ARM_REG_SP, frame + _FRAME.size + (4 if status & _ALIGNED else 0))

    def _register(self, number: int) -> int:
        return int(self._processor.reg_read(number))

    def _memory(self, address: int, size: int) -> bytes | None:
        try:
            return bytes(self._processor.mem_read(address, size))
        except UcError:
            return None

    def _word(self, address: int) -> int:
        return int.from_bytes(self._processor.mem_read(address, 4), "little")


def _processor(firmware: Firmware) -> Uc:
    """The processor with its memories, and the firmware in them."""
    found = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    found.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
    found.ctl_set_tcg_buffer_size(TRANSLATION_BYTES)
    for memory in memory_map.MEMORIES:
        rights = UC_PROT_READ | UC_PROT_EXEC if memory is memory_map.CODE else UC_PROT_ALL
        found.mem_map(memory.begin, memory.size, rights)
    for segment in firmware.segments:
        found.mem_write(segment.address, segment.content)
    return found
