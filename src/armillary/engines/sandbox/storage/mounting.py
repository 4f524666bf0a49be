# SPDX-License-Identifier: Apache-2.0
"""Mounts the file system in a file at no place: the mount lives as long as its descriptor, or where it is moved to.

So nothing is left when the device is killed: with its descriptors the mount ends, and with the mount the loop device.
Sources: fsopen(2), fsconfig(2), fsmount(2); loop(4) and linux/loop.h; linux/mount.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import time
from pathlib import Path

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
        OSError: no loop device, or no file system that can be mounted.
    """
    loop, number = _attach(image)
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
        found = _attached(backing)
        if found is None:
            return
        os.close(found[0])
        time.sleep(_RELEASE_POLL_S)
    raise OSError(errno.EBUSY, f"{image} is still mounted")


def inside(mount: int) -> str:
    """A path of the root of a mount, for this process and those that are given its descriptor."""
    return f"/proc/self/fd/{mount}/."


def _attach(image: Path) -> tuple[int, int]:
    """A loop device for a file, open, and its number: the one that the file has, or a free one.

    It is released with its last use. One file has one device: two would be two writers of one file system.
    """
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        found = _attached(os.fstat(backing))
        if found is not None:
            return found
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            return _configure(control, backing)
        finally:
            os.close(control)
    finally:
        os.close(backing)


def _attached(file: os.stat_result) -> tuple[int, int] | None:
    for entry in Path("/sys/block").glob("loop*/loop"):
        number = int(entry.parent.name.removeprefix("loop"))
        try:
            loop = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
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
    information = bytearray(_INFO_BYTES)
    struct.pack_into("=I", information, _FLAGS_OFFSET, _AUTOCLEAR)
    wanted = struct.pack("=II", backing, 0) + bytes(information) + bytes(_RESERVED_BYTES)
    for _ in range(_ATTEMPTS):
        number = fcntl.ioctl(control, _GET_FREE)
        loop = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(loop, _CONFIGURE, wanted)
        except OSError as error:
            os.close(loop)
            if error.errno != errno.EBUSY:
                raise
        else:
            return loop, number
    raise OSError(errno.EBUSY, "no loop device is free")


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
