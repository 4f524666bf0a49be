# SPDX-License-Identifier: Apache-2.0
"""Flash in a folder of a Linux file system: a region is a file of mode 0600.

``sync`` is ``fsync`` on the file *and* on every folder above it up to the engine's root (a new file's name is
only durable when its folder is). ``rename`` is ``rename(2)`` and ``fsync`` on the folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from armillary.engines.flash.port import NothingRunsFrom, check_region_name
from armillary.errors import DataFolderError


class FileFlash(NothingRunsFrom):
    """Flash regions as files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with _explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, region: str) -> bytes | None:
        """The bytes of ``region``, or None when there is no such region."""
        path = self._path(region)
        with _explained(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def write(self, region: str, data: bytes) -> None:
        """Make ``region`` hold ``data``; a cut before :meth:`sync` may leave anything."""
        path = self._path(region)
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - the descriptor carries the mode
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]

    def sync(self, region: str) -> None:
        """Make what was written to ``region``, and its name, durable."""
        path = self._path(region)
        with _explained(path):
            _sync(path)
            folder = path.parent
            while True:
                _sync(folder)
                if folder == self._folder:
                    break
                folder = folder.parent

    def rename(self, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``, atomically and durably."""
        old, new = self._path(source), self._path(target)
        with _explained(new):
            new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            old.rename(new)
            _sync(new.parent)
            if old.parent != new.parent:
                _sync(old.parent)

    def remove(self, region: str) -> None:
        """Remove ``region`` durably; absent already is no error."""
        path = self._path(region)
        with _explained(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync(path.parent)

    def room(self, region: str) -> int | None:
        """None: a file may have any size."""
        check_region_name(region)
        return None

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of the regions that begin with ``prefix``, sorted."""
        with _explained(self._folder):
            names = (path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())
            return tuple(sorted(name for name in names if name.startswith(prefix)))

    def _path(self, region: str) -> Path:
        return self._folder / check_region_name(region)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFolderError(
            f"{path}: {error.strerror or error}",
            remedy="Check the disk's free space and the folder's owner and permissions.",
        ) from error
