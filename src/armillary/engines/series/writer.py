# SPDX-License-Identifier: Apache-2.0
"""The writer: what the group commit's thread does with one batch.

All runs of a batch become one block, one row. Everything else is a :data:`Change`: a function that gets the
connection and returns a result; each runs in a savepoint, so that one that fails undoes only itself. When the disk
is nearly full messages are refused and changes are not: they are small, and some of them make room.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from armillary.engines.group_commit import Rejected
from armillary.engines.series.blocks import Block, Run, encode_block
from armillary.engines.sqlite_file import transaction
from armillary.engines.sqlite_refusal import refusal
from armillary.errors import DiskReserveError

Change = Callable[[sqlite3.Connection], Any]
Item = Run | Change

_FREE_SPACE = ("freelist_count", "page_size")


class Writer:
    """Commits batches to one connection, which only this object's thread uses.

    Args:
        connection: The writing connection.
        folder: Where the database is.
        reserve_bytes: Messages are refused when less than this is free: the rest of the service needs a disk too.

    Attributes:
        is_refusing: Whether the last messages were refused for that.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path, reserve_bytes: int = 0) -> None:
        self._connection = connection
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self.is_refusing = False
        last = connection.execute("SELECT coalesce(max(seq), 0) FROM block").fetchone()[0]
        flushed = connection.execute("SELECT value FROM progress WHERE name = 'flushed'").fetchone()[0]
        self._next_seq = max(last, flushed) + 1  # never reused, also when the whole log was pruned

    def commit(self, items: Sequence[Item]) -> Sequence[Any]:
        """Keep a batch. A run's outcome is the :class:`Block` it is in, a change's is its result.

        Raises:
            DataFolderError: nothing was kept: the disk is full, or the file damaged.
        """
        try:
            return self._commit(items)
        except sqlite3.Error as error:
            explained = refusal("the hub's log", error)
            if explained is None:
                raise
            raise explained from error

    def check_room(self) -> None:
        """Refuse what would eat into the reserve.

        Raises:
            DiskReserveError: too little is free. Pages that deleted rows left in the file count as free.
        """
        if not self._reserve_bytes:
            return
        state = os.statvfs(self._folder)
        free = state.f_bavail * state.f_frsize
        if free >= self._reserve_bytes:
            return
        (pages,), (size,) = (self._connection.execute(f"PRAGMA {name}").fetchone() for name in _FREE_SPACE)
        if free + pages * size < self._reserve_bytes:
            raise DiskReserveError(
                f"the disk of {self._folder} has {free >> 20} MiB left, "
                f"less than the reserve of {self._reserve_bytes >> 20} MiB: no messages are taken"
            )

    def _commit(self, items: Sequence[Item]) -> Sequence[Any]:
        runs = [item for item in items if isinstance(item, Run)]
        refused: Rejected | None = None
        if runs:
            try:
                self.check_room()
            except DiskReserveError as error:
                runs, refused = [], Rejected(error)
            self.is_refusing = refused is not None
        block: Block | None = None
        outcomes: list[Any] = []
        with transaction(self._connection):
            if runs:
                block = Block(self._next_seq, encode_block(runs))
                self._connection.execute(
                    "INSERT INTO block (seq, at_ms, messages, data) VALUES (?, ?, ?, ?)",
                    (block.seq, runs[-1].received_ms, sum(run.count for run in runs), block.data),
                )
            if len(runs) == len(items):
                outcomes = [block] * len(items)
            else:
                kept = refused or block
                outcomes = [kept if isinstance(item, Run) else self._apply(item) for item in items]
        if block is not None:
            self._next_seq += 1
        return outcomes

    def _apply(self, change: Change) -> Any:
        self._connection.execute("SAVEPOINT change")
        try:
            result = change(self._connection)
        except Exception as error:  # handed to whoever submitted the change; the batch goes on
            if not self._connection.in_transaction:
                raise  # SQLite undid the whole transaction (disk full, damage): the batch has failed
            self._connection.execute("ROLLBACK TO change")
            result = Rejected(refusal("the hub's log", error) or error)
        self._connection.execute("RELEASE change")
        return result
