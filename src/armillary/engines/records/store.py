# SPDX-License-Identifier: Apache-2.0
"""The open records: many readers, one writer thread, one commit for all changes that wait.

A *query* is a function of one connection that returns values; all are in ``queries/``. ``read`` runs one in its own
snapshot. ``write`` runs one in the writer thread in a savepoint, in one transaction with all others that wait, and
returns after the commit. A check-in is not a function but a
:class:`~armillary.engines.records.queries.check_ins.CheckInWrite`: a whole batch becomes one statement per table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from armillary.engines.database.group_commit import GroupCommit, LoopSink, Rejected
from armillary.engines.database.sqlite_refusal import refusal
from armillary.engines.records.lookup import DeviceLookup
from armillary.engines.records.migrate import migrate
from armillary.engines.records.queries.check_ins import CheckInStatements, CheckInWrite
from armillary.engines.records.schema import dialect, schema
from armillary.errors import ChallengeError, ConflictError, DataFolderError, HostError

T = TypeVar("T")
Query = Callable[[Connection], T]
CheckInSink = LoopSink["CheckInWrite | Query[Any]", Any]

# Weight of one operator's change in the queue: as much as this many check-ins.
CHANGE_WEIGHT = 10


class Records:
    """The records of one service. Thread-safe; built by :meth:`open`."""

    def __init__(self, writer: Engine, readers: Engine) -> None:
        self._writer_engine = writer
        self._readers = readers
        self._connection: Connection | None = None
        self._check_ins = CheckInStatements()
        self.lookup = DeviceLookup(readers)  # Fast reads of single devices, for the device endpoint
        self._group: GroupCommit[CheckInWrite | Query[Any], Any] = GroupCommit(
            self._commit, name="records-writer", on_close=self._disconnect
        )

    @classmethod
    def open(cls, database: Path, *, fresh: bool) -> Records:
        """Open the database, make it when ``fresh``, bring an older one to this version.

        Raises:
            DataFolderError: damaged, or of a newer version than this program.
        """
        writer = dialect.open_writer(database)
        try:
            if fresh:
                with writer.connect() as connection, connection.begin():
                    schema.metadata.create_all(connection)
                    connection.execute(
                        text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
                    )
                    connection.execute(
                        text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": schema.REVISION}
                    )
            else:
                with writer.connect() as connection:
                    revision = _revision(connection)
                writer.dispose()  # another process upgrades: no connection of ours may hold a lock meanwhile
                migrate(database, revision)
        except DatabaseError as error:
            writer.dispose()
            raise refusal(str(database), error.orig) or DataFolderError(
                f"{database} cannot be read ({error.orig})", remedy="Restore the data folder from a backup."
            ) from error
        except BaseException:  # undo it, whatever was raised
            writer.dispose()
            raise
        return cls(writer, dialect.open_readers(database))

    def read(self, query: Query[T]) -> T:
        """Run a query in a snapshot.

        Raises:
            DataFolderError: the disk refuses, or the database is damaged.
        """
        try:
            with self._readers.connect() as connection, connection.begin():
                return query(connection)
        except DatabaseError as error:
            raise _explained(error) from error

    def is_readable(self) -> bool:
        """Whether the database answers."""
        try:
            return bool(self.read(_revision))
        except HostError:
            return False

    def write(self, change: Query[T]) -> T:
        """Run a change in the writer thread; returns after it is durable.

        Raises:
            ConflictError: it breaks a uniqueness rule that the caller did not check first.
            DataFolderError: the disk refuses; nothing of it was committed.
            Exception: what ``change`` raised; nothing of it was committed.
        """
        return cast("T", self._group.submit(change, weight=CHANGE_WEIGHT).result())

    def post(self, item: CheckInWrite | Query[Any], sink: CheckInSink) -> None:
        """Queue a check-in (or a change) from an event loop; its outcome comes through ``sink`` once durable.

        Raises:
            RateLimitedError: the writer is too far behind; nothing was queued.
        """
        self._group.post(item, sink)

    @property
    def queued(self) -> int:
        """Weight of the changes that wait for the writer."""
        return self._group.queued

    @property
    def batches(self) -> int:
        """Commits since the start."""
        return self._group.batches

    def close(self) -> None:
        """Commit all that waits and close every connection."""
        self._group.close()
        self.lookup.close()
        self._readers.dispose()
        self._writer_engine.dispose()

    def _commit(self, items: Sequence[CheckInWrite | Query[Any]]) -> list[Any]:
        try:
            return self._commit_batch(items)
        except (DatabaseError, sqlite3.DatabaseError) as error:
            raise _explained(error) from error

    def _commit_batch(self, items: Sequence[CheckInWrite | Query[Any]]) -> list[Any]:
        if self._connection is None:  # opened here: the connection belongs to the writer thread
            self._connection = self._writer_engine.connect()
        outcomes: list[Any] = [None] * len(items)
        if self._commit_plain(self._connection, items):
            return outcomes
        check_ins: list[tuple[int, CheckInWrite]] = []
        with self._connection.begin():
            for place, item in enumerate(items):
                if isinstance(item, CheckInWrite):
                    check_ins.append((place, item))
                else:
                    outcomes[place] = _in_savepoint(self._connection, item)
            if check_ins:
                self._write_check_ins(self._connection, check_ins, outcomes)
        return outcomes

    def _commit_plain(self, connection: Connection, items: Sequence[CheckInWrite | Query[Any]]) -> bool:
        """Commit a batch of plain check-ins; False if it has anything else, or one of them is refused."""
        writes = [item for item in items if isinstance(item, CheckInWrite)]
        batch = self._check_ins.plain(writes) if len(writes) == len(items) else None
        if batch is None:
            return False
        try:
            dialect.execute_batch(connection, batch)
        except IntegrityError:
            return False  # one by one, to find out which
        return True

    def _write_check_ins(
        self, connection: Connection, check_ins: list[tuple[int, CheckInWrite]], outcomes: list[Any]
    ) -> None:
        """Write all at once, or one by one if the database refuses one of them."""
        writes = [write for _, write in check_ins]
        savepoint = connection.begin_nested()
        try:
            self._check_ins.execute(connection, writes)
            savepoint.commit()
        except IntegrityError:
            savepoint.rollback()
            self._check_ins.forget()
            for place, write in check_ins:
                outcomes[place] = _in_savepoint(connection, partial(self._write_one, write))
                if isinstance(outcomes[place], Rejected):
                    self._check_ins.forget()
                    outcomes[place] = Rejected(
                        ChallengeError("the challenge was used before, or another worker was faster")
                    )

    def _write_one(self, write: CheckInWrite, connection: Connection) -> None:
        self._check_ins.execute(connection, [write])

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _in_savepoint(connection: Connection, change: Query[Any]) -> Any:
    savepoint = connection.begin_nested()
    try:
        value = change(connection)
    except Exception as error:  # noqa: BLE001 - the writer's outermost loop: handed to the waiting caller, who raises it
        try:
            savepoint.rollback()
        except DatabaseError:  # a full disk: the database has undone the whole transaction itself
            raise error from None
        return Rejected(_explained(error))
    savepoint.commit()
    return value


def _explained(error: Exception) -> Exception:
    """The error for the caller of a read or a write; ``error`` itself if it is a fault of this program."""
    explained: Exception | None = None
    if isinstance(error, IntegrityError):
        explained = ConflictError(
            f"the change contradicts what is recorded ({error.orig})", remedy="Look at the present state and try again."
        )
    else:
        explained = refusal("the records", error.orig if isinstance(error, DatabaseError) else error)
    if explained is None:
        return error
    explained.__cause__ = error
    return explained


def _revision(connection: Connection) -> str:
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return "" if revision is None else str(revision)
