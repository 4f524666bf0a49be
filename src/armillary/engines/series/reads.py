# SPDX-License-Identifier: Apache-2.0
"""Queries of the series store about one device: its row, twin, values over time, latest values and messages.

Each sees one snapshot of the database together with the tail, and may come from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from armillary.engines.database.port import Connection
from armillary.engines.hub.devices import DeviceRow, read_device, read_devices
from armillary.engines.hub.twins import read_twin
from armillary.engines.series.fleet_reads import FleetReads
from armillary.engines.series.log.blocks import Message, iterate_block
from armillary.engines.series.readers import Readers, flushed_upto, newer_value, stored_value
from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey, ValueKind
from armillary.engines.series.values.hours import between
from armillary.engines.series.values.query import Range, check_range, read_range
from armillary.engines.series.values.rollups import hour_of
from armillary.errors import NotFoundError
from armillary.twin.document.document import Twin
from armillary.wire.hub.telemetry import Value

# Log rows looked into for the latest messages of one device.
MAX_BLOCKS_READ = 400

# Hours read in one snapshot by who wants every point.
STREAM_HOURS = 24

T = TypeVar("T")


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


class Reads:
    """The reading half of the store."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.tail = readers.tail  # What is not flushed yet
        self.fleet = FleetReads(readers)  # Queries about many devices at once

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in one snapshot of the database; returns its result."""
        with self._readers.reading() as connection:
            return query(connection)

    def device(self, device_id: str) -> DeviceRow | None:
        """The row of a device; None when it was never connected."""
        with self._readers.reading() as connection:
            row = read_device(connection, device_id)
            return None if row is None else self._with_tail_faults(row, flushed_upto(connection))

    def devices(self) -> list[DeviceRow]:
        """Every device that was ever connected."""
        with self._readers.reading() as connection:
            flushed = flushed_upto(connection)
            return [self._with_tail_faults(row, flushed) for row in read_devices(connection)]

    def twin(self, device_id: str) -> Twin:
        """A device's twin."""
        with self._readers.reading() as connection:
            return read_twin(connection, device_id)

    def metrics(self, device_id: str) -> list[Metric]:
        """The names under which a device has sent values."""
        series = self.tail.index.series_of(self._number(device_id))
        return [Metric(name, kind.name.lower()) for name in sorted(series) for kind in sorted(series[name])]

    # One device ---------------------------------------------------------------------------------------------

    def last_values(self, device_id: str) -> list[LatestValue]:
        """The latest value of each metric of a device, by name."""
        device = self._number(device_id)
        found: list[LatestValue] = []
        names = sorted(self.tail.index.series_of(device))
        numbers = {name: self.tail.index.name_number(name) for name in names}
        fresh = self.tail.latest_of(device=device)
        with self._readers.reading() as connection:
            for name in names:
                row = connection.execute(
                    "SELECT at_ms, kind, value FROM latest WHERE metric = ? AND device = ?", (numbers[name], device)
                ).fetchone()
                last = newer_value(None if row is None else stored_value(row), fresh.get((numbers[name] or 0, device)))
                if last is not None:
                    found.append(LatestValue(name, *last))
        return found

    def query(self, device_id: str, metric: str, start_ms: int, end_ms: int, max_points: int) -> Range:
        """Numbers and truth values (0 and 1) of a metric over time, at most ``max_points`` of them.

        Raises:
            InvalidArgumentError: the range or the number of points makes no sense.
            NotFoundError: the device has never sent numbers under this name.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, max_points)
        kinds = self._kinds(device_id, metric)
        key = kinds.get(ValueKind.NUMBER) or kinds.get(ValueKind.BOOLEAN)
        if key is None:
            raise _not_found(device_id, metric, "numbers")
        with self._readers.snapshot((key,)) as (shelf, tail):
            return read_range(shelf, key, tail.get(key.number, ()), start_ms, end_ms, max_points)

    def texts(self, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> list[tuple[int, str]]:
        """Texts of a metric over time: the latest ``limit`` of the range, as ``(time, text)`` in order of time.

        Raises:
            InvalidArgumentError: the range or the limit makes no sense.
            NotFoundError: the device has never sent texts under this name.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, limit)
        key = self._kinds(device_id, metric).get(ValueKind.TEXT)
        if key is None:
            raise _not_found(device_id, metric, "texts")
        found: list[tuple[int, str]] = []
        with self._readers.snapshot((key,)) as (shelf, tail):
            hours = shelf.hours(key, tail.get(key.number, ()), start_ms, end_ms)
            for hour_ms in sorted(hours, reverse=True):
                part = between(shelf.points(key, hour_ms, hours[hour_ms]), start_ms, end_ms)
                found[:0] = zip(part.times, map(str, part.values), strict=True)
                if len(found) >= limit:
                    break
        return found[-limit:]

    def raw(self, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> list[tuple[int, Value]]:
        """Values of a metric as they were sent, of any kind: the first ``limit`` of the range, in order of time.

        Raises:
            InvalidArgumentError: the range or the limit makes no sense.
            NotFoundError: the device has never sent anything under this name.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, limit)
        kinds = self._kinds(device_id, metric)
        if not kinds:
            raise _not_found(device_id, metric, "values")
        found: list[tuple[int, Value]] = []
        for key in kinds.values():
            count = 0
            for points in self.stream(key, start_ms, end_ms):
                found += zip(points.times, typed(points.values, key.kind), strict=True)
                count += len(points)
                if count >= limit:
                    break
        return sorted(found, key=lambda each: each[0])[:limit]

    def messages(self, device_id: str, limit: int) -> list[Message]:
        """The latest messages of a device as they came, newest first, as far as they are in the newest log rows."""
        number = self._number(device_id)
        found: list[Message] = []
        with self._readers.reading() as connection:
            newest = connection.execute(
                "SELECT seq FROM block ORDER BY seq DESC LIMIT ?", (MAX_BLOCKS_READ,)
            ).fetchall()
            for seq in newest:  # one at a time: together they may be a gigabyte
                (data,) = connection.execute("SELECT data FROM block WHERE seq = ?", seq).fetchone()
                found += reversed([message for message in iterate_block(data) if message.device == number])
                if len(found) >= limit:
                    break
        return found[:limit]

    def stream(self, key: SeriesKey, start_ms: int, end_ms: int) -> Iterator[Points]:
        """Every point of a series with ``start_ms <= time < end_ms``, in parts of an hour at most.

        No snapshot is open between two days, so that a slow reader delays nothing; points that arrive during the read
        may be included or not.

        Raises:
            DataFolderError: damaged.
        """
        at = start_ms
        while at < end_ms:
            parts: list[Points] = []
            with self._readers.snapshot((key,)) as (shelf, tail):
                fresh = tail.get(key.number, [])
                first, end = shelf.bounds(at, end_ms)
                first = min([first, *(hour_of(min(each.times)) for each in fresh)])
                end = max([end, *(max(each.times) + 1 for each in fresh)])
                at = max(at, first)
                until = min(end_ms, hour_of(at) + STREAM_HOURS * HOUR_MS)
                for hour_ms, hour in shelf.hours(key, fresh, at, until).items():
                    parts.append(between(shelf.points(key, hour_ms, hour), at, until))
            yield from (each for each in parts if len(each))
            if until >= end:
                return
            at = until

    # Inside -------------------------------------------------------------------------------------------------

    def _number(self, device_id: str) -> int:
        row = self.device(device_id)
        return 0 if row is None else row.number

    def _kinds(self, device_id: str, metric: str) -> dict[ValueKind, SeriesKey]:
        found = self.tail.index.series_of(self._number(device_id)).get(metric, {})
        return {kind: self.tail.index.key(number) for kind, number in found.items()}

    def _with_tail_faults(self, row: DeviceRow, flushed: int) -> DeviceRow:
        with self.tail.lock:
            faults = [
                each.faults[row.number]
                for each in self.tail.generations()
                if row.number in each.faults and each.reaches > flushed
            ]
        if not faults:
            return row
        count = row.fault_count + sum(fault.count for fault in faults)
        last = faults[-1]
        return DeviceRow(row.number, row.device_id, row.inboxes, row.last_seen_ms, count, last.at_ms, last.reason)


def typed(values: Sequence[float] | Sequence[str], kind: ValueKind) -> Sequence[Value]:
    """Values in their own type: truth values are stored as 0 and 1."""
    return [bool(value) for value in values] if kind is ValueKind.BOOLEAN else values


def _not_found(device_id: str, metric: str, what: str) -> NotFoundError:
    return NotFoundError(
        f"device {device_id[:16]}... has sent no {what} named {metric[:64]!a}",
        remedy="Look at the device's metrics for the names it sends.",
    )
