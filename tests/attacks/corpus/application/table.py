# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH118, PTH123 - system calls are what is tried
"""The attempts by name, and what they have in common: system calls by number, the targets that were given."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
ASKED: dict[str, Any] = json.loads(os.environ.get("CORPUS", "{}"))
MACHINE = 0 if os.uname().machine == "x86_64" else 1
# x86-64 and AArch64 (syscall_64.tbl, asm-generic/unistd.h); later calls have one number on both.
NUMBERS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "rt_sigqueueinfo": (129, 138),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "memfd_create": (319, 279),
    "personality": (135, 92),
    "name_to_handle_at": (303, 264),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "clone": (56, 220),
    "syslog": (103, 116),
}
LATER = {"io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "clone3": 435, "pidfd_getfd": 438}
Try = Callable[[], object]
TRIES: dict[str, Try] = {}


def attempt(name: str) -> Callable[[Try], Try]:
    """Put a function into the table."""

    def put(function: Try) -> Try:
        TRIES[name] = function
        return function

    return put


def call(name: str, *arguments: Any) -> int:
    """A system call by its name; OSError where the kernel refuses it."""
    number = LATER[name] if name in LATER else NUMBERS[name][MACHINE]
    return checked(LIBC.syscall(ctypes.c_long(number), *arguments))


def checked(result: int) -> int:
    """The result of a C function; OSError where it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def content(path: str) -> bytes:
    """The first bytes of a file; an empty one is no success."""
    with open(path, "rb", buffering=0) as file:
        return file.read(4096) or failed(errno.ENODATA)


def failed(code: int) -> Any:
    """Say that it did not work."""
    raise OSError(code, os.strerror(code))


def structure(*values: int, size: int) -> ctypes.Array[ctypes.c_char]:
    """32-bit words, filled up with zeros."""
    return ctypes.create_string_buffer(struct.pack(f"={len(values)}I", *values), size)


def of_victim(name: str) -> str:
    """A file of ``/proc`` about another application."""
    return f"/proc/{ASKED['victim']}/{name}"


def of_device(name: str) -> str:
    """A file of ``/proc`` about the device."""
    return f"/proc/{ASKED['device']}/{name}"


def own(name: str) -> str:
    """A path in temporary storage."""
    return os.path.join(os.environ["TMPDIR"], name)


def forked(action: Try) -> int:
    """Do something in a process of its own, which ends with it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return child
