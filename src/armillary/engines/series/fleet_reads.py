# SPDX-License-Identifier: Apache-2.0
"""Queries of the series store about many devices. Each sees one snapshot, from any thread."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from armillary.engines.series.readers import Readers, flushed_upto, newer_value, stored_value
from armillary.engines.series.values.chunks import SeriesKey
from armillary.engines.series.values.fleet import MAX_DEVICE_HOURS, FleetRange, Group, read_fleet
from armillary.engines.series.values.query import check_range
from armillary.engines.series.values.sampling import Sampled, read_samples
from armillary.wire.hub.telemetry import Value


class FleetReads:
    """Values of many devices."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._tail = readers.tail

    def over_time(
        self, device_ids: Collection[str] | None, metric: str, start_ms: int, end_ms: int, max_points: int
    ) -> FleetRange:
        """Numbers and truth values of a metric over time, added up over devices (all when None).

        Raises:
            InvalidArgumentError: the range or the number of points makes no sense.
            DataFolderError: damaged.
        """
        check_range(start_ms, end_ms, max_points)
        number = self._tail.index.name_number(metric) or 0
        devices = None if device_ids is None else set(self._readers.numbers(device_ids).values())
        series = self._tail.index.series_with(number, devices)
        keys = [self._tail.index.key(each) for each in series] if len(series) <= MAX_DEVICE_HOURS else []
        sums = self._tail.sums(set(series))
        with self._readers.snapshot(keys) as (shelf, tail):
            flushed = flushed_upto(shelf.connection)
            fresh = [hours for reaches, hours in sums if reaches > flushed]
            # A group that has every device with this name is everything: its columns are not filtered.
            everything = devices is None or len(series) == len(self._tail.index.series_with(number, None))
            group = Group(number, series, keys, everything=everything)
            return read_fleet(shelf, group, tail, fresh, start_ms, end_ms, max_points)

    def latest(self, device_ids: Collection[str] | None, metric: str, limit: int) -> list[tuple[str, int, Value]]:
        """The latest value of a metric of many devices (all when None), at most ``limit``: id, time, value."""
        number = self._tail.index.name_number(metric) or 0
        wanted = None if device_ids is None else set(self._readers.numbers(device_ids).values())
        fresh = {device: last for (_, device), last in self._tail.latest_of(metric=number).items()}
        with self._readers.reading() as connection:
            rows = connection.execute("SELECT device, at_ms, kind, value FROM latest WHERE metric = ?", (number,))
            known = {device: (at_ms, kind, value) for device, at_ms, kind, value in rows}
            names = self._readers.device_names(connection)
        found: list[tuple[str, int, Value]] = []
        for device in sorted(known.keys() | fresh.keys()):
            if wanted is not None and device not in wanted:
                continue
            stored, newer = known.get(device), fresh.get(device)
            last = newer_value(None if stored is None else stored_value(stored), newer)
            if last is not None:
                found.append((names[device], *last))
                if len(found) == limit:
                    break
        return found

    def series(self, device_ids: Collection[str], metrics: Collection[str] | None) -> list[tuple[str, str, SeriesKey]]:
        """The series of devices: id, name, series; by device and name. ``metrics`` None is every name."""
        numbers = self._readers.numbers(device_ids)
        found: list[tuple[str, str, SeriesKey]] = []
        for device_id in device_ids:
            kinds = self._tail.index.series_of(numbers.get(device_id, 0))
            for name in sorted(kinds):
                if metrics is None or name in metrics:
                    found += [(device_id, name, self._tail.index.key(each)) for _, each in sorted(kinds[name].items())]
        return found

    def samples(
        self, keys: Sequence[SeriesKey], start_ms: int, end_ms: int, grain_ms: int, most: int
    ) -> Iterator[tuple[SeriesKey, Sampled]]:
        """Series of numbers and truth values with ``start_ms <= time < end_ms``, one after the other in one snapshot.

        Raises as :func:`~armillary.engines.series.values.sampling.read_samples`.
        """
        with self._readers.snapshot(keys) as (shelf, tail):
            for key in keys:
                yield key, read_samples(shelf, key, tail.get(key.number, ()), start_ms, end_ms, grain_ms, most)

    def value_names(self) -> list[str]:
        """Names under which any device has sent values."""
        return sorted(self._tail.index.names().values())
