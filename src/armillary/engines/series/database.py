# SPDX-License-Identifier: Apache-2.0
"""The hub's database file: where it is, its schema, its version, its lock.

::

    FOLDER/hub.db   (and -wal, -shm)
    FOLDER/lock     held with flock for the life of the process
    FOLDER/made     present once the database was made: a folder that has lost its database is not begun anew
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from armillary.engines.series import announcements, cloud_messages, configurations, connectivity, twins, uploads
from armillary.errors import DataFolderError, DataFolderInUseError

# "ArmH": tells this file from any other SQLite database.
APPLICATION_ID = 0x41726D48

# 1 (2026-11): first. 2 (2026-11): hot segments, sealed hours with roll-ups (migrate.py brings 1 to 2).
SCHEMA_VERSION = 2

# Pages of 4 KiB the write-ahead log grows to before it is copied into the database: large enough to copy rarely.
WAL_CHECKPOINT_PAGES = 4000

# Kibibytes of page cache: rows are written once and in order, so little is read back.
CACHE_KIB = 512

# Other connections of this process hold locks for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000

_SCHEMA = """
-- What the hub remembers of a device. inboxes: wire/hub_topics.Inbox bits of its persistent session.
CREATE TABLE device (
    number INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL UNIQUE,
    inboxes INTEGER NOT NULL DEFAULT 0,
    last_seen_ms INTEGER NOT NULL DEFAULT 0,
    fault_count INTEGER NOT NULL DEFAULT 0,
    fault_ms INTEGER,
    fault_reason TEXT
) STRICT;
-- The log: one row a committed batch; data is framed as in blocks.py.
CREATE TABLE block (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
-- Everything from here to twin is described in seal.py. kind: 0 number, 1 truth value, 2 text.
CREATE TABLE metric (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE series (
    number INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (number),
    metric INTEGER NOT NULL REFERENCES metric (number),
    kind INTEGER NOT NULL,
    UNIQUE (device, metric, kind)
) STRICT;
-- Hot: what flushes brought, one row an hour and shard of series (segments.py). Points have no key.
CREATE TABLE hot (
    hour_ms INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    number INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (hour_ms, shard, number)
) STRICT, WITHOUT ROWID;
-- What is in hot, a series and hour: added to with each flush, so that nobody reads hot for a dashboard.
CREATE TABLE hot_hour (
    metric INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL,
    high REAL,
    total REAL,
    PRIMARY KEY (metric, hour_ms, series)
) STRICT, WITHOUT ROWID;
-- Sealed, keyed by time first: new hours are appended, old ones are deleted from the front.
CREATE TABLE chunk (
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup (
    hour_ms INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL,
    high REAL,
    total REAL,
    first REAL,
    last REAL,
    minutes BLOB NOT NULL,
    PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE fleet (
    metric INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    count INTEGER NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    total REAL,
    data BLOB NOT NULL,
    PRIMARY KEY (metric, hour_ms, shard)
) STRICT, WITHOUT ROWID;
-- Rows of hot and chunk that did not pass their checksum at a seal, as they were.
CREATE TABLE damaged (
    number INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    place INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE latest (
    metric INTEGER NOT NULL,
    device INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    value ANY NOT NULL,
    PRIMARY KEY (metric, device)
) STRICT, WITHOUT ROWID;
-- Rules of retention in order: the first whose patterns match decides; no number of days is for ever.
CREATE TABLE retention (
    position INTEGER PRIMARY KEY,
    template TEXT NOT NULL,
    metric TEXT NOT NULL,
    raw_days INTEGER,
    rollup_days INTEGER
) STRICT;
CREATE TABLE twin (
    device_id TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- flushed: every block up to this seq is in hot and latest. segments: the number of the last row of hot.
-- late, duplicates: points that came after their hour was sealed, or were there before.
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('flushed', 0), ('segments', 0), ('late', 0), ('duplicates', 0);
"""


# Tables that came later and that nothing older reads: made where they are missing, without a new version.
ADDITIONS = (
    cloud_messages.TABLES
    + announcements.TABLES
    + uploads.TABLES
    + twins.TABLES
    + configurations.TABLES
    + connectivity.TABLES
)


class Database:
    """The open, locked database.

    Attributes:
        path: The file.
        writer: The one connection that writes; used by the group commit's thread.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create the database in ``folder``.

        Raises:
            DataFolderInUseError: another process holds it.
            DataFolderError: not writable, damaged, of another program or of another version.
        """
        self.path = folder / "hub.db"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _not_writable(folder, error.strerror or str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise DataFolderInUseError(f"{folder} is held by another process") from error
        try:
            self._check_is_there(folder / "made")
            self.writer = self._open_writer()
            self._note_made(folder / "made")
        except BaseException:  # whatever it is: the lock is given back, and it goes on
            os.close(self._lock)
            raise

    def open_reader(self) -> sqlite3.Connection:
        """A connection that can only read; may be used by any thread, one at a time."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        return connection

    def close_writer(self) -> None:
        """Close the writing connection: the database file is complete without its log then."""
        self.writer.close()

    def release(self) -> None:
        """Give up the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check_is_there(self, made: Path) -> None:
        if made.exists() and not self.path.exists():
            raise DataFolderError(
                f"{self.path} is missing, though it was made here before",
                remedy=f"Restore it from a backup; or delete {made} to begin again without telemetry and twins.",
            )

    def _note_made(self, made: Path) -> None:
        try:
            made.touch(mode=0o600)
        except OSError as error:
            self.writer.close()
            raise _not_writable(made, error.strerror or str(error)) from error

    def _open_writer(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise _not_writable(self.path, str(error)) from error
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
            raise _not_writable(self.path, str(error)) from error
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
            from armillary.engines.series.migrate import from_version_1  # noqa: PLC0415 - once in a folder's life

            from_version_1(connection, _SCHEMA)
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
            f"BEGIN EXCLUSIVE;{_SCHEMA}"
            f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
        )


def _not_writable(path: Path, why: str) -> DataFolderError:
    return DataFolderError(
        f"{path} cannot be written ({why})",
        remedy="Give this user the folder, free space on its disk, or choose another with --data.",
    )
