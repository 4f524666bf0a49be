# SPDX-License-Identifier: Apache-2.0
"""SQLite files: opened or made, with a version. Their owner holds the folder's lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_refusal import refusal
from armillary.engines.database.transactions import Transactions
from armillary.errors import DataFolderError

# Other connections of this process hold the lock for a checkpoint only.
BUSY_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The contents of a file, and how it is opened."""

    application_id: int  # PRAGMA application_id, which identifies files of this kind
    version: int  # PRAGMA user_version
    schema: str  # SQL that makes all tables
    # What makes the next version of each earlier one, by that version: SQL, or a function that does it in a transaction
    # of its own
    upgrades: Mapping[int, str | Callable[[Connection], None]] = field(default_factory=dict)
    additions: str = ""  # SQL for tables that were added later and that no older version reads; run at each opening
    cache_kib: int = 256  # Page cache of each connection
    pragmas: Sequence[str] = ()  # Further settings of the writer
    # What statements may call besides SQLite's own: name -> a function of one argument whose result rests on it alone
    functions: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


class SqliteFile:
    """The storage of a store in a file of its own (:class:`armillary.engines.database.port.Storage`).

    ``what`` is its name in messages.

    Raises:
        DataFolderError: not writable, damaged, of another program or of another version.
    """

    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"

    def __init__(self, path: Path, layout: Layout, what: str) -> None:
        self.path = path
        self._layout = layout
        self._what = what
        self.writer: Connection = self._open_writer()

    def open_reader(self) -> Connection:
        """A connection that can only read; may be used by any thread, one at a time."""
        connection = self._connect()
        connection.execute("PRAGMA query_only=ON")
        return connection

    def refusal(self, error: BaseException) -> DataFolderError | None:
        """The error to raise in place of SQLite's; None when neither disk nor file is to blame."""
        return refusal(self._what, error)

    def close_writer(self) -> None:
        """Close the writing connection; the file then no longer needs its write-ahead log. May be called twice."""
        self.writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA cache_size=-{self._layout.cache_kib}")
        for name, function in self._layout.functions.items():
            connection.create_function(name, 1, function, deterministic=True)
        return connection

    def _open_writer(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            self.path.touch(mode=0o600)
            connection = self._connect()
            self._use_write_ahead_log(connection)
            for pragma in ("synchronous=FULL", *self._layout.pragmas):
                connection.execute(f"PRAGMA {pragma}")
            self._check_version(connection)
            connection.executescript(self._layout.additions)
        except BaseException as error:  # whatever it is: the file is closed, and it goes on
            if connection is not None:
                connection.close()
            if not isinstance(error, (sqlite3.Error, OSError)):
                raise
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                raise DataFolderError(f"{self.path}: damaged ({error})", remedy="Restore it from a backup.") from error
            raise DataFolderError(
                f"{self.path} cannot be opened ({error})",
                remedy="Give this user the folder, free space on its disk, or choose another with --data.",
            ) from error
        return connection

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise DataFolderError(
                f"{self.path}: its file system does not support write-ahead logging (mode {mode})",
                remedy="Put the data folder on a local file system.",
            )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        layout = self._layout
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        while application == layout.application_id and version in layout.upgrades:
            upgrade = layout.upgrades[version]
            version += 1
            if isinstance(upgrade, str):
                connection.executescript(f"BEGIN EXCLUSIVE;{upgrade}PRAGMA user_version={version};COMMIT;")
            else:
                upgrade(connection)
        if (application, version) == (layout.application_id, layout.version):
            return
        if application == layout.application_id:
            raise DataFolderError(
                f"{self.path}: expected schema version {layout.version}, got {version}",
                remedy="Start it with the version of Armillary that made it.",
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DataFolderError(
                f"{self.path}: a database of another program", remedy="Choose another folder with --data."
            )
        connection.executescript(
            f"BEGIN EXCLUSIVE;{layout.schema}"
            f"PRAGMA application_id={layout.application_id};PRAGMA user_version={layout.version};COMMIT;"
        )


def open_file(path: Path, layout: Layout, what: str) -> Transactions:
    """Open or make the file of a store; arguments and errors as of :class:`SqliteFile`."""
    return Transactions(SqliteFile(path, layout, what), what)
