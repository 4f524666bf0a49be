# SPDX-License-Identifier: Apache-2.0
"""A connection to PostgreSQL that reconnects after it was lost.

A lost connection undoes its transaction; the next transaction begins on a new connection. While the server does not
answer, callers get an error at once, except for one attempt after each pause (:class:`Reach`): no queue builds up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
import structlog
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from armillary.engines.database.port import Cursor
from armillary.engines.series.database.postgresql.dialect import (
    NAMESPACE,
    Column,
    columns_of,
    escaped,
    of_many,
    translated,
    unescaped,
)
from armillary.engines.series.database.postgresql.target import Target
from armillary.errors import DatabaseUnavailableError, DataFolderError, HostError

# Pauses between attempts to reach the server, seconds: doubled each time from the first to the last.
FIRST_PAUSE_S = 0.25
LAST_PAUSE_S = 5.0

# SQLSTATE classes in which the server, not the statement, is to blame: connections, resources (disk full, too many
# connections), operator intervention (shutdown), the system below it; and a server that does not take writes.
# Source: PostgreSQL manual, appendix A.
_NOT_NOW = ("08", "53", "57", "58")
_READ_ONLY = "25006"
_DAMAGED = ("XX001", "XX002")

# May begin on a new connection when the old one is found lost: nothing was done on it before.
_BEGINNINGS = ("BEGIN", "SELECT")

_TEXT_OID = psycopg.postgres.types["text"].oid

_SETTINGS = f"""
SET search_path = {NAMESPACE}; SET synchronous_commit = on; SET client_encoding = 'UTF8'; SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0; SET transaction_timeout = 0
"""

_log = structlog.get_logger(__name__)


class Reach:
    """When the next attempt to reach the server may be made, for all connections to it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._pause = 0.0
        self._not_before = 0.0
        self._why = ""

    def attempt(self, connect: Callable[[], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
        """Connect, unless the last attempt failed within the present pause.

        Raises:
            DatabaseUnavailableError: it fails, or failed just before.
            HostError: what ``connect`` raises.
        """
        with self._lock:
            if time.monotonic() < self._not_before:
                raise DatabaseUnavailableError(self._why)
            try:
                made = connect()
            except HostError as error:
                if not self._pause:
                    _log.error("series.database-lost", database=self.target.place, why=error.message)
                self._pause = min(LAST_PAUSE_S, max(FIRST_PAUSE_S, self._pause * 2))
                self._not_before = time.monotonic() + self._pause
                self._why = error.message
                raise
            if self._pause:
                _log.warning("series.database-back", database=self.target.place)
            self._pause = self._not_before = 0.0
            return made


class Session:
    """One connection, called ``name`` in the server's list of sessions; any thread may use it, one at a time.

    ``admit`` runs on each new connection before anything else, and its errors are raised.

    Raises:
        DatabaseUnavailableError: from the constructor and every method: the database does not answer.
        DataFolderError: from every method: it is damaged.
    """

    def __init__(self, reach: Reach, name: str, admit: Callable[[psycopg.Connection[Any]], None]) -> None:
        self._reach = reach
        self._name = name
        self._admit = admit
        self.opened = 0  # How often it has connected
        self._connection = self._opened()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed ones included."""
        if self._connection.closed:
            return False
        return self._connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""
        begins = sql.startswith(_BEGINNINGS) and not self.in_transaction
        if begins and self._connection.closed:
            self._connection = self._opened()
            begins = False  # tried once
        try:
            return self._run(sql, parameters)
        except DatabaseUnavailableError:
            if not (begins and self._connection.closed):
                raise
        self._connection = self._opened()
        return self._run(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each row of parameters; an insert of rows is one statement."""
        rows = list(parameters)
        many = of_many(sql)
        try:
            cursor = self._connection.cursor(binary=True)
            if not rows:
                return cursor
            if many is None:
                cursor.executemany(translated(sql), rows)
            else:
                columns = columns_of(rows, many[1])
                cursor.execute(many[0], columns)
        except psycopg.Error as error:
            raise self.explained(error) from error
        return cursor

    def close(self) -> None:
        """Close it. May be called twice."""
        self._connection.close()

    def explained(self, error: psycopg.Error) -> Exception:
        """The error to raise: ours if the server is to blame, else psycopg's, a fault of this program."""
        return explained(self._reach.target, error, lost=self._connection.closed)

    def _run(self, sql: str, parameters: Sequence[Any]) -> Cursor:
        try:
            cursor = self._connection.execute(translated(sql), parameters, binary=True)
        except psycopg.Error as error:
            raise self.explained(error) from error
        if sql == "COMMIT" and cursor.statusmessage != "COMMIT":
            raise RuntimeError("a transaction that had failed was committed: it was rolled back instead")
        return cursor

    def _opened(self) -> psycopg.Connection[Any]:
        made = self._reach.attempt(self._connect)
        self.opened += 1
        return made

    def _connect(self) -> psycopg.Connection[Any]:
        target = self._reach.target
        try:
            made: psycopg.Connection[Any] = psycopg.connect(
                **{**target.options, "application_name": self._name},
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
            )
        except (psycopg.Error, OSError) as error:
            raise DatabaseUnavailableError(
                f"the PostgreSQL database {target.place} cannot be reached: {target.redacted(str(error))}",
                remedy="Check that it runs, the address, user and password of series_database (or PGPASSFILE), and "
                "what pg_hba.conf allows.",
            ) from None  # libpq's own error may hold what the URL has
        try:
            _settle(made)
            self._admit(made)
        except psycopg.Error as error:
            made.close()
            raise explained(target, error, lost=True) from error
        except BaseException:  # whatever it is: the connection is closed, and it goes on
            made.close()
            raise
        return made


def explained(target: Target, error: psycopg.Error, *, lost: bool) -> Exception:
    """The error to raise in place of psycopg's; psycopg's own if the statement is to blame."""
    state, what = error.sqlstate or "", target.redacted(str(error))
    if state in _DAMAGED:
        return DataFolderError(
            f"the PostgreSQL database {target.place} is damaged: {what}", remedy="Restore it from a backup."
        )
    if lost or state[:2] in _NOT_NOW or state == _READ_ONLY:
        return DatabaseUnavailableError(f"the PostgreSQL database {target.place} does not answer: {what}")
    return error


def _settle(connection: psycopg.Connection[Any]) -> None:
    """Set all that a connection needs, whatever the defaults of server, database and user are."""
    for statement in _SETTINGS.split(";"):
        name = statement.split()[1]
        if connection.execute("SELECT 1 FROM pg_catalog.pg_settings WHERE name = $1", (name,)).fetchone():
            connection.execute(statement.strip())
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_loader("text", _TextLoader)
    connection.adapters.register_dumper(Column, _ColumnDumper)
    for each in (int, bool):
        connection.adapters.register_dumper(each, Int8BinaryDumper)


class _TextDumper(Dumper):
    format = Format.BINARY
    oid = _TEXT_OID

    def dump(self, obj: Any) -> bytes:
        return escaped(obj).encode("utf-8")


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        column: Column = obj
        return column.data


class _TextLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return unescaped(str(data, "utf-8"))
