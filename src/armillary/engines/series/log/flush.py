# SPDX-License-Identifier: Apache-2.0
"""Flushing: writes one generation of the tail into hot segments and latest values, with the log position it reaches.

It is one transaction, so that position and values always agree. Points are appended, a row for each hour and shard of
series; the sums of an hour and the latest values have keys, one for each series and not for each point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from armillary.engines.database.port import Connection
from armillary.engines.series.log.generation import Generation, Last
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.values.chunks import HOUR_MS, Points, SeriesKey, ValueKind
from armillary.engines.series.values.rollups import ALLOWED_LATENESS_MS, by_hour, hour_of
from armillary.engines.series.values.segments import encode_segment, shard_of

# A sum beyond it stays there: PostgreSQL refuses to add up to infinity, and no chart can draw it.
MAX_TOTAL = 1.797e308

_ADD_HOUR = f"""
INSERT INTO hot_hour (metric, hour_ms, series, count, low, high, total) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (metric, hour_ms, series) DO UPDATE SET
    count = hot_hour.count + excluded.count, low = min(hot_hour.low, excluded.low),
    high = max(hot_hour.high, excluded.high), total = CASE
        WHEN excluded.total > 0 AND hot_hour.total > {MAX_TOTAL} - excluded.total THEN {MAX_TOTAL}
        WHEN excluded.total < 0 AND hot_hour.total < -{MAX_TOTAL} - excluded.total THEN -{MAX_TOTAL}
        ELSE hot_hour.total + excluded.total END
"""  # noqa: S608 - a constant

_SET_LATEST = """
INSERT INTO latest (metric, device, at_ms, kind, value) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (metric, device) DO UPDATE SET at_ms = excluded.at_ms, kind = excluded.kind, value = excluded.value
WHERE excluded.at_ms >= latest.at_ms
"""

_ADD_FAULT = """
UPDATE device SET fault_count = fault_count + ?2, fault_ms = ?3, fault_reason = ?4 WHERE number = ?1
"""

# A name or a series may have been written by an import before the generation that made it.
_ADD_NAME = "INSERT INTO metric (number, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
_ADD_SERIES = "INSERT INTO series (number, device, metric, kind) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


def write_generation(connection: Connection, tail: Tail, generation: Generation, upto: int, now_ms: int) -> None:
    """Write a generation and the position ``upto`` that it reaches; the caller commits."""
    write_names(connection, {number: name for name, number in generation.names.items()}, generation.new)
    found = sorted(generation.series(), key=lambda each: each[0])
    write_points(connection, ((tail.index.key(number), points) for number, points in found), now_ms)
    write_latest(connection, ((tail.index.key(number), last) for number, last in generation.latest()))
    connection.executemany(
        _ADD_FAULT, [(device, each.count, each.at_ms, each.reason) for device, each in generation.faults.items()]
    )
    connection.execute("UPDATE progress SET value = ? WHERE name = 'flushed'", (upto,))


def write_names(connection: Connection, names: dict[int, str], keys: Iterable[SeriesKey]) -> None:
    """Write names of metrics and series that the database may not have yet."""
    connection.executemany(_ADD_NAME, list(names.items()))
    connection.executemany(_ADD_SERIES, [(key.number, key.device, key.metric, int(key.kind)) for key in keys])


def write_points(connection: Connection, found: Iterable[tuple[SeriesKey, Points]], now_ms: int) -> None:
    """Append points, ascending by series number, to the hot segments of their hours; counts late ones."""
    units: dict[tuple[int, int], list[tuple[int, ValueKind, Points]]] = {}
    hours: list[tuple[tuple[int, int, int], tuple[int, float | None, float | None, float | None]]] = []
    late, sealed_before = 0, now_ms - HOUR_MS - ALLOWED_LATENESS_MS
    times: Sequence[int] = ()
    only_hour: int | None = None
    for key, points in found:
        if points.times is not times:  # series of one table have theirs in common
            times = points.times
            only_hour = _only_hour(times)
        for hour_ms, part in by_hour(points) if only_hour is None else ((only_hour, points),):
            units.setdefault((hour_ms, shard_of(key.number)), []).append((key.number, key.kind, part))
            if hour_ms <= sealed_before:
                late += len(part)
            values = part.values
            sums = (None, None, None) if isinstance(values, list) else (min(values), max(values), sum(values))
            hours.append(((key.metric, hour_ms, key.number), (len(part), *sums)))
    if not units:
        return
    (last,) = connection.execute("SELECT value FROM progress WHERE name = 'segments'").fetchone()
    rows = [
        (hour_ms, shard, number, encode_segment(items))
        for number, ((hour_ms, shard), items) in enumerate(sorted(units.items()), last + 1)
    ]
    connection.executemany("INSERT INTO hot (hour_ms, shard, number, data) VALUES (?, ?, ?, ?)", rows)
    connection.executemany(_ADD_HOUR, [(*place, *sums) for place, sums in sorted(hours, key=lambda each: each[0])])
    connection.execute("UPDATE progress SET value = ? WHERE name = 'segments'", (last + len(rows),))
    if late:
        connection.execute("UPDATE progress SET value = value + ? WHERE name = 'late'", (late,))


def write_latest(connection: Connection, found: Iterable[tuple[SeriesKey, Last]]) -> None:
    """Update latest values: the newest time wins, and of equal times the one that came last."""
    rows = sorted((key.metric, key.device, last[0], last[1], int(key.kind), last[2]) for key, last in found)
    newest = {row[:2]: (*row[:3], *row[4:]) for row in rows}  # a name may have brought values of two kinds
    connection.executemany(_SET_LATEST, list(newest.values()))


def _only_hour(times: Sequence[int]) -> int | None:
    """The one hour of all these times, which is the usual case; None when there are several."""
    first = hour_of(min(times))
    return first if max(times) < first + HOUR_MS else None
