# SPDX-License-Identifier: Apache-2.0
"""A folder that builds share is of one process at a time: the others wait, and say for whom.

The lock is flock(2) on a file in the folder: it ends with the process that has it, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

# In the folder: what is locked, with the number of the process that has it.
FILE: Final = "lock"
_NUMBER_CHARACTERS: Final = 20


@contextlib.contextmanager
def alone_in(folder: Path, told: Callable[[str], None]) -> Iterator[None]:
    """Have a folder alone, made where there is none; ``told`` hears once for whom this process has to wait.

    Not twice in one process: it would wait for itself.

    Raises:
        OSError: the folder cannot be made, or nothing can be locked there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(_NUMBER_CHARACTERS).strip() or "another"
            told(f"waiting for the end of process {holder}, which works in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextlib.contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A folder that is empty when the block begins, whatever one that was killed left there, and gone when it ends."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
