# SPDX-License-Identifier: Apache-2.0
"""The store's database file: its schema, its version, how it is opened.

::

    FOLDER/application.db    (and -wal, -shm)
    FOLDER/application.made  present once the database was made: a lost one is not begun anew in silence

The folder's lock is held by whoever opened the folder (the hub's series store).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from armillary.engines.sqlite_refusal import refusal
from armillary.errors import DataFolderError

# "ArmA": tells this file from any other SQLite database.
APPLICATION_ID = 0x41726D41

# 1 (2026-11): first.
SCHEMA_VERSION = 1

# Kibibytes of page cache of each connection: bodies are read rarely and whole.
CACHE_KIB = 256

# The other connection of this process holds the lock for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000

_SCHEMA = """
-- The newest version of every document that is not deleted. seq: number of the change, over all documents.
CREATE TABLE document (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    changed_ms INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;
-- Devices by template: jobs, migrations and pages ask.
CREATE INDEX device_template ON document (json_extract(body, '$.template'), id) WHERE kind = 'device';
-- Versions before, newest last; body is NULL where the change was a deletion.
CREATE TABLE history (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    body TEXT,
    UNIQUE (kind, id, version)
) STRICT;
CREATE INDEX deletion ON history (kind, seq) WHERE body IS NULL;
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('seq', 0);
"""


def open_writer(folder: Path) -> sqlite3.Connection:
    """Open or make the database in ``folder``; the connection may be used by any thread, one at a time.

    Raises:
        DataFolderError: lost, not writable, damaged, of another program or of another version.
    """
    path, made = folder / "application.db", folder / "application.made"
    if made.exists() and not path.exists():
        raise DataFolderError(
            f"{path} is missing, though it was made here before",
            remedy=f"Restore it from a backup; or delete {made} to begin again without templates, rules and the like.",
        )
    connection: sqlite3.Connection | None = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _use_write_ahead_log(connection, path)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        _check_version(connection, path)
        made.touch(mode=0o600)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise refusal(str(path), error) or DataFolderError(
            f"{path} cannot be opened ({error})",
            remedy="Give this user the folder and free space on its disk, or choose another with --data.",
        ) from error
    except BaseException:  # whatever it is: the file is closed, and it goes on
        if connection is not None:
            connection.close()
        raise
    return connection


def open_reader(folder: Path) -> sqlite3.Connection:
    """A connection that can only read; may be used by any thread, one at a time."""
    connection = sqlite3.connect(folder / "application.db", isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise DataFolderError(
            f"{path}: its file system does not support write-ahead logging (mode {mode})",
            remedy="Put the data folder on a local file system.",
        )


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return
    if application == APPLICATION_ID:
        raise DataFolderError(
            f"{path}: expected schema version {SCHEMA_VERSION}, got {version}",
            remedy="Start it with the version of Armillary that made it.",
        )
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DataFolderError(f"{path}: a database of another program", remedy="Choose another folder with --data.")
    connection.executescript(
        f"BEGIN EXCLUSIVE;{_SCHEMA}PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
    )
