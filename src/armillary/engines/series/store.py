# SPDX-License-Identifier: Apache-2.0
"""The series store as the hub uses it.

::

    connection --run--> group commit --one row, one commit--> log (block)
                                    '--outcome: Block--> PUBACK
                                                     '--> Decoder --> Tail --every few seconds--> chunk, hour, latest
                                                              '--> listeners (live values)
    queries = database + tail

One thread writes (the group commit's). The decoder runs wherever its owner calls it, one slice at a time. Queries
may come from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from armillary.engines.group_commit import GroupCommit
from armillary.engines.series.blocks import Message, iterate_block
from armillary.engines.series.chunks import Kind, unpack_texts
from armillary.engines.series.database import Database, transaction
from armillary.engines.series.decoder import Decoder, Listener
from armillary.engines.series.devices import DeviceRow, read_device, read_devices
from armillary.engines.series.query import Range, check_range, read_range
from armillary.engines.series.seal import prune, write_generation
from armillary.engines.series.tail import Tail
from armillary.engines.series.twins import read_twin
from armillary.engines.series.writer import Item, Writer
from armillary.errors import NotFoundError
from armillary.twin.document import Twin
from armillary.wire.telemetry import Value

# Seal when this many values have gathered (16 bytes each and more for texts) ...
SEAL_POINTS = 50_000

# ... or after this time, seconds: bounds what is decoded again after a crash.
SEAL_INTERVAL_S = 15.0

# Decoding at close ends after this time (seconds); what is left is decoded at the next start.
CLOSE_DECODE_S = 2.0

# Log rows looked into for the latest messages of one device.
MAX_BLOCKS_READ = 400

# One batch of the writer, and what may be queued for it: a message weighs one, or one per 256 bytes. The owner stops
# reading from devices far below the latter.
MAX_BATCH_WEIGHT = 30_000
MAX_QUEUED_WEIGHT = 2_000_000

DAY_MS = 24 * 3600 * 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept.

    Attributes:
        values_days: Values over time, days.
        messages_days: Messages as they came, days.
    """

    values_days: int = 365
    messages_days: int = 7


@dataclass(frozen=True, slots=True)
class Metric:
    """A name under which a device has sent values; ``kind`` is ``number``, ``boolean`` or ``text``."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class LatestValue:
    """The latest value of a metric."""

    metric: str
    at_ms: int
    value: Value


class SeriesStore:
    """The open store.

    Args:
        folder: Folder for the database.
        retention: How long things are kept.
        listener: Called by the decoder with device number and what a message measured.

    Raises:
        DataFolderInUseError: another process holds the folder.
        DataFolderError: not writable, damaged, or of another version.
    """

    def __init__(self, folder: Path, *, retention: Retention, listener: Listener) -> None:
        self._database = Database(folder)
        self._retention = retention
        writer = Writer(self._database.writer)
        self._reader = self._database.open_reader()
        self._reader_lock = threading.Lock()
        known = {
            (device, metric, kind): number
            for number, device, metric, kind in self._reader.execute("SELECT number, device, metric, kind FROM series")
        }
        self.tail = Tail(known)
        self._decoder_reader = self._database.open_reader()
        self.decoder = Decoder(self.tail, self._decoder_reader, self._sealed(), listener)
        self.commits: GroupCommit[Item, Any] = GroupCommit(
            writer.commit,
            name="hub-writer",
            max_batch_weight=MAX_BATCH_WEIGHT,
            max_queued_weight=MAX_QUEUED_WEIGHT,
            on_close=self._database.close_writer,
        )
        self._sealed_at = time.monotonic()

    # Sealing ------------------------------------------------------------------------------------------------

    def seal_due(self) -> bool:
        """Whether it is time to seal, and a seal is possible now."""
        present = self.tail.present
        if self.tail.sealing is not None or not self.decoder.between_blocks or not (present.points or present.faults):
            return False
        return present.points >= SEAL_POINTS or time.monotonic() - self._sealed_at >= SEAL_INTERVAL_S

    def begin_seal(self, now_ms: int) -> Item:
        """The change that seals what is decoded; give it to ``commits``, then call :meth:`end_seal`."""
        upto = self.decoder.decoded_seq
        generation = self.tail.begin_seal()
        self._sealed_at = time.monotonic()

        def apply(connection: sqlite3.Connection) -> None:
            write_generation(connection, generation, upto)
            prune(
                connection,
                log_before_ms=now_ms - self._retention.messages_days * DAY_MS,
                values_before_ms=now_ms - self._retention.values_days * DAY_MS,
                sealed=upto,
            )

        return apply

    def end_seal(self, *, kept: bool) -> None:
        """Report the outcome of the change of :meth:`begin_seal`."""
        self.tail.end_seal(kept=kept)

    def close(self, now_ms: int) -> None:
        """Commit what is queued, decode and seal everything, close the database. Blocks until done."""
        try:
            self.commits.submit(lambda _: None).result()  # everything queued before this is in the log now
            deadline = time.monotonic() + CLOSE_DECODE_S
            while self.decoder.work(0.1) and not (self.decoder.between_blocks and time.monotonic() > deadline):
                pass
            if self.tail.sealing is None:
                self.commits.submit(self.begin_seal(now_ms)).result()
                self.end_seal(kept=True)
        finally:
            self.commits.close()
            self._reader.close()
            self._decoder_reader.close()
            self._database.release()

    # Reading ------------------------------------------------------------------------------------------------

    def device(self, device_id: str) -> DeviceRow | None:
        """What is remembered of a device; None when it was never connected."""
        with self._reading() as connection:
            row = read_device(connection, device_id)
            return None if row is None else self._with_tail_faults(row, self._sealed())

    def devices(self) -> list[DeviceRow]:
        """Every device that was ever connected."""
        with self._reading() as connection:
            sealed = self._sealed()
            return [self._with_tail_faults(row, sealed) for row in read_devices(connection)]

    def twin(self, device_id: str) -> Twin:
        """A device's twin."""
        with self._reading() as connection:
            return read_twin(connection, device_id)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What a query finds in one snapshot of the database."""
        with self._reading() as connection:
            return query(connection)

    def metrics(self, device_id: str) -> list[Metric]:
        """The names under which a device has sent values."""
        series = self.tail.series_of(self._number(device_id))
        return [Metric(name, kind.name.lower()) for name in sorted(series) for kind in sorted(series[name])]

    def last_values(self, device_id: str) -> list[LatestValue]:
        """The latest value of each metric of a device, by name."""
        device = self._number(device_id)
        series = self.tail.series_of(device)
        fresh = self._tail_latest({number for kinds in series.values() for number in kinds.values()})
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT latest.series, at_ms, value FROM series JOIN latest ON latest.series = series.number"
                " WHERE series.device = ?",
                (device,),
            )
            known: dict[int, tuple[int, Value]] = {number: (at_ms, value) for number, at_ms, value in rows}
        for number, last in fresh.items():
            if number not in known or known[number][0] <= last[0]:
                known[number] = last
        found: list[LatestValue] = []
        for name in sorted(series):
            values = [(*known[number], kind) for kind, number in series[name].items() if number in known]
            if values:
                at_ms, value, kind = max(values, key=lambda each: each[0])
                found.append(LatestValue(name, at_ms, _typed(value, kind)))
        return found

    def query(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> Range:
        """Numbers and truth values (0 and 1) of a metric over time, at most ``max_points`` of them.

        Raises:
            InvalidArgumentError: the range or the number of points makes no sense.
            NotFoundError: the device has never sent numbers under this name.
        """
        check_range(start_ms, end_ms, max_points)
        kinds = self._kinds(device_id, metric)
        numbers = [kinds[kind] for kind in (Kind.NUMBER, Kind.BOOLEAN) if kind in kinds]
        if not numbers:
            raise _not_found(device_id, metric, "numbers")
        series = numbers[0]
        generations = self._tail_numbers(series)
        with self._reading() as connection:
            sealed = self._sealed()
            tail = array("d")
            for reaches, points in generations:
                if reaches > sealed:
                    tail.extend(points)
            return read_range(connection, series, tail, start_ms, end_ms, max_points)

    def texts(self, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> list[tuple[int, str]]:
        """Texts of a metric over time: the latest ``limit`` of the range, as ``(time, text)`` in order of time.

        Raises:
            InvalidArgumentError: the range or the limit makes no sense.
            NotFoundError: the device has never sent texts under this name.
        """
        check_range(start_ms, end_ms, limit)
        series = self._kinds(device_id, metric).get(Kind.TEXT)
        if series is None:
            raise _not_found(device_id, metric, "texts")
        with self.tail.lock:
            generations = [(each.reaches, list(each.texts.get(series, ()))) for each in self.tail.generations()]
        found: list[tuple[int, str]] = []
        with self._reading() as connection:
            sealed = self._sealed()
            rows = connection.execute(
                "SELECT data FROM chunk WHERE hour_ms > ? AND hour_ms < ? AND series = ? ORDER BY hour_ms DESC",
                (start_ms - 3_600_000, end_ms, series),
            )
            for (data,) in rows:
                found += [pair for pair in unpack_texts(data) if start_ms <= pair[0] < end_ms]
                if len(found) >= limit:
                    break
        for reaches, texts in generations:
            if reaches > sealed:
                found += [pair for pair in texts if start_ms <= pair[0] < end_ms]
        return sorted(found)[-limit:]

    def messages(self, device_id: str, limit: int) -> list[Message]:
        """The latest messages of a device as they came, newest first, as far as the newest log rows hold any."""
        number = self._number(device_id)
        found: list[Message] = []
        with self._reading() as connection:
            rows = connection.execute("SELECT data FROM block ORDER BY seq DESC LIMIT ?", (MAX_BLOCKS_READ,))
            for (data,) in rows:
                found += reversed([message for message in iterate_block(data) if message.device == number])
                if len(found) >= limit:
                    break
        return found[:limit]

    # Inside -------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot of the database."""
        with self._reader_lock, transaction(self._reader, "BEGIN"):
            yield self._reader

    def _sealed(self) -> int:
        return int(self._reader.execute("SELECT value FROM progress WHERE name = 'sealed'").fetchone()[0])

    def _number(self, device_id: str) -> int:
        row = self.device(device_id)
        return 0 if row is None else row.number

    def _kinds(self, device_id: str, metric: str) -> dict[Kind, int]:
        return self.tail.series_of(self._number(device_id)).get(metric, {})

    def _tail_numbers(self, series: int) -> list[tuple[int, array[float]]]:
        with self.tail.lock:
            return [(each.reaches, array("d", each.numbers.get(series, ()))) for each in self.tail.generations()]

    def _tail_latest(self, wanted: set[int]) -> dict[int, tuple[int, Value]]:
        found: dict[int, tuple[int, Value]] = {}
        with self.tail.lock:
            for generation in self.tail.generations():
                for number in wanted & generation.latest.keys():
                    found[number] = generation.latest[number]
            return found

    def _with_tail_faults(self, row: DeviceRow, sealed: int) -> DeviceRow:
        with self.tail.lock:
            faults = [
                each.faults[row.number]
                for each in self.tail.generations()
                if row.number in each.faults and each.reaches > sealed
            ]
        if not faults:
            return row
        count = row.fault_count + sum(fault.count for fault in faults)
        last = faults[-1]
        return DeviceRow(row.number, row.device_id, row.inboxes, row.last_seen_ms, count, last.at_ms, last.reason)


def _typed(value: Value, kind: Kind) -> Value:
    return bool(value) if kind is Kind.BOOLEAN else value


def _not_found(device_id: str, metric: str, what: str) -> NotFoundError:
    return NotFoundError(
        f"device {device_id[:16]}... has sent no {what} named {metric[:64]!a}",
        remedy="Look at the device's metrics for the names it sends.",
    )
