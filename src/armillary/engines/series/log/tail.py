# SPDX-License-Identifier: Apache-2.0
"""The tail: values decoded from the log and not flushed yet, in memory.

A generation gathers values; ``begin_flush`` hands it to the writer and starts the next one; ``end_flush`` drops it
after the commit. Readers copy both, with the number of the last block that each reaches, and leave out a generation
that the database already has, so that no value is seen twice.
"""

from __future__ import annotations

from collections.abc import Collection

from armillary.engines.series.log.generation import DecodeFault, Generation, Last, Table
from armillary.engines.series.log.index import SeriesIndex
from armillary.engines.series.values.chunks import SeriesKey, ValueKind
from armillary.wire.hub.telemetry import Telemetry


class Tail:
    """The present generation, and the one being flushed."""

    def __init__(self, index: SeriesIndex) -> None:
        self.index = index
        self.lock = index.lock
        self.present = Generation()
        self.flushing: Generation | None = None
        self._order = 0

    def add(self, seq: int, device: int, telemetry: Telemetry, mark: int = 0) -> None:
        """Add a message's values; ``mark`` is not 0 when the message has an id.

        Raises:
            WireError: the device would have more series than allowed; nothing was added.
        """
        at_ms, values = telemetry
        with self.lock:
            present = self.present
            present.reaches = seq
            if not values:
                return
            tables = present.tables.get(device)
            if tables is None:
                tables = present.tables[device] = {}
            shape = (*values, *map(type, values.values()))
            table = tables.get(shape)
            if table is None:
                table = Table(self.index.numbers(device, values, present))
                tables[shape] = table
            self._order = order = self._order + 1
            table.rows.append((at_ms, order, mark, *values.values()))
            present.points += len(values)

    def add_fault(self, seq: int, device: int, at_ms: int, reason: str) -> None:
        """Note a message that could not be decoded."""
        with self.lock:
            self.present.reaches = seq
            fault = self.present.faults.get(device)
            if fault is None:
                self.present.faults[device] = DecodeFault(1, at_ms, reason)
            else:
                fault.count += 1
                fault.at_ms, fault.reason = at_ms, reason

    def numbers_of(
        self, device: int, names: Collection[tuple[str, ValueKind]]
    ) -> dict[tuple[str, ValueKind], SeriesKey]:
        """The series of these names, made where they are missing: for values that do not come from the log.

        Raises:
            WireError: the device would have more series than allowed.
        """
        found: dict[tuple[str, ValueKind], SeriesKey] = {}
        with self.lock:
            for name, kind in names:
                found[name, kind] = self.index.key(self.index.number(device, name, kind, self.present))
        return found

    def latest_of(self, *, metric: int | None = None, device: int | None = None) -> dict[tuple[int, int], Last]:
        """The latest values that are not flushed, of one name or of one device, by name and device."""
        found: dict[tuple[int, int], Last] = {}
        with self.lock:
            metric_of, device_of = self.index.metric_of, self.index.device_of
            for generation in self.generations():
                for number, last in generation.latest(device):
                    name = metric_of[number]
                    if metric is None or name == metric:
                        place = (name, device_of[number])
                        before = found.get(place)
                        if before is None or before[:2] <= last[:2]:
                            found[place] = last
        return found

    def sums(self, wanted: set[int]) -> list[tuple[int, dict[int, list[float]]]]:
        """Points that are not flushed, added up over series of numbers.

        Returns for each generation the last block that it reaches, and ``hour -> [count, low, high, total]``.
        """
        with self.lock:
            return [(each.reaches, each.sums(wanted)) for each in self.generations()]

    def begin_flush(self) -> Generation:
        """Start a new generation and return the old one, which stays readable until :meth:`end_flush`."""
        with self.lock:
            if self.flushing is not None:
                raise RuntimeError("a flush is under way")
            self.flushing, self.present = self.present, Generation()
            return self.flushing

    def end_flush(self, *, kept: bool) -> None:
        """The flush has ended: ``kept`` if it was committed; else the generation stays, for the next attempt."""
        with self.lock:
            if kept:
                self.flushing = None

    def generations(self) -> list[Generation]:
        """The generations that are not flushed, oldest first; hold :attr:`lock` while reading them."""
        return [self.present] if self.flushing is None else [self.flushing, self.present]
