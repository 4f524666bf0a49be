# SPDX-License-Identifier: Apache-2.0
"""A generation: the values decoded between two flushes, in rows as they came, one for each message.

Messages of one device with the same names and kinds of values share a table. Appending a row costs a third of appending
each value to its series; a series is read as a column. Not thread-safe: hold the tail's lock to read the present
generation.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey
from armillary.wire.hub.telemetry import Value

# What a row begins with, before the values: time (Unix milliseconds), order of arrival, mark (0 is none).
_AT, _ORDER, _MARK, _VALUES = range(4)

# All columns of one message: its names, then the classes of its values.
Shape = tuple[Any, ...]

# The latest value of a series: time of measurement, order of arrival within this life of the process, value. The newest
# time wins, and of equal times what came last.
Last = tuple[int, int, Value]


@dataclass(slots=True)
class DecodeFault:
    """Messages of a device that could not be decoded since the last flush."""

    count: int
    at_ms: int
    reason: str


class Table:
    """Messages of one device with the same names and kinds of values."""

    __slots__ = ("numbers", "rows")

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers  # The series of each column
        # ``(time, order of arrival, mark, value, ...)``, in order of arrival; one at least in a generation
        self.rows: list[tuple[Any, ...]] = []

    def newest(self) -> tuple[Any, ...]:
        """The row with the latest values."""
        return max(self.rows)  # by time, then by order of arrival, which is nowhere the same

    def add_up(self, hours: dict[int, list[float]], number: int) -> None:
        """Add a column of numbers to ``hour -> [count, low, high, total]``."""
        column = _VALUES + self.numbers.index(number)
        for row in self.rows:
            at_ms, value = row[_AT], row[column]
            hour_ms = at_ms - at_ms % HOUR_MS
            sums = hours.get(hour_ms)
            if sums is None:
                hours[hour_ms] = [1, value, value, value]
            else:
                sums[0] += 1
                if value < sums[1]:
                    sums[1] = value
                elif value > sums[2]:
                    sums[2] = value
                sums[3] += value


@dataclass(slots=True, eq=False)
class Generation:
    """Values between two flushes."""

    reaches: int = 0  # Seq of the last block that a value (or a fault) is from
    tables: dict[int, dict[Shape, Table]] = field(default_factory=dict)  # By device number
    new: list[SeriesKey] = field(default_factory=list)  # Series to create
    names: dict[str, int] = field(default_factory=dict)  # Numbers of names to create
    faults: dict[int, DecodeFault] = field(default_factory=dict)  # By device number
    points: int = 0

    def points_of(self, device: int, number: int) -> Points | None:
        """A copy of the points of one series, in order of arrival; None when there are none."""
        found = [each for each in self.tables.get(device, {}).values() if number in each.numbers]
        if not found:
            return None
        if len(found) == 1:
            column = _VALUES + found[0].numbers.index(number)
            rows = found[0].rows
            return _points([row[_AT] for row in rows], [row[column] for row in rows], [row[_MARK] for row in rows])
        return _merged(found, number)

    def series(self) -> Iterator[tuple[int, Points]]:
        """Every series with a copy of its points; the series of one table share their list of times."""
        for tables in self.tables.values():
            seen: dict[int, list[Table]] = {}
            for table in tables.values():
                for number in table.numbers:
                    seen.setdefault(number, []).append(table)
            for table in tables.values():
                times, _, marks, *columns = zip(*table.rows, strict=True)
                own = list(times)
                for number, column in zip(table.numbers, columns, strict=True):
                    if len(seen[number]) == 1:
                        yield number, _points(own, column, marks)
            for number, found in seen.items():
                if len(found) > 1:
                    yield number, _merged(found, number)

    def latest(self, device: int | None = None) -> Iterator[tuple[int, Last]]:
        """The latest value of every series, or of those of a device; more than one where it has several tables."""
        found: Iterable[dict[Shape, Table]] = self.tables.values()
        if device is not None:
            found = [self.tables.get(device, {})]
        for tables in found:
            for table in tables.values():
                at_ms, order, _, *values = table.newest()
                for number, value in zip(table.numbers, values, strict=True):
                    yield number, (at_ms, order, value)

    def sums(self, wanted: set[int]) -> dict[int, list[float]]:
        """Points of series of numbers, added up: ``hour -> [count, low, high, total]``."""
        hours: dict[int, list[float]] = {}
        for tables in self.tables.values():
            for table in tables.values():
                for number in wanted.intersection(table.numbers):
                    table.add_up(hours, number)
        return hours


def _points(times: list[int], values: Iterable[Any], marks: Iterable[int]) -> Points:
    values = list(values)
    found = {index: mark for index, mark in enumerate(marks) if mark} if any(marks) else {}
    return Points(times, values if isinstance(values[0], str) else array("d", values), found)


def _merged(tables: Iterable[Table], number: int) -> Points:
    rows: list[tuple[int, int, int, Any]] = []
    for table in tables:
        column = _VALUES + table.numbers.index(number)
        rows += [(row[_ORDER], row[_AT], row[_MARK], row[column]) for row in table.rows]
    rows.sort()
    _, times, marks, values = zip(*rows, strict=True)
    return _points(list(times), values, marks)
