# SPDX-License-Identifier: Apache-2.0
"""The series store as the hub uses it.

::

    connection --run--> group commit --one row, one commit--> log (block)
                                    '--outcome: Block--> PUBACK
                                                     '--> Decoder --> Tail --every few seconds--> hot, latest   (flush)
                                                              '--> listeners (live values)
    hot --when the hour is over--> chunk, rollup, fleet   (seal)  --when their time is over--> nothing   (retention)
    queries = database + tail   (reads.py)

One thread writes (the group commit's). The decoder runs wherever its owner calls it, one slice at a time. Queries
may come from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armillary.engines.database.group_commit import GroupCommit
from armillary.engines.database.outbox import AuditOutboxes, Outbox
from armillary.engines.database.port import Connection
from armillary.engines.series.database.port import SeriesStorage
from armillary.engines.series.database.sqlite import HubFile
from armillary.engines.series.log.decoder import Decoder, Listener
from armillary.engines.series.log.flush import write_generation
from armillary.engines.series.log.index import SeriesIndex
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.maintenance import Maintenance
from armillary.engines.series.readers import READERS, Readers, flushed_upto
from armillary.engines.series.reads import Reads
from armillary.engines.series.restoring import Restoring
from armillary.engines.series.retention import DAY_MS, Retention, prune_messages
from armillary.engines.series.writer import Item, Writer
from armillary.errors import DatabaseUnavailableError

# Flush when this many values have gathered: 3 MB of messages with four values, 9 MB of messages with one ...
FLUSH_POINTS = 50_000

# ... or after this time, seconds: bounds what is decoded again after a crash.
FLUSH_INTERVAL_S = 15.0

# Decoding at close ends after this time (seconds); what is left is decoded at the next start.
CLOSE_DECODE_S = 2.0

# One batch of the writer, and what may be queued for it: a message weighs one, or one per 256 bytes. The owner stops
# reading from devices far below the latter.
MAX_BATCH_WEIGHT = 30_000
MAX_QUEUED_WEIGHT = 2_000_000


def no_template(_device_id: str) -> str:
    """The template of a device when there are no templates."""
    return ""


class SeriesStore(Reads):
    """The open store.

    Args:
        folder: Folder of the database, or that belongs to it.
        database: URL of a PostgreSQL database; empty for a file in the folder.
        retention: Used where no rule of retention applies.
        listener: Called by the decoder with the values of each message that is not historical.
        historical: Called by the decoder with those of messages that waited at their sender.
        reserve_bytes: Messages are refused when less than this is free on the disk of the file.
        template_of: Returns the device template of a device id, empty for none, for rules of retention.

    Raises:
        DataFolderInUseError: another process holds the folder.
        DataFolderError: not writable, damaged, of another version, or the folder's series are elsewhere.
        DatabaseUnavailableError: the PostgreSQL database does not let us in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        retention: Retention,
        listener: Listener,
        historical: Listener | None = None,
        reserve_bytes: int = 0,
        database: str = "",
        template_of: Callable[[str], str] = no_template,
        audit: AuditOutboxes | None = None,
    ) -> None:
        self._database = open_storage(folder, database)
        self._retention = retention
        self._writer = Writer(self._database, reserve_bytes)
        readers = [self._database.open_reader() for _ in range(READERS)]
        reader = readers[0]
        names = dict(reader.execute("SELECT name, number FROM metric"))
        known = reader.execute("SELECT number, device, metric, kind FROM series").fetchall()
        super().__init__(Readers(readers, Tail(SeriesIndex(names, known)), self._database.begin_read))
        self.maintenance = Maintenance(self.tail, retention, template_of)
        self.restoring = Restoring(self.tail, self._writer)
        self._decoder_reader = self._database.open_reader()
        self.decoder = Decoder(self.tail, self._decoder_reader, flushed_upto(reader), listener, historical)
        self.commits: GroupCommit[Item, Any] = GroupCommit(
            self._writer.commit,
            name="hub-writer",
            max_batch_weight=MAX_BATCH_WEIGHT,
            max_queued_weight=MAX_QUEUED_WEIGHT,
            on_close=self._database.close_writer,
        )
        self.outbox = Outbox(audit, self.read, self.commits.commit)
        self._flushed_at = time.monotonic()
        self._flush_upto = 0
        self._flush_under_way = False
        self._counts: Mapping[str, int] = {"points_late": 0, "points_duplicate": 0, "series_rows_damaged": 0}
        self._counts_are_old = False

    @property
    def is_refusing(self) -> bool:
        """Whether the last messages were refused because the disk is too full."""
        return self._writer.is_refusing

    @property
    def is_cut_off(self) -> bool:
        """Whether the database did not answer at its last use; until it does, nothing is acknowledged."""
        return self._writer.is_cut_off or self._counts_are_old

    @property
    def repeated(self) -> int:
        """Messages of guardians that came again and were not stored again, since the start."""
        return self._writer.repeated

    def expect_placed(self) -> None:
        """Look at runs that say so for messages that came before, from the next batch on."""
        self._writer.has_placed = True

    # Flushing -----------------------------------------------------------------------------------------------

    def flush_due(self) -> bool:
        """Whether it is time to flush, and a flush is possible now."""
        if self._flush_under_way:
            return False
        if self.tail.flushing is not None:  # it failed: what was decoded since waits for it
            return time.monotonic() - self._flushed_at >= FLUSH_INTERVAL_S
        present = self.tail.present
        if not self.decoder.between_blocks or not (present.points or present.faults):
            return False
        return present.points >= FLUSH_POINTS or time.monotonic() - self._flushed_at >= FLUSH_INTERVAL_S

    def begin_flush(self, now_ms: int) -> Item:
        """The change that flushes the decoded values; give it to ``commits``, then call :meth:`end_flush`.

        After a failure it is the same change again. If the first was committed after all (the connection was lost
        during the commit), the second does nothing.
        """
        if self.tail.flushing is None:
            self._flush_upto = self.decoder.decoded_seq
            self.tail.begin_flush()
            is_again = False
        else:
            is_again = True
        generation, upto = self.tail.flushing, self._flush_upto
        if generation is None:
            raise RuntimeError("there is nothing to flush")
        self._flushed_at = time.monotonic()
        self._flush_under_way = True

        def apply(connection: Connection) -> None:
            if is_again and flushed_upto(connection) >= upto:
                return
            write_generation(connection, self.tail, generation, upto, now_ms)
            prune_messages(connection, now_ms - self._retention.messages_days * DAY_MS, upto)

        return apply

    def end_flush(self, *, kept: bool) -> None:
        """Report the outcome of the change of :meth:`begin_flush`."""
        self._flush_under_way = False
        self.tail.end_flush(kept=kept)

    # Following ----------------------------------------------------------------------------------------------

    def follower(self, after: int, listener: Listener) -> Decoder:
        """A decoder that reads the log as it is now from behind block ``after`` on, for its listener only.

        Only its maker may call it, before the store is closed.
        """
        return Decoder(Tail(SeriesIndex({}, [])), self._decoder_reader, after, listener)

    @property
    def retention(self) -> Retention:
        """Used where no rule of retention applies."""
        return self._retention

    def counts(self) -> Mapping[str, int]:
        """Late points, duplicate points and damaged rows since the database was made.

        While the database does not answer, the last known numbers.
        """
        try:
            with self._readers.reading() as connection:
                progress = dict(
                    connection.execute("SELECT name, value FROM progress WHERE name IN ('late', 'duplicates')")
                )
                (damaged,) = connection.execute("SELECT count(*) FROM damaged").fetchone()
        except DatabaseUnavailableError:
            self._counts_are_old = True
            return self._counts
        self._counts_are_old = False
        self._counts = {
            "points_late": progress["late"],
            "points_duplicate": progress["duplicates"],
            "series_rows_damaged": damaged,
        }
        return self._counts

    def close(self, now_ms: int, decoded: Callable[[], None] = lambda: None) -> None:
        """Commit what is queued, decode and flush everything, close the database. Blocks until done.

        ``decoded`` is called when decoding has ended, while everything can still be read.
        """
        try:
            self.commits.submit(lambda _: None).result()  # everything queued before this is in the log now
            deadline = time.monotonic() + CLOSE_DECODE_S
            while self.decoder.work(0.1) and not (self.decoder.between_blocks and time.monotonic() > deadline):
                pass
            decoded()
            if not self._flush_under_way:
                for _ in range(1 if self.tail.flushing is None else 2):  # one that failed, and what came since
                    self.commits.submit(self.begin_flush(now_ms)).result()
                    self.end_flush(kept=True)
        finally:
            self.commits.close()
            self._readers.close()
            self._decoder_reader.close()
            self._database.release()


def open_storage(folder: Path, database: str) -> SeriesStorage:
    """The database of a folder: its own file, or the PostgreSQL database of a URL.

    Raises:
        DataFolderInUseError, DataFolderError, DatabaseUnavailableError: as :class:`SeriesStore`.
    """
    if not database:
        return HubFile(folder)
    try:
        # psycopg takes memory, and is an extra: loaded by who uses it
        from armillary.engines.series.database.postgresql.database import PostgresqlDatabase  # noqa: PLC0415
    except ImportError as error:
        raise DatabaseUnavailableError(
            "psycopg is not installed: the series cannot be in a PostgreSQL database",
            remedy="Install the extra where the service runs: pip install 'armillary[postgresql]'.",
        ) from error

    return PostgresqlDatabase(folder, database)
