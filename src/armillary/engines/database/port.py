# SPDX-License-Identifier: Apache-2.0
"""What the series store needs of a database: a connection that takes SQL, and where it comes from.

Two engines give it: SQLite (``engines/series/database/sqlite.py``: a ``sqlite3.Connection`` as it is, nothing between)
and PostgreSQL (``postgresql/``). The SQL is one text for both: placeholders ``?`` or ``?1``, names of columns in full
where an upsert could mean two, ``ON CONFLICT`` and ``RETURNING``. What SQLite calls ``min(a, b)``, ``max(a, b)`` and
``total(a)`` are functions of the schema in PostgreSQL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from armillary.errors import HostError

# What a connection waits for a lock that the process before it holds still, seconds: its session ends with it.
LOCK_WAIT_S = 3


class Cursor(Protocol):
    """Rows of an answer, in order."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    def fetchone(self) -> Any:
        """The next row; None at the end."""

    def fetchall(self) -> list[Any]:
        """All other rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection that any thread may use, one at a time; a statement outside of a transaction is one of its own."""

    @property
    def in_transaction(self) -> bool:
        """Whether one is open: false after whatever undid all of it."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each row of parameters."""

    def close(self) -> None:
        """Close it."""


class Storage(Protocol):
    """The open, locked database of one store.

    Attributes:
        writer: The one connection that writes; used by the group commit's thread.
        begin_write: SQL that begins a transaction of the writer.
        begin_read: SQL that begins a reader's, which sees one snapshot.
    """

    writer: Connection
    begin_write: str
    begin_read: str

    @property
    def sessions(self) -> int:
        """How often the writer has connected: after each time, what was under way may be kept or not."""

    def open_reader(self) -> Connection:
        """A connection that can only read; may be used by any thread, one at a time."""

    def check_room(self, reserve_bytes: int) -> None:
        """Refuse what would eat into the reserve.

        Raises:
            DiskReserveError: too little is free.
        """

    def refusal(self, error: BaseException) -> HostError | None:
        """The error to raise from what SQLite raised; None when neither file nor disk is to blame."""

    def close_writer(self) -> None:
        """Close the writing connection."""

    def release(self) -> None:
        """Give up the lock."""


@contextlib.contextmanager
def transaction(connection: Connection, begin: str) -> Iterator[None]:
    """Run the block in one transaction: all of it is kept, or nothing."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # whatever it is: nothing of the transaction is kept, and it goes on
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
