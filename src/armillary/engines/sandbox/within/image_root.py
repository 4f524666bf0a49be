# SPDX-License-Identifier: Apache-2.0
"""Folders that an application sees: its image's files, and the device's client certificate."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from armillary.capability.confine import DEVICE_AUTHENTICATION_GROUP
from armillary.engines.sandbox.storage.use import identity
from armillary.errors import InstallError

# Names below one folder of an image; ASXipFS images have a handful.
ENTRY_LIMIT = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def extract_image(files: Mapping[str, bytes], executables: Collection[str], root: Path) -> Path:
    """Write an image's files to the new folder ``root``, readable by every user, writable by none; returns ``root``.

    ``files`` are contents by path in the image (``bin/app``; a leading slash is ignored), ``executables`` the paths of
    those that may be executed.

    Raises:
        InstallError: a path leads out of the image, or there are too many.
        OSError: the disk refuses.
    """
    if len(files) > ENTRY_LIMIT:
        raise InstallError(f"image: expected at most {ENTRY_LIMIT} files, got {len(files)}")
    runnable = {_relative(name) for name in executables}
    fresh = root.with_name(f".{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in files.items():
        path = fresh / _relative(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o555 if _relative(name) in runnable else 0o444)
    fresh.mkdir(parents=True, exist_ok=True)
    for folder, _, _ in os.walk(fresh):
        Path(folder).chmod(0o755)
    fresh.rename(root)
    return root


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath(name.removeprefix("/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InstallError(
            f"image: {name!r} is no path inside an image", remedy="Build the image package again from its folder."
        )
    return path


def share_with_group(path: Path) -> None:
    """Let the device authentication group read a folder or file; only root can, and only then it is needed.

    Symbolic links are left alone: what they lead to is shared by its own name. The root of a user namespace that lacks
    the group (a rootless container) keeps the files to itself: no application can run as another user there.
    """
    if os.geteuid() != 0 or path.is_symlink():
        return
    try:
        os.chown(path, 0, DEVICE_AUTHENTICATION_GROUP)
    except OSError as error:
        if error.errno == errno.EINVAL:  # user_namespaces(7): the id has no mapping
            return
        raise
    path.chmod(0o2750 if path.is_dir() else 0o640)


def share_tree_with_group(folder: Path) -> None:
    """:func:`share_with_group` for a folder and everything below it."""
    for where, folders, names in os.walk(folder):
        for name in ("", *folders, *names):
            share_with_group(Path(where, name))


def give_tree(folder: Path, user: int) -> None:
    """Give a folder and everything below it to an application's user, who may have written anything there.

    It walks by descriptors, because paths may be longer than the kernel accepts, and deeper than there are descriptors.
    Entries that cannot be given are skipped. The folder itself is last: if the user owns it, all was given before.

    Raises:
        InstallError: somebody moves its folders meanwhile, and the way back up would lead out of it.
    """
    at = os.open(folder, _FOLDER)
    try:
        if os.fstat(at).st_uid == user:
            return
        waiting = [_give_entries(at, user)]
        passed: list[tuple[int, int]] = []
        while len(waiting) > 1 or waiting[0]:
            if waiting[-1]:
                try:
                    below = os.open(waiting[-1].pop(), _FOLDER, dir_fd=at)
                except OSError:
                    continue
                passed.append(identity(at))
                os.close(at)
                at = below
                waiting.append(_give_entries(at, user))
            else:
                waiting.pop()
                above = os.open("..", _FOLDER, dir_fd=at)
                os.close(at)
                at = above
                if identity(at) != passed.pop():
                    raise InstallError(f"{folder}: its folders are being moved", remedy="Start the device again.")
        os.fchown(at, user, user)
    finally:
        os.close(at)


def _give_entries(folder: int, user: int) -> list[str]:
    """Give the entries of an open folder; returns the names of the folders among them."""
    inner = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                os.chown(entry.name, user, user, dir_fd=folder, follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
    return inner
