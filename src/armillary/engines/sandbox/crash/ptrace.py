# SPDX-License-Identifier: Apache-2.0
"""ptrace(2) as the tracer uses it: seize, continue, registers and the signal's cause. Every call raises OSError.

All calls for one process come from the thread that seized it: the kernel refuses others.
Sources: linux/ptrace.h, linux/elf.h; struct user_regs_struct (x86-64), struct user_pt_regs (arm64); sigaction(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.restype = ctypes.c_long

_CONT, _GETSIGINFO, _GETREGSET, _SEIZE, _LISTEN = 7, 0x4202, 0x4204, 0x4206, 0x4208
_OPTION_CLONE: Final = 1 << 3  # new threads are seized too; new processes are not
_NT_PRSTATUS: Final = 1
_EVENT_STOP: Final = 128
_GROUP_STOPS: Final = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_SIGINFO_BYTES: Final = 128
# waitid(2): threads too, and only those that this thread traces: the children of others are not taken from them.
WAIT_OWN: Final = os.WEXITED | os.WSTOPPED | 0x40000000 | 0x20000000

# Names of the registers in the kernel's order, by architecture; those that are None are segments and flags.
REGISTERS: Final[Mapping[str, tuple[str | None, ...]]] = {
    "x86_64": (
        "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", None,
        "rip", None, "rflags", "rsp", None, None, None, None, None, None, None,
    ),
    "aarch64": (*(f"x{number}" for number in range(31)), "sp", "pc", "pstate"),
}  # fmt: skip


class Stop(NamedTuple):
    """A stop of a thread: by a signal that is about to be delivered, or by an event of the tracer."""

    thread: int
    signal: int  # what would be delivered; 0 for an event
    group_stop: bool  # job control stops the process; it must stay stopped


class Cause(NamedTuple):
    """Why a signal is sent: ``si_code`` and, for those about an address, ``si_addr``."""

    code: int
    address: int | None


def can_trace(machine: str) -> bool:
    """Whether crashes are captured on this architecture."""
    return machine in REGISTERS


def seize(process: int) -> None:
    """Trace a process and its threads from now on, without stopping it."""
    _call(_SEIZE, process, 0, _OPTION_CLONE)


def stop_of(thread: int, status: int) -> Stop:
    """The stop that a wait status (of waitid(2)) tells of."""
    number, event = status & 0xFF, status >> 8
    if event == _EVENT_STOP:
        return Stop(thread, 0, group_stop=number in _GROUP_STOPS)
    return Stop(thread, 0 if event else number, group_stop=False)


def resume(stop: Stop) -> None:
    """Let a stopped thread go on, with the signal that it stopped for."""
    if stop.group_stop:
        _call(_LISTEN, stop.thread, 0, 0)
    else:
        _call(_CONT, stop.thread, 0, stop.signal)


def registers(thread: int, machine: str) -> dict[str, int]:
    """General registers of a stopped thread by name."""
    names = REGISTERS[machine]
    size = len(names) * 8
    buffer = ctypes.create_string_buffer(size)
    vector = struct.pack("=QQ", ctypes.addressof(buffer), size)
    _call(_GETREGSET, thread, _NT_PRSTATUS, ctypes.c_char_p(vector))
    values = struct.unpack(f"={len(names)}Q", buffer.raw)
    return {name: value for name, value in zip(names, values, strict=True) if name is not None}


def cause(thread: int) -> Cause:
    """Why the signal that stopped a thread is sent."""
    buffer = ctypes.create_string_buffer(_SIGINFO_BYTES)
    _call(_GETSIGINFO, thread, 0, buffer)
    number, _, code, _, address = struct.unpack_from("=iiiiQ", buffer.raw)
    has_address = code > 0 and number in {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
    return Cause(code, address if has_address else None)


def _call(request: int, thread: int, address: int, data: object) -> None:
    where = ctypes.c_void_p(address)
    what = ctypes.c_void_p(data) if isinstance(data, int) else data
    if _LIBC.ptrace(ctypes.c_long(request), ctypes.c_int(thread), where, what) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
