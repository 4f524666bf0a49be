# SPDX-License-Identifier: Apache-2.0
"""Transactions: one for each read and each change of a store; the database's errors become ours, with a remedy."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from armillary.engines.database.port import Connection, Storage
from armillary.errors import DataFolderError

T = TypeVar("T")
P = ParamSpec("P")


def writer_change(apply: Callable[Concatenate[Connection, P], T]) -> Callable[P, Callable[[Connection], T]]:
    """Decorates a function that changes rows: called without the connection, it returns the change for the writer.

    The arguments are read when the writer runs the change, in its thread.
    """

    @functools.wraps(apply)
    def deferred(*args: P.args, **kwargs: P.kwargs) -> Callable[[Connection], T]:
        return lambda connection: apply(connection, *args, **kwargs)

    return deferred


@contextlib.contextmanager
def transaction(connection: Connection, begin: str) -> Iterator[None]:
    """Run the block in one transaction: commit it at its end, undo all of it after any exception."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # undo the transaction, whatever was raised
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(storage: Storage) -> Iterator[None]:
    """Replace errors of the database in the block by the storage's own (``Storage.refusal``); others pass unchanged."""
    try:
        yield
    except Exception as error:  # only the storage knows what its driver raises
        refused = storage.refusal(error)
        if refused is None:
            raise
        raise refused from error


class Transactions:
    """Reads and changes of one database, from any thread; each waits for its turn and for the disk.

    A read sees one snapshot, with everything that was committed before it began, and does not wait for changes. Nobody
    else may use ``storage``; ``what`` is its name in messages.

    Raises:
        DataFolderError: from every method: the disk fails, or the database is closed.
    """

    def __init__(self, storage: Storage, what: str) -> None:
        self._storage = storage
        self._what = what
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._is_closed = False
        try:
            self._reader = storage.open_reader()
        except BaseException:  # close the database, whatever was raised
            storage.close_writer()
            raise

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in one snapshot; returns its result."""
        with self._reading:
            self._check_open()
            with explained(self._storage), transaction(self._reader, self._storage.begin_read):
                return query(self._reader)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of one SELECT."""
        return self.read(lambda connection: connection.execute(sql, values).fetchall())

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of one SELECT; None when there is none."""
        return self.read(lambda connection: connection.execute(sql, values).fetchone())

    def write(self, change: Callable[[Connection], T], committed: Callable[[T], Any] = lambda _: None) -> T:
        """Run a change in one transaction; returns its result once it is durable.

        ``committed`` is called with the result after the commit and before the next change begins.
        """
        with self._writing:
            self._check_open()
            with explained(self._storage), transaction(self._storage.writer, self._storage.begin_write):
                result = change(self._storage.writer)
            committed(result)
            return result

    def close(self) -> None:
        """Close the database; a file then no longer needs its write-ahead log. May be called twice."""
        with self._writing, self._reading:
            self._is_closed = True
            self._reader.close()
            self._storage.close_writer()

    def _check_open(self) -> None:
        if self._is_closed:
            raise DataFolderError(f"{self._what}: closed", remedy="The service is stopping; try later.")
