# SPDX-License-Identifier: Apache-2.0
"""Opens the file of a guardian's queue: its tables, and how SQLite is to write them."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Final

from armillary.guard.retention import QueueLimits
from armillary.wire.equipment.faults import QueueError

APPLICATION_ID: Final = 0x41726D51  # "ArmQ"
VERSION: Final = 1  # 1 (2026-11): first

PAGE_BYTES: Final = 4096

# The write-ahead log is copied into the file at this size and then written over.
WAL_PAGES: Final = 128

# Above the limit, for what is inserted before room is made; beyond it SQLite itself refuses.
SLACK_PAGES: Final = 256

# Below it a queue keeps nothing: its own tables take some pages.
LEAST_BYTES: Final = 16 * PAGE_BYTES

_SCHEMA: Final = f"""
CREATE TABLE boot (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, machine TEXT NOT NULL, first INTEGER NOT NULL)
STRICT;
CREATE TABLE equipment (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
-- clock: 1 synced. said: the time before it was corrected.
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY, boot INTEGER NOT NULL, equipment INTEGER NOT NULL, kind INTEGER NOT NULL,
    at REAL NOT NULL, monotonic REAL NOT NULL, clock INTEGER NOT NULL, said REAL,
    rejects INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL
) STRICT;
CREATE INDEX message_equipment ON message (equipment);
CREATE TABLE poison (
    sequence INTEGER PRIMARY KEY, equipment INTEGER NOT NULL, kind INTEGER NOT NULL, at REAL NOT NULL,
    reason TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={VERSION};
"""

# auto_vacuum and page_size count only before the first table is made. One process has the file: no shared memory.
_PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE",
    f"page_size={PAGE_BYTES}",
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    "synchronous=FULL",
    f"wal_autocheckpoint={WAL_PAGES}",
    "cache_size=-512",
)

_DAMAGE: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def within_file_limit(limits: QueueLimits) -> QueueLimits:
    """The limits, of bytes no more than this process may write into one file (as the sandbox limits MutableStorage).

    Else what was committed could never leave the write-ahead log.
    """
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if allowed == resource.RLIM_INFINITY:
        return limits
    return replace(limits, bytes=max(LEAST_BYTES, min(limits.bytes, allowed - SLACK_PAGES * PAGE_BYTES)))


def open_queue(path: Path, limits: QueueLimits) -> sqlite3.Connection:
    """Open or make the file at ``path``.

    Raises:
        QueueError: another process has it, or it is of another version or program.
        sqlite3.Error, OSError: it is damaged, or the disk refuses.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA max_page_count={limits.bytes // PAGE_BYTES + SLACK_PAGES}")
        _prepare(connection, path)
    except BaseException:  # whatever it is: the file is closed, and it goes on
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(f"BEGIN EXCLUSIVE;{_SCHEMA}COMMIT;")
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if (application, version) != (APPLICATION_ID, VERSION):
        raise QueueError(
            f"{path}: expected a queue of version {VERSION}, got version {version} of application {application:#x}",
            remedy="Start the guardian with the version that made it, or remove the file.",
        )


def put_aside(path: Path) -> None:
    """Rename a damaged file to ``queue.damaged``, in place of one that was put aside before.

    Raises:
        OSError: the disk refuses.
    """
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".damaged"))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, and not the disk's room."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF in _DAMAGE


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo what is under way."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
