# SPDX-License-Identifier: Apache-2.0
"""Mounts the file system in a file at no place: the mount lives as long as its descriptor, or where it is moved to.

So nothing is left when the device is killed: with its descriptors the mount ends, and with the mount the loop device.
Sources: fsopen(2), fsconfig(2), fsmount(2); loop(4) and linux/loop.h; linux/mount.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from armillary.errors import HostError

_LIBC = ctypes.CDLL(None, use_errno=True)
# Same numbers on every architecture.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC, _SET_STRING, _CREATE = 1, 1, 6
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_GET_FREE, _CONFIGURE, _GET_STATUS = 0x4C82, 0x4C0A, 0x4C05
# struct loop_info64 of 232 bytes: device and inode of the file at 0 and 8, flags at 52.
_INFO_BYTES, _FLAGS_OFFSET, _AUTOCLEAR = 232, 52, 4
# struct loop_config: u32 descriptor, u32 block size, struct loop_info64, u64 reserved[8]
_RESERVED_BYTES = 64
# Another process may take the loop device that was free a moment ago; not every time.
_ATTEMPTS = 16
_RELEASE_POLLS, _RELEASE_POLL_S = 500, 0.01


def mount_image(image: Path) -> int:
    """The root of the ext4 file system in a file, mounted nosuid, nodev and noexec: a descriptor (O_PATH).

    Mounting a file that is mounted already gives another view of the same file system.

    Raises:
        HostError: the file is another user's.
        OSError: no loop device, or no file system that can be mounted.
    """
    with locked(image) as lock:
        return mount_locked(image, lock)


@contextlib.contextmanager
def locked(image: Path) -> Iterator[int]:
    """Nobody else looks for the image's loop device, mounts or repairs it meanwhile: its descriptor.

    The lock is held as well by every program that inherits the descriptor, for as long as it runs.

    Raises:
        HostError: the file is another user's, or a link.
        OSError: it is no file, or this user may not open it.
    """
    lock = _lock(image)
    try:
        refuse_foreign(image, os.fstat(lock))
        yield lock
    finally:
        os.close(lock)


def refuse_foreign(path: Path, status: os.stat_result) -> None:
    """Refuse what another user owns, who could put something else in its place.

    Raises:
        HostError: it is another user's.
    """
    if status.st_uid != os.geteuid():
        raise HostError(
            f"mutable storage: {path} belongs to user {status.st_uid}, expected {os.geteuid()}, who runs this",
            remedy="Run it as that user; or give this user the device's whole folder, if you trust what is in it.",
        )


def mount_locked(image: Path, lock: int) -> int:
    """As ``mount_image``, for who holds the image's lock."""
    loop, number = _attach(image, lock)
    try:
        context = _call(_FSOPEN, ctypes.c_char_p(b"ext4"), ctypes.c_uint(_CLOEXEC))
        try:
            source = ctypes.c_char_p(f"/dev/loop{number}".encode())
            _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_SET_STRING), b"source", source, ctypes.c_int(0))
            _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_CREATE), None, None, ctypes.c_int(0))
            flags = _NOSUID | _NODEV | _NOEXEC
            return _call(_FSMOUNT, ctypes.c_int(context), ctypes.c_uint(_CLOEXEC), ctypes.c_uint(flags))
        finally:
            os.close(context)
    finally:
        os.close(loop)


def wait_released(image: Path) -> None:
    """Wait until nobody mounts the file any more: the kernel ends a mount a moment after its last process.

    Raises:
        OSError: EBUSY, it is mounted still.
    """
    backing = image.stat()
    for _ in range(_RELEASE_POLLS):
        found = _attached(image, backing)
        if found is None:
            return
        os.close(found[0])
        time.sleep(_RELEASE_POLL_S)
    raise OSError(errno.EBUSY, f"{image} is still mounted")


def inside(mount: int) -> str:
    """A path of the root of a mount, for this process and those that are given its descriptor."""
    return f"/proc/self/fd/{mount}/."


def _lock(image: Path) -> int:
    """The file at this place, open and locked; it may have been replaced while the lock was waited for."""
    while True:
        try:
            lock = os.open(image, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise HostError(f"mutable storage: {image} is a link, expected a file", remedy="Remove it.") from error
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock), image.lstat()):
                return lock
        except BaseException:  # whatever it is, nothing stays open
            os.close(lock)
            raise
        os.close(lock)


def _attach(image: Path, lock: int) -> tuple[int, int]:
    """A loop device for a file, open, and its number: the one that the file has, or a free one.

    It is released with its last use. One file has one device: two would be two writers of one file system.
    """
    found = _attached(image, os.fstat(lock))
    if found is not None:
        return found
    # Opened again: the loop device keeps what it is given, and with it would keep the lock.
    backing = os.open(f"/proc/self/fd/{lock}", os.O_RDWR | os.O_CLOEXEC)
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            return _configure(control, backing)
        finally:
            os.close(control)
    finally:
        os.close(backing)


def _attached(image: Path, file: os.stat_result) -> tuple[int, int] | None:
    """The loop device of a file; those of files of other names are not opened."""
    for entry in Path("/sys/block").glob("loop*/loop"):
        number = int(entry.parent.name.removeprefix("loop"))
        try:
            if Path((entry / "backing_file").read_text("utf-8", "replace").rstrip("\n")).name != image.name:
                continue
            loop = os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # released meanwhile
        status = bytearray(_INFO_BYTES)
        try:
            fcntl.ioctl(loop, _GET_STATUS, status)
            if struct.unpack_from("=QQ", status) == (file.st_dev, file.st_ino):
                return loop, number
        except OSError:
            pass  # ENXIO: released
        os.close(loop)
    return None


def _configure(control: int, backing: int) -> tuple[int, int]:
    """A free loop device, configured for a file: open for reading, and its number.

    Who configures it has it open for writing: it would be read-only otherwise. Kernels that let nobody write a mounted
    device past its file system (``CONFIG_BLK_DEV_WRITE_MOUNTED=n``, such as the own ones) mount it once nobody has.
    """
    information = bytearray(_INFO_BYTES)
    struct.pack_into("=I", information, _FLAGS_OFFSET, _AUTOCLEAR)
    wanted = struct.pack("=II", backing, 0) + bytes(information) + bytes(_RESERVED_BYTES)
    for _ in range(_ATTEMPTS):
        number = fcntl.ioctl(control, _GET_FREE)
        try:
            writer = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(writer, _CONFIGURE, wanted)
                return os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_CLOEXEC), number
            finally:
                os.close(writer)
        except OSError as error:
            if error.errno != errno.EBUSY:  # somebody else took it meanwhile
                raise
    raise OSError(errno.EBUSY, "no loop device is free")


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
