# SPDX-License-Identifier: Apache-2.0
"""The calls of the kernel that the Linux engines make: the seam at which tests put a kernel of their own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

# struct flock of 64-bit Linux: type, whence, start, length (0 for all), process; a lock for writing.
_LOCK = struct.pack("=hh4xqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
# Of a file below /sys: a number or a word.
_TEXT_LIMIT_BYTES = 256


class Kernel(Protocol):
    """What an engine asks of the kernel; each raises OSError."""

    def open(self, path: str, *, waits: bool = True) -> int:
        """Open a node for reading and writing; one that does not wait says EAGAIN instead."""
        ...

    def read(self, descriptor: int, size: int) -> bytes:
        """What is there, at most so many bytes."""
        ...

    def write(self, descriptor: int, data: bytes) -> int:
        """How many bytes were taken."""
        ...

    def lock(self, descriptor: int) -> None:
        """Hold a node against other devices on this host; EBUSY if one holds it."""
        ...

    def ioctl(self, descriptor: int, request: int, argument: object) -> None:
        """Ask a driver (ioctl, section 2) with a number, or with a buffer that is changed in place."""
        ...

    def close(self, descriptor: int) -> None:
        """Close."""
        ...

    def read_text(self, path: str) -> str:
        """Content of a file below /sys, without the line end."""
        ...

    def write_text(self, path: str, text: str) -> None:
        """Write to a file below /sys, at once."""
        ...


class HostKernel:
    """This host's kernel."""

    def open(self, path: str, *, waits: bool = True) -> int:
        """See ``Kernel``; ENOENT is told as ENODEV, since what is missing is the device."""
        with _missing_is_no_device():
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if waits else os.O_NONBLOCK))

    def read(self, descriptor: int, size: int) -> bytes:
        """See ``Kernel``."""
        return os.read(descriptor, size)

    def write(self, descriptor: int, data: bytes) -> int:
        """See ``Kernel``."""
        return os.write(descriptor, data)

    def lock(self, descriptor: int) -> None:
        """See ``Kernel``."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK)
        except (BlockingIOError, PermissionError) as error:
            raise OSError(errno.EBUSY, "another device of this host holds it") from error

    def ioctl(self, descriptor: int, request: int, argument: object) -> None:
        """See ``Kernel``."""
        fcntl.ioctl(descriptor, request, argument)  # type: ignore[call-overload]

    def close(self, descriptor: int) -> None:
        """See ``Kernel``."""
        os.close(descriptor)

    def read_text(self, path: str) -> str:
        """See ``Kernel``."""
        with _missing_is_no_device(), Path(path).open("rb") as file:
            return file.read(_TEXT_LIMIT_BYTES).decode("ascii", "replace").strip()

    def write_text(self, path: str, text: str) -> None:
        """See ``Kernel``."""
        with _missing_is_no_device():
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode("ascii"))
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _missing_is_no_device() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise OSError(errno.ENODEV, f"{error.filename} is not on this host") from error
