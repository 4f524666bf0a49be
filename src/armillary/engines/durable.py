# SPDX-License-Identifier: Apache-2.0
"""Files that survive a power cut: after a crash a file is complete or absent, and its name is durable."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from armillary.errors import DataFolderError

PARTIAL_SUFFIX = ".partial"  # of a file that is being written


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that after a crash it is there completely or not at all.

    Raises:
        DataFolderError: the disk refuses.
    """
    # One name per thread: two uploads of one image at once must not rename each other's file away.
    partial = path.with_name(f"{path.name}.{threading.get_ident()}{PARTIAL_SUFFIX}")
    try:
        # Our own file and no other: where others may write, one of them could have it open already.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)  # a full disk needs the room
        raise not_writable(path.parent, error) from error


def move_file(file: Path, path: Path, *, mode: int) -> None:
    """Give a finished file its name so that after a crash it is there completely or not at all; on one disk only.

    Raises:
        DataFolderError: the disk refuses.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        file.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise not_writable(path.parent, error) from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_writable(path: Path, error: OSError) -> DataFolderError:
    """The error for a folder or file that the operating system does not let this process use."""
    return DataFolderError(
        f"{path} cannot be written ({error.strerror or error})",
        remedy="Give this user the folder, free space on its disk, or choose another with --data.",
    )
