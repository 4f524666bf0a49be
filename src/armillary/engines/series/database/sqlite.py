# SPDX-License-Identifier: Apache-2.0
"""The series in the hub's own file, ``FOLDER/hub.db`` (and -wal, -shm), which holds the folder's lock."""

from __future__ import annotations

import os
from pathlib import Path

from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import Layout, SqliteFile
from armillary.engines.series.database.folder import Folder
from armillary.engines.series.database.schema import ADDITIONS, APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from armillary.errors import DiskReserveError

# Pages of 4 KiB the write-ahead log grows to before it is copied into the database: large enough to copy rarely.
WAL_CHECKPOINT_PAGES = 4000

# Kibibytes of page cache: rows are written once and in order, so little is read back.
CACHE_KIB = 512

_FREE_SPACE = ("freelist_count", "page_size")


def _from_version_1(connection: Connection) -> None:
    from armillary.engines.series.database.migrate import from_version_1  # noqa: PLC0415 - once in a folder's life

    from_version_1(connection, SCHEMA)


LAYOUT = Layout(
    APPLICATION_ID,
    SCHEMA_VERSION,
    SCHEMA,
    upgrades={1: _from_version_1},
    additions=ADDITIONS,
    cache_kib=CACHE_KIB,
    # Numbers are given out by this program only: no foreign keys to check.
    pragmas=("foreign_keys=OFF", f"wal_autocheckpoint={WAL_CHECKPOINT_PAGES}"),
)


class HubFile(SqliteFile):
    """The open file of a locked folder (:class:`armillary.engines.series.database.port.SeriesStorage`).

    Raises:
        DataFolderInUseError: another process holds it.
        DataFolderError: not writable, damaged, of another program or of another version; or the folder's series are
            elsewhere.
    """

    sessions = 1  # a file has no other end

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder)
        try:
            self._folder.check_embedded()
            super().__init__(folder / "hub.db", LAYOUT, "the hub's log")
            self._folder.note_embedded()
        except BaseException:  # whatever it is: the lock is given back, and it goes on
            self._folder.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        self._folder.release()

    def check_room(self, reserve_bytes: int) -> None:
        """Check that the reserve is free; pages that deleted rows left in the file count as free.

        Raises:
            DiskReserveError: too little is free.
        """
        if not reserve_bytes:
            return
        state = os.statvfs(self.path.parent)
        free = state.f_bavail * state.f_frsize
        if free >= reserve_bytes:
            return
        (pages,), (size,) = (self.writer.execute(f"PRAGMA {name}").fetchone() for name in _FREE_SPACE)
        if free + pages * size < reserve_bytes:
            raise DiskReserveError(
                f"the disk of {self.path.parent} has {free >> 20} MiB left, "
                f"less than the reserve of {reserve_bytes >> 20} MiB: no messages are taken"
            )
