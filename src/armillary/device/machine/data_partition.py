# SPDX-License-Identifier: Apache-2.0
"""Mounts the data partition; one that is damaged is repaired first, as far as e2fsck can.

The kernel plays the journal back by itself after a power cut. A file system with an error that the kernel noted, or
that does not mount, is given to ``e2fsck -y``, which takes a copy of the superblock where the first is damaged. What it
could not save is gone; what is left is judged where it is read (records by checksum, packages by signature).

A partition that lies over another one of its disk is neither mounted nor repaired: nobody signs a partition table, and
what would be written to the one would be in the other. Seen in QEMU: with a table that says that the data begin where a
slot does, e2fsck found a copy of the superblock, and wrote all over the slot and the data.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import time
from collections.abc import Callable
from typing import Final

from armillary.device.machine import kernel_calls
from armillary.device.machine.console import say

REPAIR: Final = "/usr/sbin/e2fsck"
RESERVE: Final = "reserve"
# A device needs some hundred kilobytes to start, to check in and to say that it is full. ext4 gives nobody the last
# 4096 blocks (16 MiB, or 2 % where that is less: s_resv_clusters), and counts them as free.
RESERVE_BYTES: Final = 32 << 20
_NEEDED_BYTES: Final = 20 << 20
# ext4's superblock (Linux, Documentation/filesystems/ext4/globals.rst): s_magic u16 and s_state u16 at 0x38.
_STATE_AT: Final = 1024 + 0x38
_STATE: Final = struct.Struct("<HH")
_MAGIC, _HAS_ERRORS = 0xEF53, 2
# Partitions of all disks by name, each below its disk; begin and size are in sectors (Linux, ABI/testing/sysfs-block).
_PARTITIONS: Final = "/sys/class/block"
# A check of 512 MB takes seconds; a flash that is failing takes longer, and the device does not wait for ever.
_REPAIR_WITHIN_S: Final = 600.0
# e2fsck(8): 0 nothing to do, 1 and 2 all errors are corrected.
_WELL_BELOW: Final = 4


def mount_data(node: str, target: str, *, alive: Callable[[], None]) -> str:
    """Mount it; returns a sentence on what was damaged, empty if nothing was. ``alive`` is called while it is repaired.

    Raises:
        OSError: it does not mount, repaired or not, or lies over another partition.
    """
    if other := lies_over(node):
        raise OSError(errno.EUCLEAN, f"it lies over {other}, by the partition table")
    damaged = has_errors(node)
    if not damaged:
        try:
            _mount(node, target)
        except OSError as error:
            damaged = error.strerror or str(error)
    if not damaged:
        return ""
    say(f"the data partition {node} is damaged ({damaged}); it is repaired")
    is_well = repair(node, alive)
    _mount(node, target)
    left = "what could not be saved is lost" if is_well else "not everything could be repaired"
    return f"the data partition {node} was damaged ({damaged}) and repaired: {left}"


def keep_reserve(target: str) -> str:
    """Hold some space of the data partition free for the device itself; a sentence where it had to be given up.

    A partition that is full takes not even the record that a start writes: then the reserve goes, so that the device
    starts and its service hears of it. It is made again as soon as there is room.
    """
    reserve = f"{target}/{RESERVE}"
    free = _free(target)
    if free < _NEEDED_BYTES:
        with contextlib.suppress(OSError):  # it was given up before
            os.unlink(reserve)  # noqa: PTH108 - pathlib costs a start
        return f"the data partition is full: {free:,} bytes are free, {_free(target):,} without the device's reserve"
    if free >= _NEEDED_BYTES + 2 * RESERVE_BYTES:
        with contextlib.suppress(OSError):  # the next start tries again
            descriptor = os.open(reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
    return ""


def _free(target: str) -> int:
    found = os.statvfs(target)
    return found.f_bfree * found.f_frsize


def lies_over(node: str) -> str:
    """Another partition of its disk that has sectors of this one, as the kernel knows them; empty if there is none."""
    name = node.rpartition("/")[2]
    here = os.path.realpath(f"{_PARTITIONS}/{name}")
    disk = here.rpartition("/")[0]
    if not os.path.exists(f"{here}/partition"):  # noqa: PTH110 - pathlib costs a start
        return ""  # a whole disk, or a file
    begin, end = _sectors(here)
    for other in sorted(os.listdir(disk)):  # noqa: PTH208 - as above
        if other != name and os.path.exists(f"{disk}/{other}/partition"):  # noqa: PTH110 - as above
            other_begin, other_end = _sectors(f"{disk}/{other}")
            if begin < other_end and other_begin < end:
                return f"/dev/{other}"
    return ""


def _sectors(partition: str) -> tuple[int, int]:
    """Where it begins, and the sector behind it."""
    begin, size = _number(f"{partition}/start"), _number(f"{partition}/size")
    return begin, begin + size


def _number(path: str) -> int:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs a start
        return int(file.read())


def has_errors(node: str) -> str:
    """Why the file system needs a check, empty if it does not say so."""
    try:
        descriptor = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
        try:
            read = os.pread(descriptor, _STATE.size, _STATE_AT)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or str(error)
    if len(read) < _STATE.size:
        return "it has no superblock"
    magic, state = _STATE.unpack(read)
    if magic != _MAGIC:
        return "its superblock is damaged"
    return "the kernel found errors in it" if state & _HAS_ERRORS else ""


def repair(node: str, alive: Callable[[], None]) -> bool:
    """Run e2fsck; whether it corrected all that it found."""
    try:
        nothing = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
        child = os.posix_spawn(REPAIR, [REPAIR, "-f", "-y", node], {"PATH": "/usr/sbin"}, file_actions=nothing)
    except OSError:
        return False
    ends_at = time.monotonic() + _REPAIR_WITHIN_S
    while time.monotonic() < ends_at:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return 0 <= os.waitstatus_to_exitcode(status) < _WELL_BELOW
        alive()
        time.sleep(0.1)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def _mount(node: str, target: str) -> None:
    flags = kernel_calls.NOSUID | kernel_calls.NODEV | kernel_calls.NOATIME
    kernel_calls.mount(node, target, "ext4", flags, "errors=remount-ro")
