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
from collections.abc import Iterator
from dataclasses import dataclass

from armillary.engines.sandbox.network import kernel

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_FILES = 0x400
_EPOLL_CTL_ADD = 1
_EVERY_NUMBER = 1 << 20
# struct epoll_event: packed on x86-64 alone (linux/eventpoll.h)
_EVENT = {"x86_64": struct.Struct("=IQ")}
_ALIGNED_EVENT = struct.Struct("=I4xQ")
_QUEUE = "anon_inode:[eventpoll]"
# Registrations of one socket that are made again: a program has one, or one a loop.
REGISTRATION_LIMIT = 16
# What is read of all queues of a process, a line of 80 bytes for each socket that one waits for: enough for a dozen
# loops that each wait for all 256 descriptors of an application. A program can register hundreds of thousands.
READ_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Registration:
    """What one event queue of a process waits for at one of its descriptors."""

    queue: int  # The queue's descriptor there
    events: int
    data: int


def registrations(process: int, descriptor: int, inode: int) -> list[Registration]:
    """The registrations of a process's descriptor, as far as it stands for the socket of this inode.

    Raises:
        OSError: ENOBUFS, when the process's queues wait for more than is read.
    """
    found: list[Registration] = []
    left = READ_LIMIT_BYTES
    with os.scandir(f"/proc/{process}/fd") as entries:
        for entry in entries:
            try:
                if os.readlink(entry.path) != _QUEUE:  # noqa: PTH115 - by the entry, and often
                    continue
                lines = _read(process, int(entry.name), left)
            except FileNotFoundError:
                continue  # closed meanwhile
            left -= len(lines)
            found += _of_queue(lines, int(entry.name), descriptor, inode)
    return found[:REGISTRATION_LIMIT]


def _read(process: int, queue: int, limit: int) -> str:
    with open(f"/proc/{process}/fdinfo/{queue}", encoding="ascii") as file:  # noqa: PTH123 - a kernel file
        lines = file.read(limit + 1)
    if len(lines) > limit:
        raise OSError(errno.ENOBUFS, "event queues wait for more than is read at a connect")
    return lines


def _of_queue(lines: str, queue: int, descriptor: int, inode: int) -> list[Registration]:
    """Lines of fdinfo such as ``tfd:  7 events: 19 data: 7  pos:0 ino:1a2b sdev:8`` (proc_pid_fdinfo(5))."""
    found = []
    for line in lines.splitlines():
        words = line.replace(":", ": ").split()
        if words[:1] != ["tfd:"] or int(words[1]) != descriptor:
            continue
        fields = dict(zip(words[2::2], words[3::2], strict=False))
        if int(fields.get("ino:", "0"), 16) == inode:
            found.append(Registration(queue, int(fields["events:"], 16), int(fields["data:"], 16)))
    return found


@contextlib.contextmanager
def copies(process: int, found: list[Registration]) -> Iterator[list[int]]:
    """The queues of registrations, as descriptors of this process meanwhile.

    Raises:
        OSError: the process closed a queue meanwhile.
    """
    queues: list[int] = []
    try:
        queues.extend(kernel.copy_descriptor(process, each.queue) for each in found)
        yield queues
    finally:
        for queue in queues:
            os.close(queue)


def register(queues: list[int], found: list[Registration], descriptor: int, stream: int) -> None:
    """Make registrations again in their queues, for the socket that is ``stream`` here and ``descriptor`` there.

    Raises:
        OSError: the kernel refuses.
    """
    problems: list[OSError] = []
    thread = threading.Thread(target=_register, args=(queues, found, descriptor, stream, problems))
    thread.start()
    thread.join()
    if problems:
        raise problems[0]


def _register(
    queues: list[int], found: list[Registration], descriptor: int, stream: int, problems: list[OSError]
) -> None:
    """In a thread of its own, with a table of descriptors of its own."""
    try:
        _checked(_LIBC.unshare(_CLONE_FILES))
    except OSError as error:
        problems.append(error)
        return
    try:
        # Above the number that is going to be replaced here.
        held = fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, descriptor + 1)
        own = [fcntl.fcntl(queue, fcntl.F_DUPFD_CLOEXEC, descriptor + 1) for queue in queues]
        os.dup2(held, descriptor)
        layout = _EVENT.get(kernel.machine(), _ALIGNED_EVENT)
        for queue, each in zip(own, found, strict=True):
            event = ctypes.create_string_buffer(layout.pack(each.events, each.data))
            _checked(_LIBC.epoll_ctl(queue, _EPOLL_CTL_ADD, descriptor, event))
    except OSError as error:
        problems.append(error)
    finally:
        # The table holds everything that is open here, the replaced socket too: it must not last as long as the thread.
        os.closerange(0, _EVERY_NUMBER)


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
