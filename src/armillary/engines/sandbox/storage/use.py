# SPDX-License-Identifier: Apache-2.0
"""How much an application has filled of its mutable storage, and how many files it has there."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from armillary.engines.sandbox.storage.mounting import inside, mount_image

# Files are counted as an application's image counts them: in blocks; one that is empty is not nothing.
BLOCK_BYTES = 1024
ENTRY_BYTES = 256
# Whoever made more entries than this is over every quota; counting them all would be work that an application chooses.
ENTRY_LIMIT = 100_000
# Times that a walk begins again when folders are moved under it; an honest application does not meet them all.
_WALKS = 4
# A folder that is gone, or something else by now.
_REMOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class StorageUse:
    """What is in a storage."""

    used_bytes: int
    files: int  # And links; folders are not counted
    folders: int = 0
    whole: bool = True  # False: there is more than could be counted


def storage_use(folder: Path) -> StorageUse:
    """The use of an application's storage, running or not: of its image where it has one, else of ``folder``.

    It looks at every entry, so it is called in a thread.

    Raises:
        OSError: there is none, or this host lets nobody mount it.
    """
    image = image_of(folder)
    if not image.exists():
        return folder_use(folder)
    mount = mount_image(image)
    try:
        found = folder_use(Path(inside(mount)))
        return StorageUse(mount_use(mount), found.files, found.folders)
    finally:
        os.close(mount)


@contextlib.contextmanager
def opened_storage(folder: Path) -> Iterator[Path]:
    """An application's storage as a folder of this host, also while the application runs; only root opens an image.

    Raises:
        OSError: this user or host mounts nothing.
    """
    image = image_of(folder)
    if not image.exists():
        yield folder
        return
    mount = mount_image(image)
    try:
        yield Path(inside(mount))
    finally:
        os.close(mount)


def image_of(folder: Path) -> Path:
    """The image that takes the place of a folder of mutable storage."""
    return folder.with_name(f"{folder.name}.ext4")


def mount_use(mount: int) -> int:
    """Bytes that an application has filled of a mounted image."""
    found = os.fstatvfs(mount)
    return max(0, found.f_blocks - found.f_bfree - 1) * found.f_frsize  # without the block of the empty root


def inodes_used(mount: int) -> int:
    """Inodes that a mounted image has given away."""
    found = os.fstatvfs(mount)
    return found.f_files - found.f_ffree


def folder_use(folder: Path) -> StorageUse:
    """What is below a folder. Holes of sparse files are not counted, links are not followed.

    An application may move folders while they are counted. A walk that comes back up to another folder than it went
    down from ends there, because it may have left the storage, and begins again; of several, the largest is told,
    and that it is not whole. Nor is it where a folder is closed to this user.
    """
    most = StorageUse(0, 0, whole=False)
    for _ in range(_WALKS):
        found = _walk(folder)
        if found.whole:
            return found
        most = max(most, found, key=lambda use: use.used_bytes)
    return most


def _walk(folder: Path) -> StorageUse:
    """What is below a folder, and whether all of it was seen.

    It walks by descriptors, because paths may be longer than the kernel accepts.
    """
    try:
        at = os.open(f"{folder}/.", _FOLDER)
    except PermissionError:
        return StorageUse(0, 0, whole=False)
    try:
        used, entries, whole, names = _entries(at)
        files = entries - len(names)
        waiting, passed = [names], [identity(at)]
        while len(waiting) > 1 or waiting[0]:
            if entries > ENTRY_LIMIT:
                return StorageUse(max(used, entries * BLOCK_BYTES), files, entries - files, whole)
            if waiting[-1]:
                try:
                    below = os.open(waiting[-1].pop(), _FOLDER, dir_fd=at)
                except OSError as error:
                    whole = whole and error.errno in _REMOVED
                    continue
                os.close(at)
                at = below
                more, count, seen, names = _entries(at)
                used, entries, files = used + more, entries + count, files + count - len(names)
                whole = whole and seen
                waiting.append(names)
                passed.append(identity(at))
            else:
                waiting.pop()
                passed.pop()
                try:
                    above = os.open("..", _FOLDER, dir_fd=at)
                except PermissionError:
                    return StorageUse(used, files, entries - files, whole=False)
                os.close(at)
                at = above
                if identity(at) != passed[-1]:
                    return StorageUse(used, files, entries - files, whole=False)
        return StorageUse(used, files, entries - files, whole)
    finally:
        os.close(at)


def identity(folder: int) -> tuple[int, int]:
    """Which folder this descriptor is of, wherever it is moved to."""
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _entries(folder: int) -> tuple[int, int, bool, list[str]]:
    """Bytes and number of the entries of an open folder, whether all could be seen, and the folders' names."""
    used, entries, whole = 0, 0, True
    inner: list[str] = []
    with os.scandir(folder) as found:
        for entry in found:
            entries += 1
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                whole = whole and error.errno in _REMOVED
                continue
            blocks = -(-min(status.st_size, status.st_blocks * 512) // BLOCK_BYTES)
            used += max(blocks * BLOCK_BYTES, ENTRY_BYTES)
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            if entries > ENTRY_LIMIT:
                break
    return used, entries, whole, inner
