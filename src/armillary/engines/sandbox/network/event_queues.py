# SPDX-License-Identifier: Apache-2.0
"""Keeps an application's epoll registrations when a socket of outside takes the place of its own.

A registration belongs to an open file under a number (epoll_ctl(2)), so it would go with the socket that is replaced:
an event loop that registers before it connects would wait for ever. Each one that the kernel shows is made again for
the new socket, under the number that the application knows, so that it can change and remove it. The number means
something in a table of descriptors; a thread gets one of its own for that (unshare(2), CLONE_FILES), and ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import threading
from dataclasses import dataclass
from typing import Any

from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.network.kernel import Descriptors

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_FILES = 0x400
_EPOLL_CTL_ADD = 1
_EVERY_NUMBER = 1 << 20
# struct epoll_event: packed on x86-64 alone (linux/eventpoll.h)
_EVENT = {"x86_64": struct.Struct("=IQ")}
_ALIGNED_EVENT = struct.Struct("=I4xQ")
# What a descriptor of a queue stands for, in /proc.
QUEUE = "anon_inode:[eventpoll]"
# Registrations of one socket that are made again: a program has one, or one a loop.
REGISTRATION_LIMIT = 16
# What is read of all queues of a process, a line of 80 bytes for each socket that one waits for: enough for a dozen
# loops that each wait for all 256 descriptors of an application. A program can register hundreds of thousands.
READ_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Registration:
    """What one event queue of a process waits for at one of its descriptors."""

    queue: int  # The queue's descriptor there
    number: int  # The descriptor that it waits for
    events: int
    data: int


def registrations(process: Descriptors, queues: list[int], numbers: list[int], inode: int) -> list[Registration]:
    """What these queues of a process wait for at these of its descriptors, as far as they stand for this socket.

    Raises:
        OSError: ENOBUFS, when the queues wait for more than is read.
    """
    found: list[Registration] = []
    left = READ_LIMIT_BYTES
    for queue in queues:
        try:
            lines = process.information(queue, left + 1)
        except FileNotFoundError:
            continue  # closed meanwhile
        left -= len(lines)
        if left < 0:
            raise OSError(errno.ENOBUFS, "event queues wait for more than is read at a connect")
        found += _of_queue(lines.decode("ascii", "replace"), queue, numbers, inode)
    return found[:REGISTRATION_LIMIT]


def _of_queue(lines: str, queue: int, numbers: list[int], inode: int) -> list[Registration]:
    """Lines of fdinfo such as ``tfd:  7 events: 19 data: 7  pos:0 ino:1a2b sdev:8`` (proc_pid_fdinfo(5))."""
    found = []
    for line in lines.splitlines():
        words = line.replace(":", ": ").split()
        if words[:1] != ["tfd:"] or int(words[1]) not in numbers:
            continue
        fields = dict(zip(words[2::2], words[3::2], strict=False))
        if int(fields.get("ino:", "0"), 16) == inode:
            found.append(Registration(queue, int(words[1]), int(fields["events:"], 16), int(fields["data:"], 16)))
    return found


def register(process: Descriptors, found: list[Registration], stream: int) -> None:
    """Make registrations of a process again in their queues, for the socket that is ``stream`` here.

    Raises:
        OSError: the kernel refuses, or the process closed a queue meanwhile.
    """
    queues: list[int] = []
    problems: list[OSError] = []
    try:
        queues.extend(process.copy(each.queue) for each in found)
        thread = threading.Thread(target=_register, args=(queues, found, stream, problems))
        thread.start()
        thread.join()
    finally:
        for queue in queues:
            os.close(queue)
    if problems:
        raise problems[0]


def _register(queues: list[int], found: list[Registration], stream: int, problems: list[OSError]) -> None:
    """In a thread of its own, with a table of descriptors of its own."""
    try:
        _checked(_LIBC.unshare(_CLONE_FILES))
    except OSError as error:
        problems.append(error)
        return
    try:
        # Above the numbers that are going to be replaced here.
        free = max(each.number for each in found) + 1
        held = fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, free)
        own = [fcntl.fcntl(queue, fcntl.F_DUPFD_CLOEXEC, free) for queue in queues]
        layout = _EVENT.get(kernel.machine(), _ALIGNED_EVENT)
        for queue, each in zip(own, found, strict=True):
            os.dup2(held, each.number)
            event = ctypes.create_string_buffer(layout.pack(each.events, each.data))
            _add(queue, each.number, event)
    except OSError as error:
        problems.append(error)
    finally:
        # The table holds everything that is open here, the replaced socket too: it must not last as long as the thread.
        os.closerange(0, _EVERY_NUMBER)


def _add(queue: int, number: int, event: Any) -> None:
    with contextlib.suppress(FileExistsError):  # the application has registered the new socket itself
        _checked(_LIBC.epoll_ctl(queue, _EPOLL_CTL_ADD, number, event))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
