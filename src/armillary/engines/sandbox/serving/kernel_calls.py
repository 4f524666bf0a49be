# SPDX-License-Identifier: Apache-2.0
"""Calls of the kernel that make processes, and move them, for the fork server (``program.py``), which loads this file.

It imports the standard library only. Sources: linux/sched.h, clone(2), setns(2), unshare(2), cgroups(7).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct

# linux/sched.h, by the name of the namespace in /proc/PID/ns; "pid" is the namespace of the process itself
NAMESPACES = {
    "mnt": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
ENTERED_FIRST = NAMESPACES["user"] | NAMESPACES["pid"]
CLONE_PARENT, CLONE_INTO_CGROUP = 0x00008000, 0x200000000
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220, "armv7l": 120}, 435
CLONE_ARGUMENTS = struct.Struct("=11Q")  # struct clone_args up to ``cgroup``
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """The result of a call of the C library; raise OSError where it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def duplicate(descriptor: int, least: int) -> int:
    """A copy with at least this number, closed by an execution. OSError says EMFILE of a number too high, too."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    except OSError as error:
        code = errno.EMFILE if error.errno == errno.EINVAL else error.errno
        raise OSError(code, os.strerror(code or 0)) from error


def fork_into(group: str) -> int:
    """fork(2) straight into a control group of version 2; minus one where that is refused.

    To move a process between groups waits for every processor of the machine; to be born in one does not.
    """
    directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    asked = CLONE_ARGUMENTS.pack(CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, directory)
    process = int(LIBC.syscall(ctypes.c_long(CLONE3), ctypes.c_char_p(asked), ctypes.c_size_t(len(asked))))
    os.close(directory)
    return process


def fork_for_parent() -> int:
    """fork(2), but the new process is a child of this one's parent."""
    flags = ctypes.c_ulong(CLONE_PARENT | signal.SIGCHLD)
    return checked(
        LIBC.syscall(ctypes.c_long(CLONE[os.uname().machine]), flags, *(ctypes.c_ulong(0) for _ in range(4)))
    )


def enter_group(file: str) -> None:
    """Move this process into a control group."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, b"0")
    os.close(descriptor)


def leave_groups_above() -> None:
    """Have this process, and those that it makes, see its control groups as the roots of theirs."""
    checked(LIBC.unshare(ctypes.c_int(NAMESPACES["cgroup"])))


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_namespaces(process: int, kinds: int) -> None:
    """Enter namespaces of the process that a pidfd names; its first process namespace is for children only."""
    checked(LIBC.setns(ctypes.c_int(process), ctypes.c_int(kinds)))


def namespaces_of(process: str) -> dict[str, int]:
    """The namespaces of a process (``self`` or a number), by name; the device image's own kernel has none of users."""
    known = NAMESPACES.keys() & os.listdir(f"/proc/{process}/ns")  # noqa: PTH208 - as below
    return {name: os.stat(f"/proc/{process}/ns/{name}").st_ino for name in known}  # noqa: PTH116 - no pathlib here


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor from 3 on that is not named."""
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = max(first, descriptor + 1)
    os.closerange(first, 1 << 20)
