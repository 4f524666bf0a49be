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

from armillary.engines.series.log.generation import DecodeFault, Generation, Last, Table
from armillary.engines.series.values.chunks import Kind, SeriesKey
from armillary.errors import WireError
from armillary.wire.hub.telemetry import Telemetry, Value

# IoT Central allows 300 capabilities in a device template; a device that makes up names must not fill the disk.
MAX_SERIES_PER_DEVICE = 1000


_TYPES: dict[Kind, type] = {Kind.NUMBER: float, Kind.BOOLEAN: bool, Kind.TEXT: str}
_KINDS: dict[type, Kind] = {type_: kind for kind, type_ in _TYPES.items()}


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
                table = Table(self._numbers(device, values))
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

        Returns:
            The block that each part reaches, and ``hour -> [count, low, high, total]``.
        """
        with self.lock:
            return [(each.reaches, each.sums(wanted)) for each in self.generations()]

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

    def _numbers(self, device: int, values: Mapping[str, Value]) -> tuple[int, ...]:
        series = self._series.get(device)
        if series is None:
            series = self._series[device] = {}
        return tuple(
            series.get((name, value.__class__)) or self._create(series, device, name, value.__class__)
            for name, value in values.items()
        )

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
