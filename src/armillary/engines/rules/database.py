# SPDX-License-Identifier: Apache-2.0
"""The rules' database file: its schema, its version, how it is opened.

::

    FOLDER/rules.db   (and -wal, -shm); made with the first rule. The folder's lock is held by the series store.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from armillary.engines.sqlite_refusal import refusal
from armillary.errors import DataFolderError

FILE_NAME = "rules.db"

# "ArmR": tells this file from any other SQLite database.
APPLICATION_ID = 0x41726D52

# 1 (2026-11): first.
SCHEMA_VERSION = 1

# Kibibytes of page cache of each connection.
CACHE_KIB = 256

# The other connection of this process holds the lock for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000

_SCHEMA = """
-- States of all rules for one device: [[rule id, rule version, state], ...]. They are of the log up to seq.
CREATE TABLE device_state (
    device_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    states TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- One row a firing. id is made of rule, version, device and firing: the same firing has the same id, always.
CREATE TABLE alert (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    catalog TEXT NOT NULL COLLATE NOCASE,
    rule_id TEXT NOT NULL,
    rule_name TEXT NOT NULL,
    severity TEXT NOT NULL,
    device_id TEXT NOT NULL,
    fired_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    trace TEXT NOT NULL,
    over_ms INTEGER,
    acknowledged_ms INTEGER,
    acknowledged_by TEXT
) STRICT;
CREATE INDEX alert_of_catalog ON alert (catalog, number);
CREATE INDEX alert_under_way ON alert (rule_id, device_id) WHERE over_ms IS NULL;
-- One row an action of a firing. state: waiting, done, dead.
CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    alert INTEGER NOT NULL REFERENCES alert (number),
    catalog TEXT NOT NULL COLLATE NOCASE,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX delivery_due ON delivery (due_ms) WHERE state = 'waiting';
CREATE INDEX delivery_dead ON delivery (catalog, number) WHERE state = 'dead';
CREATE INDEX delivery_of_alert ON delivery (alert);
CREATE TABLE secret (
    rule_id TEXT NOT NULL,
    action TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (rule_id, action)
) STRICT, WITHOUT ROWID;
-- evaluated: every block of the log up to this seq is in the states; -1 when no rule was evaluated.
CREATE TABLE progress (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('evaluated', -1);
"""


def open_writer(folder: Path) -> sqlite3.Connection:
    """Open or make the database in ``folder``; the connection may be used by any thread, one at a time.

    Raises:
        DataFolderError: not writable, damaged, of another program or of another version.
    """
    path = folder / FILE_NAME
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path)
        path.chmod(0o600)  # it holds secrets
        _use_write_ahead_log(connection, path)
        connection.execute("PRAGMA synchronous=FULL")
        _check_version(connection, path)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise refusal(str(path), error) or DataFolderError(
            f"{path} cannot be opened ({error})",
            remedy="Give this user the folder and free space on its disk, or choose another with --data.",
        ) from error
    except DataFolderError:
        if connection is not None:
            connection.close()
        raise
    return connection


def open_reader(folder: Path) -> sqlite3.Connection:
    """A connection that can only read; may be used by any thread, one at a time."""
    connection = _connect(folder / FILE_NAME)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise DataFolderError(
            f"{path}: its file system does not support write-ahead logging",
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
