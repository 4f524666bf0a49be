# SPDX-License-Identifier: Apache-2.0
"""The index of series: which device has sent values under which name and of which kind, flushed or not."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Iterable, Mapping

from armillary.engines.series.log.generation import Generation
from armillary.engines.series.values.chunks import SeriesKey, ValueKind
from armillary.errors import WireError
from armillary.wire.hub.telemetry import Value

# IoT Central allows 300 capabilities in a device template; a device that makes up names must not fill the disk.
MAX_SERIES_PER_DEVICE = 1000


_TYPES: dict[ValueKind, type] = {ValueKind.NUMBER: float, ValueKind.BOOLEAN: bool, ValueKind.TEXT: str}
_KINDS: dict[type, ValueKind] = {type_: kind for kind, type_ in _TYPES.items()}


class SeriesIndex:
    """Every series of one store, from the names of metrics (with their numbers) and the series in the database."""

    def __init__(self, names: Mapping[str, int], known: Iterable[tuple[int, int, int, int]]) -> None:
        self.lock = threading.Lock()
        self._names = dict(names)
        self._keys: dict[tuple[str, type], tuple[str, type]] = {}  # one object a name and kind, not one a series
        self._series: dict[int, dict[tuple[str, type], int]] = {}
        self.device_of, self.metric_of, self._kind_of = array("I", (0,)), array("I", (0,)), bytearray(1)
        self._last_name = max(names.values(), default=0)
        by_number = {number: name for name, number in names.items()}
        for number, device, metric, kind in sorted(known):
            while len(self.device_of) < number:  # a number that was given out and never written
                self._note(0, 0, 0)
            self._note(device, metric, kind)
            self._series.setdefault(device, {})[self._key(by_number[metric], _TYPES[ValueKind(kind)])] = number

    def key(self, number: int) -> SeriesKey:
        """The key of a series."""
        return SeriesKey(number, self.device_of[number], self.metric_of[number], ValueKind(self._kind_of[number]))

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
            return [self.key(number) for number in range(1, len(self.device_of)) if self.device_of[number]]

    def series_with(self, metric: int, devices: Collection[int] | None) -> list[int]:
        """The series of numbers and truth values under a name, of some devices or of all; ascending."""
        with self.lock:
            device_of, kind_of, text = self.device_of, self._kind_of, int(ValueKind.TEXT)
            every = [number for number, name in enumerate(self.metric_of) if name == metric and number]
            if devices is None:
                return [number for number in every if kind_of[number] != text]
            return [number for number in every if device_of[number] in devices and kind_of[number] != text]

    def series_of(self, device: int) -> dict[str, dict[ValueKind, int]]:
        """``metric -> kind -> series number`` of a device, including series that are not flushed yet."""
        found: dict[str, dict[ValueKind, int]] = {}
        with self.lock:
            for (metric, type_), number in self._series.get(device, {}).items():
                found.setdefault(metric, {})[_KINDS[type_]] = number
        return found

    def numbers(self, device: int, values: Mapping[str, Value], present: Generation) -> tuple[int, ...]:
        """Numbers of the series of a message's values; new ones are noted in ``present``. Hold :attr:`lock`.

        Raises:
            WireError: the device would have more series than allowed.
        """
        return tuple(self._number(device, name, value.__class__, present) for name, value in values.items())

    def number(self, device: int, metric: str, kind: ValueKind, present: Generation) -> int:
        """The number of one series; arguments and errors as of :meth:`numbers`."""
        return self._number(device, metric, _TYPES[kind], present)

    def _number(self, device: int, metric: str, type_: type, present: Generation) -> int:
        series = self._series.setdefault(device, {})
        found = series.get((metric, type_))
        if found is not None:
            return found
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
            name = self._names[metric] = present.names[metric] = self._last_name
        number = len(self.device_of)
        self._note(device, name, int(_KINDS[type_]))
        series[self._key(metric, type_)] = number
        present.new.append(self.key(number))
        return number

    def _note(self, device: int, metric: int, kind: int) -> None:
        self.device_of.append(device)
        self.metric_of.append(metric)
        self._kind_of.append(kind)

    def _key(self, metric: str, type_: type) -> tuple[str, type]:
        return self._keys.setdefault((metric, type_), (metric, type_))
