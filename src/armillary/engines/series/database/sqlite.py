# SPDX-License-Identifier: Apache-2.0
"""The hub's database file, ``FOLDER/hub.db`` (and -wal, -shm): opened or made, with its version."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_refusal import refusal
from armillary.engines.series.database.folder import Folder, not_writable
from armillary.engines.series.database.schema import ADDITIONS, APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from armillary.errors import DataFolderError, DiskReserveError

# Pages of 4 KiB the write-ahead log grows to before it is copied into the database: large enough to copy rarely.
WAL_CHECKPOINT_PAGES = 4000

# Kibibytes of page cache: rows are written once and in order, so little is read back.
CACHE_KIB = 512

# Other connections of this process hold locks for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000


_FREE_SPACE = ("freelist_count", "page_size")


class Database:
    """The open, locked database.

    Attributes:
        path: The file.
        writer: The one connection that writes; used by the group commit's thread.
    """

    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"
    sessions = 1  # a file has no other end

    def __init__(self, folder: Path) -> None:
        """Open or create the database in ``folder``.

        Raises:
            DataFolderInUseError: another process holds it.
            DataFolderError: not writable, damaged, of another program or of another version; or the folder's series
                are elsewhere.
        """
        self.path = folder / "hub.db"
        self._folder = Folder(folder)
        try:
            self._folder.check_embedded()
            self._writer = self._open_writer()
            self._folder.note_embedded()
        except BaseException:  # whatever it is: the lock is given back, and it goes on
            self._folder.release()
            raise
        self.writer: Connection = self._writer

    def open_reader(self) -> sqlite3.Connection:
        """A connection that can only read; may be used by any thread, one at a time."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        return connection

    def close_writer(self) -> None:
        """Close the writing connection: the database file is complete without its log then."""
        self._writer.close()

    def release(self) -> None:
        """Give up the lock."""
        self._folder.release()

    def check_room(self, reserve_bytes: int) -> None:
        """Refuse what would eat into the reserve.

        Raises:
            DiskReserveError: too little is free. Pages that deleted rows left in the file count as free.
        """
        if not reserve_bytes:
            return
        state = os.statvfs(self.path.parent)
        free = state.f_bavail * state.f_frsize
        if free >= reserve_bytes:
            return
        (pages,), (size,) = (self._writer.execute(f"PRAGMA {name}").fetchone() for name in _FREE_SPACE)
        if free + pages * size < reserve_bytes:
            raise DiskReserveError(
                f"the disk of {self.path.parent} has {free >> 20} MiB left, "
                f"less than the reserve of {reserve_bytes >> 20} MiB: no messages are taken"
            )

    def refusal(self, error: BaseException) -> DataFolderError | None:
        """The error to raise from what SQLite raised; None when neither disk nor file is to blame."""
        return refusal("the hub's log", error)

    def _open_writer(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise not_writable(self.path, str(error)) from error
        try:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            self._use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=OFF")  # numbers are given out by this program only
            connection.execute(f"PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            self._check_version(connection)
            connection.executescript(ADDITIONS)
        except sqlite3.Error as error:
            connection.close()
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                raise DataFolderError(f"{self.path}: damaged ({error})", remedy="Restore it from a backup.") from error
            raise not_writable(self.path, str(error)) from error
        except BaseException:  # whatever it is: the file is closed, and it goes on
            connection.close()
            raise
        return connection

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise DataFolderError(
                f"{self.path}: its file system does not support write-ahead logging (mode {mode})",
                remedy="Put the data folder on a local file system.",
            )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            return
        if (application, version) == (APPLICATION_ID, 1):
            from armillary.engines.series.database.migrate import from_version_1  # noqa: PLC0415 - once in a folder's life

            from_version_1(connection, SCHEMA)
            return
        if application == APPLICATION_ID:
            raise DataFolderError(
                f"{self.path}: expected schema version {SCHEMA_VERSION}, got {version}",
                remedy="Start it with the version of Armillary that made it.",
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DataFolderError(
                f"{self.path}: a database of another program", remedy="Choose another folder with --data."
            )
        connection.executescript(
            f"BEGIN EXCLUSIVE;{SCHEMA}"
            f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
        )
