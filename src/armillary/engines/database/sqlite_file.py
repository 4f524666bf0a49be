# SPDX-License-Identifier: Apache-2.0
"""A small SQLite file of the hub's folder: opened or made, with a version. The folder's lock is its owner's."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from armillary.engines.database.sqlite_refusal import refusal
from armillary.errors import DataFolderError

# Kibibytes of page cache of each connection.
CACHE_KIB = 256
# The other connection of this process holds the lock for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """What is in a file.

    Attributes:
        application_id: Tells it from any other SQLite database (PRAGMA application_id).
        version: Of the schema (PRAGMA user_version).
        schema: SQL that makes it.
        upgrades: SQL that makes the next version of each earlier one, by that version.
    """

    application_id: int
    version: int
    schema: str
    upgrades: Mapping[int, str] = field(default_factory=dict)


def open_writer(path: Path, layout: Layout) -> sqlite3.Connection:
    """Open or make a file; the connection may be used by any thread, one at a time.

    Raises:
        DataFolderError: not writable, damaged, of another program or of another version.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path)
        path.chmod(0o600)
        _use_write_ahead_log(connection, path)
        connection.execute("PRAGMA synchronous=FULL")
        _check_version(connection, path, layout)
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


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; may be used by any thread, one at a time."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only=ON")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Run the block in one transaction: all of it is kept, or nothing."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # whatever it is: nothing of the transaction is kept, and it goes on
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class SqliteFile:
    """A file with one connection that any thread may use; each call waits for the disk.

    Args:
        path: The file.
        layout: What is in it.
        what: Its name in messages.

    Raises:
        DataFolderError: the file cannot be opened; of every method: the disk gives nothing.
    """

    def __init__(self, path: Path, layout: Layout, what: str) -> None:
        self._connection = open_writer(path, layout)
        self._what = what
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._lock:
            self._connection.close()

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What ``query`` reads."""
        with self._lock:
            try:
                return query(self._connection)
            except sqlite3.Error as error:
                explained = refusal(self._what, error)
                if explained is None:
                    raise
                raise explained from error

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change in one transaction, and return what it returns."""

        def apply(connection: sqlite3.Connection) -> T:
            with transaction(connection):
                return change(connection)

        return self.read(apply)


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


def _check_version(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (layout.application_id, layout.version):
        return
    while application == layout.application_id and version in layout.upgrades:
        upgrade = layout.upgrades[version]
        version += 1
        connection.executescript(f"BEGIN EXCLUSIVE;{upgrade}PRAGMA user_version={version};COMMIT;")
    if (application, version) == (layout.application_id, layout.version):
        return
    if application == layout.application_id:
        raise DataFolderError(
            f"{path}: expected schema version {layout.version}, got {version}",
            remedy="Start it with the version of Armillary that made it.",
        )
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DataFolderError(f"{path}: a database of another program", remedy="Choose another folder with --data.")
    connection.executescript(
        f"BEGIN EXCLUSIVE;{layout.schema}"
        f"PRAGMA application_id={layout.application_id};PRAGMA user_version={layout.version};COMMIT;"
    )
