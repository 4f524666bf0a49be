# SPDX-License-Identifier: Apache-2.0
"""Imports points from an export into the series; a point that already exists counts once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from armillary.engines.database.port import Connection
from armillary.engines.series.log.flush import write_latest, write_names, write_points
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.values.chunks import Points, SeriesKey, ValueKind
from armillary.engines.series.writer import Change, Writer
from armillary.wire.hub.telemetry import Value


@dataclass(frozen=True, slots=True)
class Restored:
    """A point of an export."""

    device: int  # Its number
    metric: str
    at_ms: int  # Time of measurement
    value: Value
    mark: int = 0  # Of its message's id; 0 for none


class Restoring:
    """Changes that import points; give each to the store's ``commits``."""

    def __init__(self, tail: Tail, writer: Writer) -> None:
        self._tail = tail
        self._writer = writer

    def devices(self, device_ids: Sequence[str]) -> Change:
        """The change that makes rows for devices where they are missing, and returns ``id -> number``."""

        def apply(connection: Connection) -> dict[str, int]:
            connection.executemany(
                "INSERT INTO device (device_id) VALUES (?) ON CONFLICT DO NOTHING", [(each,) for each in device_ids]
            )
            found = (
                connection.execute("SELECT device_id, number FROM device WHERE device_id = ?", (each,)).fetchone()
                for each in device_ids
            )
            return dict(found)

        return apply

    def points(self, rows: Sequence[Restored], now_ms: int) -> Change:
        """The change that imports points; those that exist count once.

        It fails with DiskReserveError when the disk is nearly full, with WireError for too many names of a device.
        """

        def apply(connection: Connection) -> None:
            self._writer.check_room()
            gathered: dict[int, dict[tuple[str, ValueKind], Points]] = {}
            for row in rows:
                points = gathered.setdefault(row.device, {}).setdefault(
                    (row.metric, _kind_of(row.value)), Points([], [])
                )
                if row.mark:
                    points.marks[len(points)] = row.mark  # type: ignore[index]  # a dict, made just now
                points.times.append(row.at_ms)
                points.values.append(row.value)  # type: ignore[arg-type]  # of one kind
            found: list[tuple[SeriesKey, Points]] = []
            names: dict[int, str] = {}
            for device, series in gathered.items():
                for place, key in self._tail.numbers_of(device, series).items():
                    found.append((key, _as_points(series[place], key.kind)))
                    names[key.metric] = place[0]
            found.sort(key=lambda each: each[0].number)
            write_names(connection, names, [key for key, _ in found])
            write_points(connection, found, now_ms)
            write_latest(connection, [(key, _latest(key.kind, points)) for key, points in found])

        return apply


def _kind_of(value: Value) -> ValueKind:
    """The kind of a value."""
    if isinstance(value, str):
        return ValueKind.TEXT
    return ValueKind.BOOLEAN if isinstance(value, bool) else ValueKind.NUMBER


def _as_points(points: Points, kind: ValueKind) -> Points:
    """Points with their values in the column type of their kind."""
    if kind is ValueKind.TEXT:
        return points
    return Points(points.times, array("d", points.values), points.marks)  # type: ignore[arg-type]  # numbers


def _latest(kind: ValueKind, points: Points) -> tuple[int, int, Value]:
    at = max(range(len(points)), key=lambda index: (points.times[index], index))
    value = points.values[at]
    return points.times[at], 0, bool(value) if kind is ValueKind.BOOLEAN else value
