# SPDX-License-Identifier: Apache-2.0
"""The tail: values decoded from the log and not flushed yet, in memory.

A generation gathers values; ``begin_flush`` hands it to the writer and starts the next one; ``end_flush`` drops it
when the writer has it in the database. Readers take a copy of both and the number of the last block that each
reaches: what the database says is flushed up to that number is left out, so a value is never seen twice.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from armillary.engines.series.chunks import HOUR_MS, Kind, Points
from armillary.errors import WireError
from armillary.wire.telemetry import Telemetry, Value

# IoT Central allows 300 capabilities in a device template; a device that makes up names must not fill the disk.
MAX_SERIES_PER_DEVICE = 1000


_TYPES: dict[Kind, type] = {Kind.NUMBER: float, Kind.BOOLEAN: bool, Kind.TEXT: str}
_KINDS: dict[type, Kind] = {type_: kind for kind, type_ in _TYPES.items()}


class SeriesKey(NamedTuple):
    """What a series is of.

    Attributes:
        number: Its number.
        device: The device's number.
        metric: The name's number.
        kind: What it holds.
    """

    number: int
    device: int
    metric: int
    kind: Kind


# The latest value of a series: time of measurement, order of arrival within this life of the process, value. The newest
# time wins, and of equal times what came last. A plain tuple: one is made for every point.
Last = tuple[int, int, Value]


@dataclass(slots=True)
class DecodeFault:
    """Messages of a device that could not be decoded since the last flush."""

    count: int
    at_ms: int
    reason: str


@dataclass(slots=True, eq=False)
class Generation:
    """Values between two flushes.

    Attributes:
        reaches: Seq of the last block that has a value (or a fault) in here.
        numbers: Series number -> ``time, value, ...``.
        texts: Series number -> ``(time, text)``.
        marks: Series number -> index of a point -> mark, of points whose message had an id.
        latest: Series number -> the latest value.
        new: Series to create.
        names: Numbers of names to create.
        faults: Device number -> what could not be decoded.
        points: How many values.
    """

    reaches: int = 0
    numbers: dict[int, array[float]] = field(default_factory=dict)
    texts: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    marks: dict[int, dict[int, int]] = field(default_factory=dict)
    latest: dict[int, Last] = field(default_factory=dict)
    new: list[SeriesKey] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    faults: dict[int, DecodeFault] = field(default_factory=dict)
    points: int = 0


class Tail:
    """The present generation, the one being flushed, and what all series are of.

    Args:
        names: Name of a metric -> its number, of every one in the database.
        known: Every series in the database.
    """

    def __init__(self, names: Mapping[str, int], known: Iterable[tuple[int, int, int, int]]) -> None:
        self.lock = threading.Lock()
        self.present = Generation()
        self.flushing: Generation | None = None
        self._names = dict(names)
        self._keys: dict[tuple[str, type], tuple[str, type]] = {}  # one object a name and kind, not one a series
        self._series: dict[int, dict[tuple[str, type], int]] = {}
        # By series number; numbers begin at 1.
        self._device_of, self._metric_of, self._kind_of = array("I", (0,)), array("I", (0,)), bytearray(1)
        self._order = 0
        self._last_name = max(names.values(), default=0)
        by_number = {number: name for name, number in names.items()}
        for number, device, metric, kind in sorted(known):
            while len(self._device_of) < number:  # a number that was given out and never written
                self._note(0, 0, 0)
            self._note(device, metric, kind)
            self._series.setdefault(device, {})[self._key(by_number[metric], _TYPES[Kind(kind)])] = number

    def add(self, seq: int, device: int, telemetry: Telemetry, mark: int = 0) -> None:
        """Add a message's values; ``mark`` is not 0 when the message has an id.

        Raises:
            WireError: the device would have more series than allowed; nothing was added.
        """
        at_ms = telemetry.at_ms
        with self.lock:
            series = self._series.get(device)
            if series is None:
                series = self._series[device] = {}
            present = self.present
            numbers: list[int] = []
            for name, value in telemetry.values.items():
                number = series.get((name, value.__class__))
                numbers.append(self._create(series, device, name, value.__class__) if number is None else number)
            self._order = order = self._order + 1
            present.reaches = seq
            present.points += len(numbers)
            latest = present.latest
            for number, value in zip(numbers, telemetry.values.values(), strict=True):
                if isinstance(value, str):
                    texts = present.texts.setdefault(number, [])
                    if mark:
                        present.marks.setdefault(number, {})[len(texts)] = mark
                    texts.append((at_ms, value))
                else:
                    points = present.numbers.get(number)
                    if points is None:
                        points = present.numbers[number] = array("d")
                    if mark:
                        present.marks.setdefault(number, {})[len(points) // 2] = mark
                    points.extend((at_ms, value))
                last = latest.get(number)
                if last is None or last[0] <= at_ms:
                    latest[number] = (at_ms, order, value)

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

    def numbers_of(self, device: int, names: Collection[tuple[str, Kind]]) -> dict[tuple[str, Kind], SeriesKey]:
        """The series of these names, made where there are none: for values that do not come from the log.

        Raises:
            WireError: the device would have more series than allowed.
        """
        found: dict[tuple[str, Kind], SeriesKey] = {}
        with self.lock:
            series = self._series.setdefault(device, {})
            for name, kind in names:
                number = series.get((name, _TYPES[kind])) or self._create(series, device, name, _TYPES[kind])
                found[name, kind] = self.key(number)
        return found

    def key(self, number: int) -> SeriesKey:
        """What a series is of."""
        return SeriesKey(number, self._device_of[number], self._metric_of[number], Kind(self._kind_of[number]))

    def name_number(self, metric: str) -> int | None:
        """The number of a metric's name; None when no device has sent it."""
        return self._names.get(metric)

    def names(self) -> dict[int, str]:
        """The names of all metrics by number."""
        with self.lock:
            return {number: name for name, number in self._names.items()}

    def keys(self) -> list[SeriesKey]:
        """All series."""
        with self.lock:
            return [self.key(number) for number in range(1, len(self._device_of)) if self._device_of[number]]

    def series_with(self, metric: int, devices: Collection[int] | None) -> list[int]:
        """The series of numbers and truth values under a name, of some devices or of all; ascending."""
        with self.lock:
            device_of, kind_of, text = self._device_of, self._kind_of, int(Kind.TEXT)
            every = [number for number, name in enumerate(self._metric_of) if name == metric and number]
            if devices is None:
                return [number for number in every if kind_of[number] != text]
            return [number for number in every if device_of[number] in devices and kind_of[number] != text]

    def latest_of(self, *, metric: int | None = None, device: int | None = None) -> dict[tuple[int, int], Last]:
        """The latest values that are not flushed, of one name or of one device, by name and device."""
        found: dict[tuple[int, int], Last] = {}
        with self.lock:
            metric_of, device_of = self._metric_of, self._device_of
            for generation in self.generations():
                for number, last in generation.latest.items():
                    place = (metric_of[number], device_of[number])
                    if (metric is None or place[0] == metric) and (device is None or place[1] == device):
                        before = found.get(place)
                        if before is None or before[:2] <= last[:2]:
                            found[place] = last
        return found

    def sums(self, wanted: Iterable[int]) -> list[tuple[int, dict[int, list[float]]]]:
        """Points that are not flushed, added up over series of numbers.

        Returns:
            The block that each part reaches, and ``hour -> [count, low, high, total]``.
        """
        found: list[tuple[int, dict[int, list[float]]]] = []
        with self.lock:
            for generation in self.generations():
                hours: dict[int, list[float]] = {}
                for number in generation.numbers.keys() & wanted:
                    _add_up(hours, generation.numbers[number])
                found.append((generation.reaches, hours))
        return found

    def series_of(self, device: int) -> dict[str, dict[Kind, int]]:
        """``metric -> kind -> series number`` of a device, those not flushed yet included."""
        found: dict[str, dict[Kind, int]] = {}
        with self.lock:
            for (metric, type_), number in self._series.get(device, {}).items():
                found.setdefault(metric, {})[_KINDS[type_]] = number
        return found

    def begin_flush(self) -> Generation:
        """Start a new generation and return the old one, which stays readable until :meth:`end_flush`."""
        with self.lock:
            if self.flushing is not None:
                raise RuntimeError("a flush is under way")
            self.flushing, self.present = self.present, Generation()
            return self.flushing

    def end_flush(self, *, kept: bool) -> None:
        """The generation is in the database; or was perhaps not written, and is there to be tried again."""
        with self.lock:
            if kept:
                self.flushing = None

    def generations(self) -> list[Generation]:
        """What is not flushed, oldest first; hold :attr:`lock` while looking into them."""
        return [self.present] if self.flushing is None else [self.flushing, self.present]

    def points(self, number: int) -> list[tuple[int, Points]]:
        """The points of one series that are not flushed: the block that each part reaches, and a copy."""
        with self.lock:
            return [
                (each.reaches, points)
                for each in self.generations()
                if (points := generation_points(each, number)) is not None
            ]

    def _create(self, series: dict[tuple[str, type], int], device: int, metric: str, type_: type) -> int:
        if len(series) >= MAX_SERIES_PER_DEVICE:
            raise WireError(
                "telemetry",
                expected=f"at most {MAX_SERIES_PER_DEVICE} names a device",
                got=f"another, {metric[:64]!a}",
                remedy="Send fixed names; put what varies into values.",
                code="wire.telemetry",
            )
        name = self._names.get(metric)
        if name is None:
            self._last_name += 1
            name = self._names[metric] = self.present.names[metric] = self._last_name
        number = len(self._device_of)
        self._note(device, name, int(_KINDS[type_]))
        series[self._key(metric, type_)] = number
        self.present.new.append(self.key(number))
        return number

    def _note(self, device: int, metric: int, kind: int) -> None:
        self._device_of.append(device)
        self._metric_of.append(metric)
        self._kind_of.append(kind)

    def _key(self, metric: str, type_: type) -> tuple[str, type]:
        return self._keys.setdefault((metric, type_), (metric, type_))


def generation_points(generation: Generation, number: int) -> Points | None:
    """A copy of the points of one series in a generation, in order of arrival; None when there are none."""
    marks = dict(generation.marks.get(number, ()))
    numbers = generation.numbers.get(number)
    if numbers is not None:
        return Points(list(map(int, numbers[::2])), numbers[1::2], marks)
    texts = generation.texts.get(number)
    if texts is not None:
        return Points([at_ms for at_ms, _ in texts], [text for _, text in texts], marks)
    return None


def _add_up(hours: dict[int, list[float]], points: array[float]) -> None:
    for at, value in zip(points[::2], points[1::2], strict=True):
        hour_ms = int(at) - int(at) % HOUR_MS
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
