# SPDX-License-Identifier: Apache-2.0
"""The hub's PostgreSQL database: opened or made, with its version and its lock.

Everything is in a schema of its own, with a table ``layout``: application, version, and the id of the store, which the
folder has too (``folder.py``). The lock is an advisory lock of the writer's session and ends with it: a writer that
reconnects gets it only after the changes of its old session are decided.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import psycopg
import structlog

from armillary.engines.database.port import LOCK_WAIT_S, Connection
from armillary.engines.series.database.folder import Binding, Folder
from armillary.engines.series.database.postgresql.dialect import NAMESPACE, additions, whole_schema
from armillary.engines.series.database.postgresql.session import Reach, Session
from armillary.engines.series.database.postgresql.target import parse_target
from armillary.engines.series.database.schema import APPLICATION_ID, SCHEMA_VERSION
from armillary.errors import DatabaseUnavailableError, DataFolderError, DataFolderInUseError, HostError

# Advisory locks are of one database; this one is of our schema in it.
_LOCK_KEY = APPLICATION_ID << 16

_LAYOUT = f"""
CREATE SCHEMA {NAMESPACE};
CREATE TABLE {NAMESPACE}.layout (application bigint NOT NULL, version bigint NOT NULL, store text NOT NULL);
"""

_log = structlog.get_logger(__name__)


class PostgresqlDatabase:
    """The open, locked database of a URL, and the folder that belongs to it.

    Raises:
        DataFolderInUseError: another process holds folder or database.
        DataFolderError: of another program, of another version or of another folder.
        DatabaseUnavailableError: it cannot be reached, or does not let us in.
        InvalidArgumentError: no URL of a database.
    """

    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, folder: Path, url: str) -> None:
        self._target = parse_target(url)
        self._reach = Reach(self._target)
        self._name = f"armillary-hub-{uuid.uuid4().hex[:12]}"
        self._store = ""
        self._folder = Folder(folder)
        try:
            self._folder.check_not_embedded(self._target.place)
            self._session = Session(self._reach, self._name, self._admit)
        except BaseException:  # whatever it is: the lock is given back, and it goes on
            self._folder.release()
            raise
        self.writer: Connection = self._session  # The one connection that writes; used by the group commit's thread

    @property
    def sessions(self) -> int:
        """How often the writer has connected: changes that were under way before may have been committed or not."""
        return self._session.opened

    def open_reader(self) -> Connection:
        """A connection that can only read; may be used by any thread, one at a time."""
        return Session(self._reach, "armillary-hub-reader", _only_reads)

    def check_room(self, reserve_bytes: int) -> None:
        """Nothing to check: a full disk of the server refuses the commit."""

    def refusal(self, _error: BaseException) -> HostError | None:
        """None: a session raises the right errors itself."""
        return None

    def close_writer(self) -> None:
        """Close the writing connection; the lock ends with it."""
        self._session.close()

    def release(self) -> None:
        """Release the folder's lock."""
        self._session.close()
        self._folder.release()

    # Each time the writer connects ---------------------------------------------------------------------------

    def _admit(self, connection: psycopg.Connection[Any]) -> None:
        """Each time the writer connects: take the lock, then make or check the schema."""
        again = bool(self._store)
        if again:  # the server may not know yet that the old session is gone
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
                " AND datname = current_database() AND pid <> pg_backend_pid()",
                (self._name,),
            )
        try:
            connection.execute(f"SET lock_timeout = {LOCK_WAIT_S * 1000}")
            connection.execute("SELECT pg_advisory_lock($1)", (_LOCK_KEY,))
            connection.execute("SET lock_timeout = 0")
        except psycopg.errors.LockNotAvailable:
            what = f"the PostgreSQL database {self._target.place} is held by another process"
            if again:
                raise DatabaseUnavailableError(what, remedy="Stop the other service; this one goes on then.") from None
            raise DataFolderInUseError(
                what, remedy="Stop the process that holds it, or set series_database to a database of its own."
            ) from None
        self._make_or_check(connection)

    def _make_or_check(self, connection: psycopg.Connection[Any]) -> None:
        place = self._target.place
        (encoding, durable) = _one(connection, "SELECT current_setting('server_encoding'), current_setting('fsync')")
        if encoding != "UTF8":
            raise DataFolderError(
                f"the PostgreSQL database {place}: expected the encoding UTF8, got {encoding}",
                remedy="Make one with: createdb --encoding UTF8 --template template0 NAME",
            )
        if durable != "on":
            _log.warning("series.database-not-durable", database=place, why="fsync is off")
        bound = self._folder.bound()
        (has_schema, has_layout) = _one(
            connection,
            "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1), to_regclass($2) IS NOT NULL",
            (NAMESPACE, f"{NAMESPACE}.layout"),
        )
        if not has_schema:
            self._make(connection, bound)
            return
        row = _one(connection, f"SELECT application, version, store FROM {NAMESPACE}.layout") if has_layout else None  # noqa: S608
        if row is None or row[0] != APPLICATION_ID:
            raise DataFolderError(
                f"the PostgreSQL database {place}: its schema {NAMESPACE} is of another program",
                remedy="Set series_database to an empty database.",
            )
        if row[1] != SCHEMA_VERSION:
            raise DataFolderError(
                f"the PostgreSQL database {place}: expected schema version {SCHEMA_VERSION}, got {row[1]}",
                remedy="Start it with the version of Armillary that made it.",
            )
        if bound is None or row[2] != bound.store:
            raise DataFolderError(
                f"the PostgreSQL database {place} belongs to another data folder than {self._folder.path}",
                remedy="Set series_database to this folder's database or an empty one, or choose the folder that "
                "belongs to it with --data; after a loss restore folder and database from one backup.",
            )
        with connection.transaction():
            connection.execute(additions())
        self._bind(bound.store)

    def _make(self, connection: psycopg.Connection[Any], bound: Binding | None) -> None:
        place = self._target.place
        if bound is not None and bound.complete:
            raise DataFolderError(
                f"the PostgreSQL database {place} is empty, though this folder's series were made in {bound.database}",
                remedy="Set series_database to that one, or restore it from a backup.",
            )
        store = uuid.uuid4().hex if bound is None else bound.store
        # First here, then there: whatever moment the power goes, the next start knows that it is ours.
        self._folder.bind(Binding(place, store, complete=False))
        try:
            with connection.transaction():
                connection.execute(_LAYOUT)
                connection.execute(
                    f"INSERT INTO {NAMESPACE}.layout VALUES ($1, $2, $3)",  # noqa: S608 - a constant
                    (APPLICATION_ID, SCHEMA_VERSION, store),
                )
                connection.execute(whole_schema())
        except psycopg.errors.InsufficientPrivilege as error:
            why = self._target.redacted(str(error))
            raise DataFolderError(
                f"the PostgreSQL database {place}: the user may not make a schema ({why})",
                remedy="Make the user its owner: createdb --owner USER NAME",
            ) from None
        self._bind(store)

    def _bind(self, store: str) -> None:
        binding = Binding(self._target.place, store, complete=True)
        if self._folder.bound() != binding:  # it may have moved
            self._folder.bind(binding)
        self._store = store


def _only_reads(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET default_transaction_read_only = on")


def _one(connection: psycopg.Connection[Any], query: str, parameters: tuple[Any, ...] = ()) -> Any:
    return connection.execute(query, parameters).fetchone()
