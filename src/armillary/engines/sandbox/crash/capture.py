# SPDX-License-Identifier: Apache-2.0
"""What is captured of a thread that a signal is about to end: registers, modules, call stack, the stack itself."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final

from armillary.engines.sandbox.crash import ptrace
from armillary.engines.sandbox.crash.memory_map import MappedModule, Mapping, Memory, mapping_at, mappings, modules
from armillary.engines.sandbox.crash.unwind import MACHINES, walk
from armillary.wire.device.crash_dump import MAX_STACK_BYTES, WORD_BYTES, MachineState, Stack
from armillary.wire.device.crash_record import Frame

# Signals whose usual action is a core dump (signal(7)): those of a program that went wrong.
CRASHES: Final = frozenset({
    signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
    signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
})  # fmt: skip
# An address below is that of a member of a structure that is not there.
NULL_BYTES: Final = 64 * 1024
# Left of the stack pointer by functions that call nothing (System V ABI of x86-64, §3.2.2).
RED_ZONE_BYTES: Final = 128
# By so much the stack pointer of a stack that overflowed may lie below what is mapped.
OVERFLOW_BYTES: Final = 64 * 1024


def is_deadly(process: int, number: int) -> bool:
    """Whether a signal that is about to be delivered ends the process: it is one of a crash, and nobody catches it."""
    if number not in CRASHES:
        return False
    with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a kernel file
        masks = {line[:6]: int(line[7:], 16) for line in file if line.startswith(("SigIgn", "SigCgt"))}
    return not (masks["SigIgn"] | masks["SigCgt"]) >> (number - 1) & 1


def capture(process: int, thread: int, number: int, machine: str) -> MachineState:
    """The state of a thread that stopped for a signal; raises OSError where the kernel refuses."""
    registers = ptrace.registers(thread, machine)
    cause = ptrace.cause(thread)
    memory = Memory(process)
    try:
        found = mappings(process)
        loaded = modules(found, memory.read)
        known = MACHINES[machine]
        frames = walk(known, registers, loaded, memory.read)
        pointer = next(registers[name] for name, place in known.numbers.items() if place == known.sp)
        return MachineState(
            machine=machine,
            signal=number,
            code=cause.code,
            fault=_fault(cause.address, found, loaded),
            registers=tuple(registers.items()),
            modules=tuple(one.module for one in loaded),
            frames=tuple(_frame(address, loaded) for address in frames),
            stack=_stack(pointer, found, memory),
        )
    finally:
        memory.close()


def _fault(address: int | None, found: Sequence[Mapping], loaded: Sequence[MappedModule]) -> str:
    """Where the address lies that could not be used. The address itself can hold what the application worked on."""
    if address is None:
        return "none"
    if address < NULL_BYTES:
        return "null"
    mapping = mapping_at(found, address)
    if any(one.module.begin <= address < one.module.end for one in loaded):
        return "module"
    if mapping is None:
        return "unmapped"
    return "stack" if mapping.path.startswith("[stack") else "mapped"


def _frame(address: int, loaded: Sequence[MappedModule]) -> Frame:
    for one in loaded:
        if one.module.begin <= address < one.module.end:
            return Frame(one.module.name, one.module.build_id, (address - one.module.bias) % (1 << 64), "")
    return Frame("", b"", 0, "")  # outside of every module an address says nothing


def _stack(pointer: int, found: Sequence[Mapping], memory: Memory) -> Stack | None:
    mapping = mapping_at(found, pointer) or mapping_at(found, pointer + OVERFLOW_BYTES)
    if mapping is None:
        return None
    begin = max((pointer - RED_ZONE_BYTES) // WORD_BYTES * WORD_BYTES, mapping.begin)
    content = memory.read(begin, min(MAX_STACK_BYTES, mapping.end - begin))
    return Stack(begin, scrubbed=False, content=content[: len(content) // WORD_BYTES * WORD_BYTES])
