# SPDX-License-Identifier: Apache-2.0
"""The writer: how the group commit's thread commits one batch.

All runs of a batch become one block, one row. Everything else is a :data:`Change`: a function that gets the connection
and returns a result. Each runs in a savepoint, so a change that fails undoes only itself. When the disk is nearly full
messages are refused and changes are not: they are small, and some of them free space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from armillary.engines.database.group_commit import Rejected
from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import explained, transaction
from armillary.engines.series.database.port import SeriesStorage
from armillary.engines.series.log.blocks import Block, PacketRun, encode_block
from armillary.engines.series.log.repeated import without_repeated
from armillary.errors import DatabaseUnavailableError, DiskReserveError

Change = Callable[[Connection], Any]
Item = PacketRun | Change


class Writer:
    """Commits batches to the writing connection of ``storage``, which only this object's thread uses.

    Messages are refused when less than ``reserve_bytes`` is free: the rest of the service needs a disk too.
    """

    def __init__(self, storage: SeriesStorage, reserve_bytes: int = 0) -> None:
        self._storage = storage
        self._connection = storage.writer
        self._reserve_bytes = reserve_bytes
        self.is_refusing = False  # Whether the last messages were refused because the disk is too full
        self.has_placed = False  # Whether runs may be PlacedRun; set before the first
        self.repeated = 0  # Messages of guardians that came again, since the start
        self.is_cut_off = False  # Whether the last batch was not kept because the database did not answer
        self._begin = storage.begin_write
        self._sessions = storage.sessions
        self._next_seq = self._read_next_seq()

    def commit(self, items: Sequence[Item]) -> Sequence[Any]:
        """Commit a batch. A run's outcome is the :class:`Block` it is in, a change's is its result.

        The block is None where every message of the batch came before.

        Raises:
            DataFolderError: the disk is full, or the file damaged; nothing was committed.
            DatabaseUnavailableError: the database does not answer. Nothing was committed, unless the connection was
                lost during the commit: then it is unknown.
        """
        try:
            with explained(self._storage):
                return self._commit(items)
        except DatabaseUnavailableError:
            self.is_cut_off = True
            raise

    def check_room(self) -> None:
        """Check that the reserve is free.

        Raises:
            DiskReserveError: too little is free.
        """
        self._storage.check_room(self._reserve_bytes)

    def _commit(self, items: Sequence[Item]) -> Sequence[Any]:
        runs = [item for item in items if isinstance(item, PacketRun)]
        refused: Rejected | None = None
        if runs:
            try:
                self.check_room()
            except DiskReserveError as error:
                runs, refused = [], Rejected(error)
            self.is_refusing = refused is not None
        is_all_runs = len(runs) == len(items)
        block: Block | None = None
        outcomes: list[Any] = []
        with transaction(self._connection, self._begin):
            if self._sessions != self._storage.sessions:
                # The connection was lost. A batch that was being committed may be in the log, with its outcome unknown:
                # its number is not given out again, and the decoder finds it before the next block.
                self._next_seq = self._read_next_seq()
                self._sessions = self._storage.sessions
            repeated = 0
            if runs and self.has_placed:
                runs, repeated = without_repeated(self._connection, runs, self._next_seq)
            if runs:
                block = Block(self._next_seq, encode_block(runs))
                self._connection.execute(
                    "INSERT INTO block (seq, at_ms, messages, data) VALUES (?, ?, ?, ?)",
                    (block.seq, runs[-1].received_ms, sum(run.count for run in runs), block.data),
                )
            if is_all_runs:
                outcomes = [block] * len(items)
            else:
                kept = refused or block
                outcomes = [kept if isinstance(item, PacketRun) else self._apply(item) for item in items]
        if block is not None:
            self._next_seq += 1
        self.repeated += repeated
        self.is_cut_off = False
        return outcomes

    def _read_next_seq(self) -> int:
        last = self._connection.execute("SELECT coalesce(max(seq), 0) FROM block").fetchone()[0]
        flushed = self._connection.execute("SELECT value FROM progress WHERE name = 'flushed'").fetchone()[0]
        return int(max(last, flushed)) + 1  # never reused, also when the whole log was pruned

    def _apply(self, change: Change) -> Any:
        self._connection.execute("SAVEPOINT change")
        try:
            result = change(self._connection)
        except Exception as error:  # handed to whoever submitted the change; the batch goes on
            if not self._connection.in_transaction:
                raise  # all of it is undone (disk full, damage, connection lost): the batch has failed
            self._connection.execute("ROLLBACK TO change")
            result = Rejected(self._storage.refusal(error) or error)
        self._connection.execute("RELEASE change")
        return result
