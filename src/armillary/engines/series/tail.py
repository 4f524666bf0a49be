# SPDX-License-Identifier: Apache-2.0
"""The tail: values decoded from the log and not sealed yet, in memory.

A generation gathers values; ``begin_seal`` hands it to the writer and starts the next one; ``end_seal`` drops it
when the writer has it in the database. Readers take a copy of both and the number of the last block that each
reaches: what the database says is sealed beyond that number is left out, so a value is never seen twice.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.engines.series.chunks import Kind
from armillary.errors import WireError
from armillary.wire.telemetry import Telemetry, Value

# IoT Central allows 300 capabilities in a device template; a device that makes up names must not fill the disk.
MAX_SERIES_PER_DEVICE = 1000


_TYPES: dict[Kind, type] = {Kind.NUMBER: float, Kind.BOOLEAN: bool, Kind.TEXT: str}
_KINDS: dict[type, Kind] = {type_: kind for kind, type_ in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class NewSeries:
    """A series the database does not have yet."""

    number: int
    device: int
    metric: str
    kind: Kind


@dataclass(slots=True)
class DecodeFault:
    """Messages of a device that could not be decoded since the last seal."""

    count: int
    at_ms: int
    reason: str


@dataclass(slots=True, eq=False)
class Generation:
    """Values between two seals.

    Attributes:
        reaches: Seq of the last block that has a value (or a fault) in here.
        numbers: Series number -> ``time, value, ...``.
        texts: Series number -> ``(time, text)``.
        latest: Series number -> ``(time, value)`` with the greatest time.
        new: Series to create.
        faults: Device number -> what could not be decoded.
        points: How many values.
    """

    reaches: int = 0
    numbers: dict[int, array[float]] = field(default_factory=dict)
    texts: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    latest: dict[int, tuple[int, Value]] = field(default_factory=dict)
    new: list[NewSeries] = field(default_factory=list)
    faults: dict[int, DecodeFault] = field(default_factory=dict)
    points: int = 0


class Tail:
    """The present generation, the one being sealed, and the numbers of all series.

    Args:
        known: ``(device, metric, kind) -> series number`` of every series in the database.
    """

    def __init__(self, known: Mapping[tuple[int, str, int], int]) -> None:
        self.lock = threading.Lock()
        self.present = Generation()
        self.sealing: Generation | None = None
        self._series: dict[int, dict[tuple[str, type], int]] = {}
        self._next = max(known.values(), default=0) + 1
        for (device, metric, kind), number in known.items():
            self._series.setdefault(device, {})[metric, _TYPES[Kind(kind)]] = number

    def add(self, seq: int, device: int, telemetry: Telemetry) -> None:
        """Add a message's values.

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
                numbers.append(self._create(series, device, name, value) if number is None else number)
            present.reaches = seq
            present.points += len(numbers)
            latest = present.latest
            for number, value in zip(numbers, telemetry.values.values(), strict=True):
                if isinstance(value, str):
                    present.texts.setdefault(number, []).append((at_ms, value))
                else:
                    points = present.numbers.get(number)
                    if points is None:
                        points = present.numbers[number] = array("d")
                    points.extend((at_ms, value))
                last = latest.get(number)
                if last is None or last[0] <= at_ms:
                    latest[number] = (at_ms, value)

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

    def series_of(self, device: int) -> dict[str, dict[Kind, int]]:
        """``metric -> kind -> series number`` of a device, those not sealed yet included."""
        found: dict[str, dict[Kind, int]] = {}
        with self.lock:
            for (metric, type_), number in self._series.get(device, {}).items():
                found.setdefault(metric, {})[_KINDS[type_]] = number
        return found

    def begin_seal(self) -> Generation:
        """Start a new generation and return the old one, which stays readable until :meth:`end_seal`."""
        with self.lock:
            if self.sealing is not None:
                raise RuntimeError("a seal is under way")
            self.sealing, self.present = self.present, Generation()
            return self.sealing

    def end_seal(self, *, kept: bool) -> None:
        """The generation is in the database, or could not be written and must be tried again."""
        with self.lock:
            failed, self.sealing = self.sealing, None
            if not kept and failed is not None:
                self.present = _joined(failed, self.present)

    def generations(self) -> list[Generation]:
        """What is not sealed, oldest first; hold :attr:`lock` while looking into them."""
        return [self.present] if self.sealing is None else [self.sealing, self.present]

    def _create(self, series: dict[tuple[str, type], int], device: int, metric: str, value: Value) -> int:
        if len(series) >= MAX_SERIES_PER_DEVICE:
            raise WireError(
                "telemetry",
                expected=f"at most {MAX_SERIES_PER_DEVICE} names a device",
                got=f"another, {metric[:64]!a}",
                remedy="Send fixed names; put what varies into values.",
                code="wire.telemetry",
            )
        number = self._next
        self._next += 1
        series[metric, value.__class__] = number
        self.present.new.append(NewSeries(number, device, metric, _KINDS[value.__class__]))
        return number


def _joined(older: Generation, newer: Generation) -> Generation:
    """One generation of two, when the older one could not be written."""
    for number, points in newer.numbers.items():
        older.numbers.setdefault(number, array("d")).extend(points)
    for number, texts in newer.texts.items():
        older.texts.setdefault(number, []).extend(texts)
    for number, last in newer.latest.items():
        if number not in older.latest or older.latest[number][0] <= last[0]:
            older.latest[number] = last
    for device, fault in newer.faults.items():
        before = older.faults.get(device)
        older.faults[device] = DecodeFault(fault.count + (before.count if before else 0), fault.at_ms, fault.reason)
    older.new.extend(newer.new)
    older.points += newer.points
    older.reaches = max(older.reaches, newer.reaches)
    return older
