# SPDX-License-Identifier: Apache-2.0
"""The writer: what the group commit's thread does with one batch.

All runs of a batch become one block, one row. Everything else is a :data:`Change`: a function that gets the
connection and returns a result; each runs in a savepoint, so that one that fails undoes only itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from armillary.engines.group_commit import Rejected
from armillary.engines.series.blocks import Block, Run, encode_block
from armillary.engines.series.database import transaction
from armillary.engines.sqlite_refusal import refusal

Change = Callable[[sqlite3.Connection], Any]
Item = Run | Change


class Writer:
    """Commits batches to one connection, which only this object's thread uses.

    Args:
        connection: The writing connection.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        last = connection.execute("SELECT coalesce(max(seq), 0) FROM block").fetchone()[0]
        sealed = connection.execute("SELECT value FROM progress WHERE name = 'sealed'").fetchone()[0]
        self._next_seq = max(last, sealed) + 1  # never reused, also when the whole log was pruned

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

    def _commit(self, items: Sequence[Item]) -> Sequence[Any]:
        runs = [item for item in items if isinstance(item, Run)]
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
                outcomes = [block if isinstance(item, Run) else self._apply(item) for item in items]
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
