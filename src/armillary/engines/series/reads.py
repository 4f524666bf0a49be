# SPDX-License-Identifier: Apache-2.0
"""What can be asked of the series store: devices, values over time, latest values, messages, groups of devices.

Every answer is of one snapshot of the database together with the tail, and may be asked for from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import LifoQueue
from typing import TypeVar, cast

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import transaction
from armillary.engines.hub.devices import DeviceRow, read_device, read_devices
from armillary.engines.hub.twins import read_twin
from armillary.engines.series.log.blocks import Message, iterate_block
from armillary.engines.series.log.generation import Last
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.values.chunks import HOUR_MS, Kind, Points, SeriesKey
from armillary.engines.series.values.fleet import MAX_DEVICE_HOURS, FleetRange, Group, read_fleet
from armillary.engines.series.values.hours import Shelf, between
from armillary.engines.series.values.query import Range, check_range, read_range
from armillary.engines.series.values.rollups import hour_of
from armillary.errors import NotFoundError
from armillary.twin.document.document import Twin
from armillary.wire.hub.telemetry import Value

# Log rows looked into for the latest messages of one device.
MAX_BLOCKS_READ = 400

# Hours read in one snapshot by who wants every point.
STREAM_HOURS = 24

# Connections to read with: a long answer or an export must not hold up short ones.
READERS = 3

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
    """The reading half of the store.

    Args:
        readers: Connections that only this object uses, each one thread at a time.
        tail: What is not flushed yet.
        begin: SQL that begins a reading transaction.
    """

    def __init__(self, readers: Sequence[Connection], tail: Tail, begin: str) -> None:
        self._begin = begin
        self._readers: LifoQueue[Connection] = LifoQueue()  # the last one used has the pages in its cache
        for reader in readers:
            self._readers.put(reader)
        self._names_lock = threading.Lock()
        self.tail = tail
        self._last_device = 0
        self._names_of: dict[int, str] = {}
        self._numbers_of: dict[str, int] = {}

    def read(self, query: Callable[[Connection], T]) -> T:
        """What a query finds in one snapshot of the database."""
        with self._reading() as connection:
            return query(connection)

    def device(self, device_id: str) -> DeviceRow | None:
        """What is remembered of a device; None when it was never connected."""
        with self._reading() as connection:
            row = read_device(connection, device_id)
            return None if row is None else self._with_tail_faults(row, flushed_upto(connection))

    def devices(self) -> list[DeviceRow]:
        """Every device that was ever connected."""
        with self._reading() as connection:
            flushed = flushed_upto(connection)
            return [self._with_tail_faults(row, flushed) for row in read_devices(connection)]

    def twin(self, device_id: str) -> Twin:
        """A device's twin."""
        with self._reading() as connection:
            return read_twin(connection, device_id)

    def metrics(self, device_id: str) -> list[Metric]:
        """The names under which a device has sent values."""
        series = self.tail.series_of(self._number(device_id))
        return [Metric(name, kind.name.lower()) for name in sorted(series) for kind in sorted(series[name])]

    # One device ---------------------------------------------------------------------------------------------

    def last_values(self, device_id: str) -> list[LatestValue]:
        """The latest value of each metric of a device, by name."""
        device = self._number(device_id)
        found: list[LatestValue] = []
        names = sorted(self.tail.series_of(device))
        numbers = {name: self.tail.name_number(name) for name in names}
        fresh = self.tail.latest_of(device=device)
        with self._reading() as connection:
            for name in names:
                row = connection.execute(
                    "SELECT at_ms, kind, value FROM latest WHERE metric = ? AND device = ?", (numbers[name], device)
                ).fetchone()
                last = _newer(None if row is None else _stored(row), fresh.get((numbers[name] or 0, device)))
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
        key = kinds.get(Kind.NUMBER) or kinds.get(Kind.BOOLEAN)
        if key is None:
            raise _not_found(device_id, metric, "numbers")
        with self._snapshot((key,)) as (shelf, tail):
            return read_range(shelf, key, tail.get(key.number, ()), start_ms, end_ms, max_points)

    def texts(self, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> list[tuple[int, str]]:
        """Texts of a metric over time: the latest ``limit`` of the range, as ``(time, text)`` in order of time.

        Raises:
            InvalidArgumentError: the range or the limit makes no sense.
            NotFoundError: the device has never sent texts under this name.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, limit)
        key = self._kinds(device_id, metric).get(Kind.TEXT)
        if key is None:
            raise _not_found(device_id, metric, "texts")
        found: list[tuple[int, str]] = []
        with self._snapshot((key,)) as (shelf, tail):
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
        """The latest messages of a device as they came, newest first, as far as the newest log rows hold any."""
        number = self._number(device_id)
        found: list[Message] = []
        with self._reading() as connection:
            newest = connection.execute(
                "SELECT seq FROM block ORDER BY seq DESC LIMIT ?", (MAX_BLOCKS_READ,)
            ).fetchall()
            for seq in newest:  # one at a time: together they may be a gigabyte
                (data,) = connection.execute("SELECT data FROM block WHERE seq = ?", seq).fetchone()
                found += reversed([message for message in iterate_block(data) if message.device == number])
                if len(found) >= limit:
                    break
        return found[:limit]

    # Many devices -------------------------------------------------------------------------------------------

    def fleet(
        self, device_ids: Collection[str] | None, metric: str, start_ms: int, end_ms: int, max_points: int
    ) -> FleetRange:
        """Numbers and truth values of a metric over time, added up over devices (all when None).

        Raises:
            InvalidArgumentError: the range or the number of points makes no sense.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, max_points)
        number = self.tail.name_number(metric) or 0
        devices = None if device_ids is None else set(self._numbers(device_ids).values())
        series = self.tail.series_with(number, devices)
        keys = [self.tail.key(each) for each in series] if len(series) <= MAX_DEVICE_HOURS else []
        sums = self.tail.sums(set(series))
        with self._snapshot(keys) as (shelf, tail):
            flushed = flushed_upto(shelf.connection)
            fresh = [hours for reaches, hours in sums if reaches > flushed]
            # A group that nobody with this name is outside of is everything: it needs no picking out.
            everything = devices is None or len(series) == len(self.tail.series_with(number, None))
            group = Group(number, series, keys, everything=everything)
            return read_fleet(shelf, group, tail, fresh, start_ms, end_ms, max_points)

    def latest(self, device_ids: Collection[str] | None, metric: str, limit: int) -> list[tuple[str, int, Value]]:
        """The latest value of a metric of many devices (all when None), at most ``limit``: id, time, value."""
        number = self.tail.name_number(metric) or 0
        wanted = None if device_ids is None else set(self._numbers(device_ids).values())
        fresh = {device: last for (_, device), last in self.tail.latest_of(metric=number).items()}
        with self._reading() as connection:
            rows = connection.execute("SELECT device, at_ms, kind, value FROM latest WHERE metric = ?", (number,))
            known = {device: (at_ms, kind, value) for device, at_ms, kind, value in rows}
            names = self._device_names(connection)
        found: list[tuple[str, int, Value]] = []
        for device in sorted(known.keys() | fresh.keys()):
            if wanted is not None and device not in wanted:
                continue
            stored, newer = known.get(device), fresh.get(device)
            last = _stored(stored) if newer is None and stored else _newer(stored and _stored(stored), newer)
            if last is not None:
                found.append((names[device], *last))
                if len(found) == limit:
                    break
        return found

    def series(self, device_ids: Collection[str], metrics: Collection[str] | None) -> list[tuple[str, str, SeriesKey]]:
        """The series of devices: id, name, series; by device and name. ``metrics`` None is every name."""
        numbers = self._numbers(device_ids)
        found: list[tuple[str, str, SeriesKey]] = []
        for device_id in device_ids:
            kinds = self.tail.series_of(numbers.get(device_id, 0))
            for name in sorted(kinds):
                if metrics is None or name in metrics:
                    found += [(device_id, name, self.tail.key(each)) for _, each in sorted(kinds[name].items())]
        return found

    def stream(self, key: SeriesKey, start_ms: int, end_ms: int) -> Iterator[Points]:
        """Every point of a series with ``start_ms <= time < end_ms``, in parts of an hour at most.

        No snapshot is held between two days, so that a slow reader holds up nothing; points that come meanwhile may be
        in or not.

        Raises:
            DataFolderError: damaged.
        """
        at = start_ms
        while at < end_ms:
            parts: list[Points] = []
            with self._snapshot((key,)) as (shelf, tail):
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

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One snapshot of the database; waits while all connections are reading."""
        reader = self._readers.get()
        try:
            with transaction(reader, self._begin):
                yield reader
        finally:
            self._readers.put(reader)

    @contextmanager
    def _snapshot(self, keys: Sequence[SeriesKey]) -> Iterator[tuple[Shelf, dict[int, list[Points]]]]:
        """One snapshot, and what it does not have yet of these series."""
        wanted = {(key.device, key.number) for key in keys}
        copies: list[tuple[int, int, Points]] = []
        with self.tail.lock:  # before the snapshot: what is flushed between the two is in the snapshot
            for generation in self.tail.generations():
                for device, number in wanted:
                    points = generation.points_of(device, number)
                    if points is not None:
                        copies.append((generation.reaches, number, points))
        with self._reading() as connection:
            flushed = flushed_upto(connection)
            fresh: dict[int, list[Points]] = {}
            for reaches, number, points in copies:
                if reaches > flushed:
                    fresh.setdefault(number, []).append(points)
            yield Shelf(connection), fresh

    def close_readers(self) -> None:
        """Close every connection, each when who reads with it is done. Call it once."""
        for _ in range(READERS):
            self._readers.get().close()

    def _number(self, device_id: str) -> int:
        row = self.device(device_id)
        return 0 if row is None else row.number

    def _device_names(self, connection: Connection) -> dict[int, str]:
        """Ids of all devices by number; a device keeps its number, so only new ones are read. Call it while reading."""
        with self._names_lock:
            known = self._last_device
            rows = connection.execute("SELECT number, device_id FROM device WHERE number > ?", (known,)).fetchall()
            for number, device_id in rows:
                self._names_of[number] = device_id
                self._numbers_of[device_id] = number
                self._last_device = max(self._last_device, number)
        return self._names_of

    def _numbers(self, device_ids: Collection[str]) -> dict[str, int]:
        """Numbers of devices; those that were never connected are left out."""
        with self._reading() as connection:
            self._device_names(connection)
            known = self._numbers_of
            return {each: known[each] for each in device_ids if each in known}

    def _kinds(self, device_id: str, metric: str) -> dict[Kind, SeriesKey]:
        found = self.tail.series_of(self._number(device_id)).get(metric, {})
        return {kind: self.tail.key(number) for kind, number in found.items()}

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


def flushed_upto(connection: Connection) -> int:
    """The last block of the log whose values are in the database."""
    return int(connection.execute("SELECT value FROM progress WHERE name = 'flushed'").fetchone()[0])


def typed(values: Sequence[float] | Sequence[str], kind: Kind) -> Sequence[Value]:
    """Values as they were sent: truth values are stored as 0 and 1."""
    return [bool(value) for value in values] if kind is Kind.BOOLEAN else values


def _stored(row: Sequence[object]) -> tuple[int, Value]:
    at_ms, kind, value = cast("tuple[int, int, object]", row)
    if kind == Kind.TEXT:
        return at_ms, value  # type: ignore[return-value]  # STRICT table
    number = float(value)  # type: ignore[arg-type]  # PostgreSQL's column is of texts: engines/series/database/schema.py
    return at_ms, bool(number) if kind == Kind.BOOLEAN else number


def _newer(stored: tuple[int, Value] | None, fresh: Last | None) -> tuple[int, Value] | None:
    """The latest of what the database has and what came since."""
    if fresh is None or (stored is not None and stored[0] > fresh[0]):
        return stored
    return fresh[0], fresh[2]


def _not_found(device_id: str, metric: str, what: str) -> NotFoundError:
    return NotFoundError(
        f"device {device_id[:16]}... has sent no {what} named {metric[:64]!a}",
        remedy="Look at the device's metrics for the names it sends.",
    )
