# SPDX-License-Identifier: Apache-2.0
"""What a store needs of a database: connections that take SQL, and where they come from.

Two engines give it: SQLite (``sqlite_file.py``: a ``sqlite3.Connection`` as it is, nothing between) for every store,
and PostgreSQL (``engines/series/database/postgresql/``) for the series, whose SQL is one text for both: placeholders
``?`` or ``?1``, names of columns in full where an upsert could mean two, ``ON CONFLICT`` and ``RETURNING``. What SQLite
calls ``min(a, b)``, ``max(a, b)`` and ``total(a)`` are functions of the schema in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from armillary.errors import HostError

# What a connection waits for a lock that the process before it holds still, seconds: its session ends with it.
LOCK_WAIT_S = 3


class Cursor(Protocol):
    """The result of a statement: rows, in order."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    def fetchone(self) -> Any:
        """The next row; None at the end."""

    def fetchall(self) -> list[Any]:
        """All other rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection that any thread may use, one at a time; a statement outside a transaction is one by itself."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; False after anything that undid all of it."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each row of parameters."""

    def close(self) -> None:
        """Close it."""


class Storage(Protocol):
    """The open database of one store."""

    writer: Connection  # The one connection that writes; used by one thread at a time
    begin_write: str  # SQL that begins a transaction of the writer
    begin_read: str  # SQL that begins a transaction of a reader, which sees one snapshot

    def open_reader(self) -> Connection:
        """A connection that can only read; may be used by any thread, one at a time."""

    def refusal(self, error: BaseException) -> HostError | None:
        """The error to raise in place of the driver's; None when neither disk, file nor server is to blame."""

    def close_writer(self) -> None:
        """Close the writing connection. May be called twice."""
