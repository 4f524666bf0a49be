# SPDX-License-Identifier: Apache-2.0
"""The data folder: its files, its version, and the lock by which only one service uses it.

::

    DATA/format        one line, "armillary-data 1"; written last at the first start, so that a folder without it
                       is either empty or half made
    DATA/lock          held with flock for the life of the process; the number of the holder is in it
    DATA/records.db    the records (and -wal, -shm)
    DATA/blobs/        image packages by SHA-256, immutable
    DATA/deltas/       deltas between them that devices asked for; may be removed at any time
    DATA/keys/         private keys, 0700, files 0600
    DATA/repository/   metadata and artifacts of the repository (service/repository/files.py)
    DATA/hub/          the hub's own files (not ours)
    DATA/making        present while a first start is under way
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from armillary.engines.durable import PARTIAL_SUFFIX, not_writable, sync_folder, write_file
from armillary.errors import DataFolderError, DataFolderInUseError

FORMAT_NAME = "armillary-data"
FORMAT_VERSION = 1  # 1 (2026-11): first

# Files of a first start, which an interrupted one may have left.
_OWN = ("records.db", "records.db-wal", "records.db-shm", "records.db-journal", "blobs", "deltas", "keys", "repository")


@dataclass(slots=True)
class DataFolder:
    """An open, locked data folder."""

    path: Path
    fresh: bool  # True while it is being made for the first time; :meth:`finish` ends that
    _lock: int

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Create the folder if needed, take its lock and check its version. Nothing is changed when this raises.

        Raises:
            DataFolderInUseError: another process holds it.
            DataFolderError: not writable, made by another version, or holding files of something else.
        """
        path = path.absolute()
        created, locked = not path.exists(), (path / "lock").exists()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise not_writable(path, error) from error
        try:
            _take_lock(path, lock)
            fresh = _is_fresh(path)
            if fresh:
                _begin(path)
            else:
                _add_what_may_be_missing(path)
        except BaseException as error:  # undo it, whatever was raised
            os.close(lock)
            if not locked and not isinstance(error, DataFolderInUseError):
                with contextlib.suppress(OSError):
                    (path / "lock").unlink()
                    if created:
                        path.rmdir()
            raise
        return cls(path, fresh, lock)

    @classmethod
    def shared(cls, path: Path) -> DataFolder:
        """A folder whose lock the parent process holds; only for worker processes of that process."""
        return cls(path.absolute(), fresh=False, _lock=-1)

    @property
    def database(self) -> Path:
        """The records' database file."""
        return self.path / "records.db"

    @property
    def blobs(self) -> Path:
        """Folder of image packages."""
        return self.path / "blobs"

    @property
    def deltas(self) -> Path:
        """Folder of deltas between artifacts."""
        return self.path / "deltas"

    @property
    def keys(self) -> Path:
        """Folder of private keys."""
        return self.path / "keys"

    def finish(self) -> None:
        """End the first start: from now on the folder is of this format."""
        write_file(self.path / "format", f"{FORMAT_NAME} {FORMAT_VERSION}\n".encode(), mode=0o644)
        (self.path / "making").unlink(missing_ok=True)
        sync_folder(self.path)
        self.fresh = False

    def close(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take_lock(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
            raise not_writable(path, error) from error
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise DataFolderInUseError(f"{path} is held by process {holder}") from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise not_writable(path, error) from error


def _is_fresh(path: Path) -> bool:
    """Whether this folder has to be made.

    Raises:
        DataFolderError: it has other files, or is of another version.
    """
    expected = f"{FORMAT_NAME} {FORMAT_VERSION}"
    try:
        got = (path / "format").read_text("utf-8").strip()
    except FileNotFoundError:
        if (path / "making").exists():
            return True
        foreign = sorted(entry.name for entry in path.iterdir() if not _is_from_a_cut_start(entry.name))
        if foreign:
            raise DataFolderError(
                f"{path} is neither empty nor a data folder: it holds {', '.join(foreign[:5])}",
                remedy="Choose an empty or a new folder with --data.",
            ) from None
        return True
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderError(
            f"{path / 'format'} cannot be read ({error})", remedy="Restore the folder from a backup."
        ) from error
    if got != expected:
        raise DataFolderError(
            f"{path} has format {got[:40]!r}, this version needs {expected!r}",
            remedy="Start it with the version that made it, or use another folder with --data.",
        )
    missing = [name for name in ("blobs", "keys") if not (path / name).is_dir()]
    if not (path / "records.db").is_file():
        missing.append("records.db")
    if missing:
        raise DataFolderError(
            f"{path} lacks {', '.join(missing)}", remedy="Restore the folder from a backup; it was damaged."
        )
    return False


def _add_what_may_be_missing(path: Path) -> None:
    """Folders that a data folder of before has not, or that somebody removed to free space."""
    try:
        (path / "deltas").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise not_writable(path, error) from error


def _is_from_a_cut_start(name: str) -> bool:
    """Whether a first start that was interrupted before it wrote its mark could have made this file."""
    return name in ("lock", "hub") or (name.startswith("making.") and name.endswith(PARTIAL_SUFFIX))


def _begin(path: Path) -> None:
    """Begin to make the folder; deletes only files of an interrupted first start."""
    try:
        if (path / "making").exists():
            for name in _OWN:
                left = path / name
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink(missing_ok=True)
        for partial in path.glob(f"*{PARTIAL_SUFFIX}"):
            partial.unlink()
        write_file(path / "making", b"first start under way\n", mode=0o600)
        for name in ("blobs", "deltas", "keys"):
            (path / name).mkdir(mode=0o700)
        sync_folder(path)
    except OSError as error:
        raise not_writable(path, error) from error
