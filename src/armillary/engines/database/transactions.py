# SPDX-License-Identifier: Apache-2.0
"""Reads and changes of a store: each in one transaction, and what the database refuses as an error that says why."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from armillary.engines.database.port import Connection, Storage
from armillary.errors import DataFolderError

T = TypeVar("T")


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


@contextlib.contextmanager
def explained(storage: Storage) -> Iterator[None]:
    """Raise what the database refuses in the block as the storage's own error; everything else goes on as it is."""
    try:
        yield
    except Exception as error:  # the storage alone knows what its driver raises
        refused = storage.refusal(error)
        if refused is None:
            raise
        raise refused from error


class Transactions:
    """Reads and changes of one database, from any thread; each waits for its turn and for the disk.

    A read sees one snapshot, with everything that was committed before it began; a change does not hold it up.

    Args:
        storage: The database; it is this object's alone from now on.
        what: What it is called in messages.

    Raises:
        DataFolderError: of every method: the disk gives nothing, or the database is closed.
    """

    def __init__(self, storage: Storage, what: str) -> None:
        self._storage = storage
        self._what = what
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._is_closed = False
        try:
            self._reader = storage.open_reader()
        except BaseException:  # whatever it is: the database is closed, and it goes on
            storage.close_writer()
            raise

    def read(self, query: Callable[[Connection], T]) -> T:
        """What ``query`` reads."""
        with self._reading:
            self._check_open()
            with explained(self._storage), transaction(self._reader, self._storage.begin_read):
                return query(self._reader)

    def write(self, change: Callable[[Connection], T], committed: Callable[[T], Any] = lambda _: None) -> T:
        """Make a change, and return what it returns.

        Args:
            change: Run in one transaction.
            committed: Called with its result after the commit and before the next change begins.
        """
        with self._writing:
            self._check_open()
            with explained(self._storage), transaction(self._storage.writer, self._storage.begin_write):
                made = change(self._storage.writer)
            committed(made)
            return made

    def close(self) -> None:
        """Close the database: a file is complete without its log then. May be called twice."""
        with self._writing, self._reading:
            self._is_closed = True
            self._reader.close()
            self._storage.close_writer()

    def _check_open(self) -> None:
        if self._is_closed:
            raise DataFolderError(f"{self._what}: closed", remedy="The service is stopping; try later.")
