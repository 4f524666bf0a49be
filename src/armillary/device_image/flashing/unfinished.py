# SPDX-License-Identifier: Apache-2.0
"""What a flash has while it writes: it goes with the flash, and with the next one if the flash was killed.

Each is locked (flock) by the process that has it, so what nobody locks is of one that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armillary.errors import ConflictError, HostError

_PREFIX: Final = "armillary-flash-"
_SUFFIX: Final = ".armillary-flash"


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder for a flash below ``parent``; those of flashes that were killed are removed.

    Raises:
        ConflictError: another flash began at the same instant, and took the folder for one that was left.
        HostError: there cannot be one.
    """
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _opened(left, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    try:
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent)
    except OSError as error:
        raise HostError(
            f"{parent}: expected a folder for the file system of the data: {error.strerror}",
            remedy="Name another one for temporary files, on a disk and not in memory: TMPDIR=DIR.",
        ) from error
    with made as name, _opened(Path(name), os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        _keep(descriptor, Path(name), named=Path(name))
        yield Path(name)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[int]:
    """A new file that gets its name, ``path``, when the block ends and not before: its descriptor.

    Raises:
        ConflictError: another flash writes the same file.
        OSError: it cannot be made, or cannot get its name.
    """
    fresh = path.with_name(f"{path.name}{_SUFFIX}")
    with contextlib.suppress(FileNotFoundError), _opened(fresh, os.O_RDWR) as left:
        _keep(left, fresh, named=path)
        fresh.unlink()
    try:
        with _opened(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
            _keep(descriptor, fresh, named=path)
            try:
                yield descriptor
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _another(path) from error


def _keep(descriptor: int, path: Path, *, named: Path) -> None:
    """Lock what is open; ConflictError if another flash has it, or has removed it before it was locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            return
    except (BlockingIOError, FileNotFoundError) as error:
        raise _another(named) from error
    raise _another(named)


def _another(path: Path) -> ConflictError:
    return ConflictError(
        f"{path}: another flash that runs now has it", remedy="Wait for its end, or name another file."
    )


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
