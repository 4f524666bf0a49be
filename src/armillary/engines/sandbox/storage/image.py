# SPDX-License-Identifier: Apache-2.0
"""The image of an application's mutable storage: an ext4 file system in a file, of which it may fill its quota.

It has a journal, so that a power cut leaves what was synced. The journal and the tables need about a megabyte whatever
the quota is; so the quota is not the size of the file system but what is left of it above the blocks that are reserved
for root (mke2fs(8), ``-m``). The file is allocated as a whole when it is made: a host whose disk is full later takes
nothing from an application that was promised its quota.

An image is made beside its place, filled with what there was before, synced, and then renamed: a cut leaves the old
storage or the new one. That is how a folder of an earlier version moves in, and how an image grows.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from armillary.engines.sandbox.storage.mounting import (
    inside,
    locked,
    mount_image,
    mount_locked,
    refuse_foreign,
    wait_released,
)
from armillary.engines.sandbox.storage.use import folder_use, image_of, inodes_used, mount_use
from armillary.errors import ArmillaryError, HostError, InstallError

TOOLS = ("mke2fs", "tune2fs", "e2fsck", "cp", "rm")
TOOL_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
BLOCK_BYTES = 1024
# The smallest file system with a journal of 1,024 blocks, the smallest that ext4 knows.
LEAST_BLOCKS = 2100
JOURNAL_BLOCKS = 1024
# Inode tables and bitmaps, and what ext4 keeps for itself (two percent): what is left of a block is at least this.
_USABLE = 0.95
_SIZE_ATTEMPTS = 4
# Files that fit beside those that move in; of a large file system one for each 16 KiB.
_LEAST_INODES, _BLOCKS_PER_INODE = 256, 16
_FILL_ATTEMPTS = 4
_FULL = os.strerror(errno.ENOSPC)
_MARKED = stat.S_ISVTX | 0o700
# An image is made anew for a smaller quota when it would be smaller than this part of it.
_SMALLER = 0.75
# linux fs/ext4/super.c, ext4_set_resv_clusters
_KEPT_PART, _KEPT_LIMIT = 50, 4096
# struct ext4_super_block at 1024: blocks, reserved blocks, state
_SUPERBLOCK = 1024
_BLOCKS_OFFSET, _RESERVED_OFFSET, _STATE_OFFSET, _ERROR_STATE = 4, 8, 58, 2
# Named one by one: what a host's mke2fs.conf says would change what is left for the application.
# No checksums: of so small a file system e2fsck finds no second superblock, and repairs none whose checksum is wrong.
_FEATURES = "none,has_journal,extent,filetype,sparse_super,large_file,huge_file,dir_nlink,extra_isize,ext_attr,flex_bg"


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Room:
    """What an image must hold: KiB, and inodes of what moves in."""

    kb: int
    inodes: int


def prepare(image: Path, folder: Path, *, size_kb: int, user: int) -> int:
    """Mount an application's storage of ``size_kb`` KiB; returns the mount's descriptor, which its caller closes.

    It is made when it is missing, with what is in ``folder``; that is emptied afterwards, and only then.

    Raises:
        HostError: the host has no room for it, or it lies in a folder of another user.
        InstallError: it is damaged beyond repair, or the host's tools refuse it.
        OSError: the host lets nobody mount it.
    """
    _fresh_name(image).unlink(missing_ok=True)
    refuse_foreign(image.parent, image.parent.lstat())
    if not os.path.lexists(image):
        found = folder_use(folder)
        needed = _Room(_room_kb(size_kb, found.used_bytes), found.files + found.folders)
        _mark(folder)
        _build(image, str(folder), needed, size_kb=size_kb, user=user)
    _empty(folder)
    mount = _mount(image)
    try:
        wanted = _reserved(image, mount, size_kb)
        if wanted == _word(image, _RESERVED_OFFSET):
            return mount
        used = mount_use(mount)
        anew = _is_to_be_built_anew(image, wanted, used=used, size_kb=size_kb)
        if anew:
            needed = _Room(_room_kb(size_kb, used), inodes_used(mount))
            _build(image, inside(mount), needed, size_kb=size_kb, user=user, mount=mount)
    except BaseException:  # whatever it is, nothing stays open or half made
        os.close(mount)
        raise
    os.close(mount)
    if not anew:
        with locked(image) as lock:
            wait_released(image)
            _reserve(image, wanted, lock)
    return _mount(image)


def try_image() -> str:
    """Make and mount an image; why this host cannot, or nothing."""
    with tempfile.TemporaryDirectory(prefix="armillary-storage-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        return try_storage(data, size_kb=4, user=os.geteuid())


def try_storage(folder: Path, *, size_kb: int, user: int) -> str:
    """Make the image of a folder, and mount it once; why this host cannot, or nothing. The image stays."""
    missing = [name for name in TOOLS if shutil.which(name, path=TOOL_PATH) is None]
    if missing:
        return f"this host has no {', '.join(missing)}: apt-get install e2fsprogs coreutils"
    try:
        os.close(prepare(image_of(folder), folder, size_kb=size_kb, user=user))
    except ArmillaryError as error:
        return error.message
    except OSError as error:
        return f"loop devices and mounts: {error.strerror}"
    return ""


def _is_to_be_built_anew(image: Path, wanted: int, *, used: int, size_kb: int) -> bool:
    """Whether a quota that has changed needs another file: a larger one, or a much smaller one would do."""
    blocks = _word(image, _BLOCKS_OFFSET)
    return wanted < 0 or (wanted > blocks // 2 and _blocks_for(_room_kb(size_kb, used)) < _SMALLER * blocks)


def _room_kb(size_kb: int, used: int) -> int:
    """What an image must hold: the quota, or what was there before where that is more."""
    return max(size_kb, -(-used // BLOCK_BYTES))


def _blocks_for(room_kb: int) -> int:
    return max(LEAST_BLOCKS, int((room_kb + JOURNAL_BLOCKS) / _USABLE))


def _reserve(image: Path, wanted: int, lock: int) -> None:
    """Reserve blocks of an image that is not mounted: at most half of them, which is more than the quota leaves."""
    blocks = str(min(max(0, wanted), _word(image, _BLOCKS_OFFSET) // 2))
    _run("tune2fs", "-r", blocks, str(image), descriptors=(lock,))


def _build(image: Path, source: str, needed: _Room, *, size_kb: int, user: int, mount: int = -1) -> None:
    """Make an image that holds ``source`` (in the mount, if it is one) and put it in place."""
    fresh = _fresh_name(image)
    try:
        target = _filled(fresh, source, needed, user=user, mount=mount)
        try:
            root = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=target)
            try:
                os.fchown(root, user, user)
                os.fchmod(root, 0o700)
                os.fsync(root)
            finally:
                os.close(root)
            wanted = _reserved(fresh, target, size_kb)
        finally:
            os.close(target)
        with locked(fresh) as lock:
            wait_released(fresh)
            _reserve(fresh, wanted, lock)
        _sync(fresh)
        fresh.rename(image)
        _sync(image.parent)
    except BaseException:  # whatever it is, nothing stays open or half made
        fresh.unlink(missing_ok=True)
        raise


def _filled(fresh: Path, source: str, needed: _Room, *, user: int, mount: int) -> int:
    """A mounted file system in a new file that holds ``source``; a larger one where it takes more than was counted."""
    for attempt in range(_FILL_ATTEMPTS):
        target = _make(fresh, _Room(needed.kb << attempt, needed.inodes << attempt), user=user)
        try:
            descriptors = tuple(each for each in (mount, target) if each >= 0)
            _run("cp", "-a", "--", f"{source}/.", inside(target), descriptors=descriptors)
        except BaseException as error:  # whatever it is, nothing stays open
            os.close(target)
            if not isinstance(error, InstallError) or _FULL not in error.message or attempt == _FILL_ATTEMPTS - 1:
                raise
        else:
            return target
    raise AssertionError  # the last attempt returned or raised


def _make(fresh: Path, needed: _Room, *, user: int) -> int:
    """A mounted file system in a new file, with this room."""
    room_kb = needed.kb
    blocks = _blocks_for(room_kb)
    for _ in range(_SIZE_ATTEMPTS):
        inodes = max(_LEAST_INODES, blocks // _BLOCKS_PER_INODE) + needed.inodes
        _allocate(fresh, blocks * BLOCK_BYTES)
        owner = f"root_owner={user}:{user},lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        _run(
            *("mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK_BYTES), "-N", str(inodes), "-I", "256"),
            *("-O", _FEATURES, "-J", "size=1", "-m", "0", "-e", "remount-ro", "-E", owner, str(fresh)),
        )
        mount = mount_image(fresh)
        root = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=mount)
        try:
            os.rmdir("lost+found", dir_fd=root)
        finally:
            os.close(root)
        lacking = -_reserved(fresh, mount, room_kb)
        if lacking <= 0:
            return mount
        os.close(mount)
        blocks += 2 * lacking
    raise InstallError(f"mutable storage: {room_kb} KiB do not fit a file system that mke2fs makes for them")


def _reserved(image: Path, mount: int, size_kb: int) -> int:
    """Blocks to reserve so that the quota is left; below 0 by as many as the file system is too small."""
    kept = min(_word(image, _BLOCKS_OFFSET) // _KEPT_PART, _KEPT_LIMIT)
    return os.fstatvfs(mount).f_blocks - 1 - kept - size_kb


def _mount(image: Path) -> int:
    """Mount it; what a defect of the disk damaged is repaired first."""
    with locked(image) as lock:
        if _word(image, _STATE_OFFSET) & _ERROR_STATE:
            _repair(image, lock)
        try:
            return mount_locked(image, lock)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EUCLEAN, errno.EIO, errno.EBADMSG):
                raise
        _repair(image, lock)
        return _mount_repaired(image, lock)


def _mount_repaired(image: Path, lock: int) -> int:
    try:
        return mount_locked(image, lock)
    except OSError as error:
        raise InstallError(
            f"mutable storage {image}: {error.strerror}, also after e2fsck",
            remedy="Move that file away: the application then starts with empty storage.",
        ) from error


def _repair(image: Path, lock: int) -> None:
    wait_released(image)
    with contextlib.suppress(InstallError):  # the mount says whether that helped
        _run("e2fsck", "-f", "-y", str(image), good=(0, 1, 2), descriptors=(lock,))


def _allocate(fresh: Path, size: int) -> None:
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise HostError(
            f"mutable storage: expected {size} bytes of room at {fresh.parent}: {error.strerror}",
            remedy="Free room on this disk; the application is started again by itself.",
        ) from error
    finally:
        os.close(descriptor)


def _mark(folder: Path) -> None:
    """Mark a folder, until it is emptied: where there is an image, what is in the folder has moved there."""
    folder.chmod(_MARKED)
    _sync(folder)


def _empty(folder: Path) -> None:
    """Remove what has moved into the image; the folder itself stays, and what something else wrote there."""
    filled = any(True for _ in os.scandir(folder))
    if not folder.lstat().st_mode & stat.S_ISVTX:
        if filled:
            _log.warning("storage.files-beside-the-image", extra={"folder": str(folder)})
    elif filled:
        _run("rm", "-rf", "--", str(folder))
        folder.mkdir(mode=0o700)
    else:
        folder.chmod(0o700)


def _word(image: Path, offset: int) -> int:
    """A number of the superblock; 16 bits are enough of the state."""
    with image.open("rb") as file:
        file.seek(_SUPERBLOCK + offset)
        data = file.read(4)
    return int(struct.unpack("<H" if offset == _STATE_OFFSET else "<I", data[: 2 if offset == _STATE_OFFSET else 4])[0])


def _run(program: str, *arguments: str, good: tuple[int, ...] = (0,), descriptors: tuple[int, ...] = ()) -> None:
    path = shutil.which(program, path=TOOL_PATH) or program
    done = subprocess.run(  # noqa: S603 - this host's own tools, their arguments are ours
        [path, *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={"PATH": TOOL_PATH, "LANG": "C.UTF-8", "MKE2FS_CONFIG": "/dev/null"},
        pass_fds=descriptors,
    )
    if done.returncode not in good:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        reason = next((line for line in said if _FULL in line), said[-1])
        raise InstallError(f"mutable storage: {program} failed ({done.returncode}): {reason:.300}")


def _fresh_name(image: Path) -> Path:
    return image.with_name(f".{image.name}.new")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
