# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH208 - system calls are what is tried
"""Other processes: another application, and the device."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import struct
from typing import Any

from table import ASKED, attempt, call, content, failed, of_device, of_victim, structure

PTRACE_SEIZE, F_SETSIG, SI_QUEUE = 0x4206, 10, -1


def written(path: str, data: bytes) -> None:
    """Write to a file of the kernel."""
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, data)


attempt("own-memory-score")(lambda: written("/proc/self/oom_score_adj", b"0"))
attempt("own-sessions-share")(lambda: written("/proc/self/autogroup", b"0"))
attempt("environment-of-victim")(lambda: content(of_victim("environ")))
attempt("environment-of-device")(lambda: content(of_device("environ")))
attempt("root-of-device")(lambda: content(of_device("root" + ASKED["secret"])))
attempt("descriptors-of-device")(lambda: os.listdir(of_device("fd")))
# The first process of its namespace, or whoever started it.
attempt("memory-of-neighbour")(lambda: os.open(f"/proc/{os.getppid() or 1}/mem", os.O_RDWR))
attempt("trace-victim")(lambda: call("ptrace", PTRACE_SEIZE, ASKED["victim"], 0, 0))
attempt("trace-device")(lambda: call("ptrace", PTRACE_SEIZE, ASKED["device"], 0, 0))
attempt("kcmp-victim")(lambda: call("kcmp", os.getpid(), ASKED["victim"], 0, 0, 0))
attempt("signal-victim")(lambda: os.kill(ASKED["victim"], signal.SIGUSR1))
attempt("signal-device")(lambda: os.kill(ASKED["device"], 0))
attempt("priority-of-victim")(lambda: os.setpriority(os.PRIO_PROCESS, ASKED["victim"], 19))
attempt("processors-of-victim")(lambda: os.sched_setaffinity(ASKED["victim"], os.sched_getaffinity(0)))
attempt("limits-of-victim")(lambda: resource.prlimit(ASKED["victim"], resource.RLIMIT_NOFILE))


def vectors() -> tuple[Any, Any]:
    """Memory here and at the victim, as process_vm_readv(2) wants it; the first keeps what the others point to."""
    here = ctypes.create_string_buffer(8)
    local = struct.pack("=QQ", ctypes.addressof(here), 8)
    return (here, ctypes.c_char_p(local), 1, ctypes.c_char_p(struct.pack("=QQ", ASKED["address"], 8)), 1), here


@attempt("read-memory-of-victim")
def _() -> None:
    arguments, _ = vectors()
    call("process_vm_readv", ASKED["victim"], *arguments[1:], ctypes.c_ulong(0))


@attempt("write-memory-of-victim")
def _() -> None:
    arguments, _ = vectors()
    call("process_vm_writev", ASKED["victim"], *arguments[1:], ctypes.c_ulong(0))


@attempt("memory-file-of-victim")
def _() -> None:
    descriptor = os.open(of_victim("mem"), os.O_RDONLY)
    os.pread(descriptor, 8, ASKED["address"]) or failed(errno.ENODATA)


@attempt("descriptor-of-victim")
def _() -> None:
    call("pidfd_getfd", os.pidfd_open(ASKED["victim"]), 1, 0)


@attempt("signal-victim-by-descriptor")
def _() -> None:
    signal.pidfd_send_signal(os.pidfd_open(ASKED["victim"]), signal.SIGUSR1)


@attempt("signal-victim-with-value")
def _() -> None:
    call(
        "rt_sigqueueinfo",
        ASKED["victim"],
        int(signal.SIGUSR1),
        structure(signal.SIGUSR1, 0, SI_QUEUE % 2**32, size=128),
    )


@attempt("signal-victim-by-pipe")
def _() -> None:
    """Name it the owner of a pipe, which signals its owner when there is something to read. Only the victim sees it."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, ASKED["victim"])
    fcntl.fcntl(reader, F_SETSIG, int(signal.SIGUSR2))
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")
    failed(errno.EINPROGRESS)
