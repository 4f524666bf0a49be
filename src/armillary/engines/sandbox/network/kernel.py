# SPDX-License-Identifier: Apache-2.0
"""The supervisor's side of seccomp notification and what it needs around it: pidfd_getfd, openat2, Landlock's ABI.

Every structure is written as in the kernel's header. All calls raise OSError with the kernel's errno.
Sources: linux/seccomp.h and seccomp_unotify(2); pidfd_getfd(2); openat2(2); linux/landlock.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import struct
from dataclasses import dataclass

_LIBC = ctypes.CDLL(None, use_errno=True)

# Same numbers on every architecture since Linux 5.1.
_OPENAT2, _PIDFD_GETFD, _LANDLOCK_CREATE_RULESET = 437, 438, 444
_PIDFD_THREAD = os.O_EXCL  # linux/pidfd.h
_PAGE_BYTES = 4096

# linux/seccomp.h: struct seccomp_notif { u64 id; u32 pid; u32 flags; struct seccomp_data data; }, 80 bytes;
# struct seccomp_data { int nr; u32 arch; u64 ip; u64 args[6]; }
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp { u64 id; s64 val; s32 error; u32 flags; }
_ADDFD = struct.Struct("=QIIII")  # struct seccomp_notif_addfd { u64 id; u32 flags, srcfd, newfd, newfd_flags; }
_IOC_WRITE, _IOC_READ = 1, 2


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("!") << 8 | number


_RECEIVE = _ioc(_IOC_READ | _IOC_WRITE, 0, _NOTIFICATION.size)
_SEND = _ioc(_IOC_READ | _IOC_WRITE, 1, _ANSWER.size)
_ID_VALID = _ioc(_IOC_WRITE, 2, 8)
_ADD_DESCRIPTOR = _ioc(_IOC_WRITE, 3, _ADDFD.size)
_SET_FLAGS = _ioc(_IOC_WRITE, 4, 8)
_FLAG_WAKE_AT_ONCE = 1  # SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
_FLAG_CONTINUE = 1
_ADDFD_FLAG_SETFD = 1

_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_LANDLOCK_VERSION_FLAG = 1

# A message's data that is copied from an application in one call: what a socket buffer takes at most by default.
COPY_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Notification:
    """One system call that waits for an answer."""

    identity: int  # The kernel's cookie
    thread: int  # Thread id of the caller as seen from this process
    number: int  # Of the system call
    arguments: tuple[int, ...]


def wake_at_once(listener: int) -> None:
    """Have the kernel hand the processor over between caller and supervisor (Linux 6.6; older ones do without)."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(listener, _SET_FLAGS, _FLAG_WAKE_AT_ONCE)


def receive(listener: int) -> Notification:
    """Take the next notification. ENOENT when the caller vanished meanwhile."""
    buffer = bytearray(_NOTIFICATION.size)
    fcntl.ioctl(listener, _RECEIVE, buffer)
    identity, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
    return Notification(identity, thread, number, tuple(arguments))


def answer(listener: int, identity: int, *, value: int = 0, error: int = 0) -> None:
    """End the call with a value, or with -errno. ENOENT when the caller vanished."""
    fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(identity, value, -error, 0)))


def let_continue(listener: int, identity: int) -> None:
    """Let the kernel carry out the call. The caller may change its memory before it does: never a decision."""
    fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(identity, 0, 0, _FLAG_CONTINUE)))


def still_waiting(listener: int, identity: int) -> None:
    """Raise ENOENT unless the caller still waits, so that its thread id still means that thread."""
    fcntl.ioctl(listener, _ID_VALID, struct.pack("=Q", identity))


def place_descriptor(listener: int, identity: int, source: int, target: int, flags: int) -> None:
    """Put a copy of our descriptor over the caller's, with the given descriptor flags (O_CLOEXEC or 0)."""
    fcntl.ioctl(listener, _ADD_DESCRIPTOR, _ADDFD.pack(identity, _ADDFD_FLAG_SETFD, source, target, flags))


class Memory:
    """The memory of a waiting caller, open: it remains that process's memory even if the thread id is used again.

    Open it, then call :func:`still_waiting`; everything read afterwards came from the caller.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, thread: int) -> None:
        self._descriptor = os.open(f"/proc/{thread}/mem", os.O_RDWR | os.O_CLOEXEC)

    def read(self, address: int, size: int) -> bytes:
        """Copy bytes. EFAULT when the range is not mapped, EMSGSIZE over the copy limit."""
        if size > COPY_LIMIT_BYTES:
            raise OSError(errno.EMSGSIZE, "more than the supervisor copies in one call")
        try:
            data = os.pread(self._descriptor, size, address) if address < 1 << 63 else b""
        except OSError as error:
            raise OSError(errno.EFAULT, "unmapped memory") from error
        if len(data) != size:
            raise OSError(errno.EFAULT, "unmapped memory")
        return data

    def write(self, address: int, data: bytes) -> None:
        """Store bytes. EFAULT when the range is not mapped."""
        try:
            os.pwrite(self._descriptor, data, address)
        except (OSError, OverflowError) as error:
            raise OSError(errno.EFAULT, "unmapped memory") from error

    def close(self) -> None:
        """Close it, if it is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Descriptors:
    """The descriptors of another process, open: they remain that thread's even if its number is used again.

    Of a waiting caller, open them, then call :func:`still_waiting`; everything taken afterwards came from the caller.
    """

    __slots__ = ("_folder", "_thread")

    def __init__(self, thread: int) -> None:
        self._thread = _open_thread(thread)
        try:
            self._folder = os.open(f"/proc/{thread}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            os.close(self._thread)
            raise

    def copy(self, number: int) -> int:
        """A copy of one of them (shares the open file; close-on-exec here)."""
        return _call(_PIDFD_GETFD, ctypes.c_int(self._thread), ctypes.c_int(number), ctypes.c_uint(0))

    def flags(self, number: int) -> int:
        """Open flags of one, O_CLOEXEC included (proc_pid_fdinfo(5)); of a socket, which tells little more."""
        _, _, rest = self.information(number, _PAGE_BYTES).partition(b"flags:")
        if not rest:
            raise OSError(errno.EBADF, "no flags in fdinfo")
        return int(rest.split(maxsplit=1)[0], 8)

    def information(self, number: int, limit: int) -> bytes:
        """The first bytes of what the kernel tells of one."""
        file = os.open(f"fdinfo/{number}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        told = bytearray()
        try:
            while len(told) < limit and (part := os.read(file, limit - len(told))):
                told += part
        finally:
            os.close(file)
        return bytes(told)

    def numbers(self) -> list[int]:
        """All that are open."""
        folder = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return [int(name) for name in os.listdir(folder)]  # noqa: PTH208 - by a descriptor
        finally:
            os.close(folder)

    def link(self, number: int) -> str:
        """What one stands for, such as ``socket:[4711]``; "" when it was closed meanwhile."""
        try:
            return os.readlink(f"fd/{number}", dir_fd=self._folder)
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """Close it."""
        os.close(self._folder)
        os.close(self._thread)


def _open_thread(thread: int) -> int:
    try:
        return os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.pidfd_open(_process_of(thread))  # Linux before 6.9: the process has the same descriptors


def _process_of(thread: int) -> int:
    """Process id (thread group) of a thread."""
    with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a kernel file
        for line in file:
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    raise OSError(errno.ESRCH, "no thread group in status")


def open_in_root(thread: int, path: bytes) -> int:
    """A path descriptor for a name as the thread sees it; symbolic links cannot lead out of its root.

    A relative path is taken from the thread's root as well, which is where applications start.
    """
    root = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    try:
        return _call(_OPENAT2, ctypes.c_int(root), ctypes.c_char_p(path), ctypes.c_char_p(how), ctypes.c_size_t(24))
    finally:
        os.close(root)


def disconnect(descriptor: int) -> None:
    """connect(2) with AF_UNSPEC: forget a datagram socket's peer."""
    nothing = ctypes.create_string_buffer(16)
    if _LIBC.connect(ctypes.c_int(descriptor), nothing, ctypes.c_uint(16)) != 0:
        raise OSError(ctypes.get_errno(), "disconnect")


def landlock_abi() -> int:
    """Landlock's ABI version on this kernel, 0 where it is missing or switched off."""
    try:
        return _call(
            _LANDLOCK_CREATE_RULESET, ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION_FLAG)
        )
    except OSError:
        return 0


def machine() -> str:
    """Architecture name as the system-call tables use it."""
    return platform.machine()


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
