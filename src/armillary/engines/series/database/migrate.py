# SPDX-License-Identifier: Apache-2.0
"""Brings a database of version 1 to version 2, in place and in one transaction.

Version 1 kept the points of an hour as ``time, value, ...`` in 16 bytes a point, grown in place. They become hot
segments, which is a copy; the passes that seal hours compress them afterwards while the service runs. Its sums of an
hour become those of hot, its latest values stay.
"""

from __future__ import annotations

import struct
from itertools import groupby
from typing import Final

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import transaction
from armillary.engines.series.values.chunks import Points, ValueKind
from armillary.engines.series.values.columns import from_little
from armillary.engines.series.values.segments import SERIES_PER_SHARD, encode_segment

_TEXT_HEAD = struct.Struct("<dI")

# Tables of version 1 that version 2 makes anew. device, block, twin stay as they are.
_REMADE: Final = ("series", "hour", "chunk", "latest", "progress")
_KEPT: Final = ("device", "block", "twin")


def from_version_1(connection: Connection, schema: str) -> None:
    """Migrate; ``schema`` makes every table of version 2. Nothing is changed when it fails.

    Raises:
        Exception: what the driver raises: the disk refuses, or the file is damaged.
    """
    with transaction(connection, "BEGIN EXCLUSIVE"):
        for table in _REMADE:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        for statement in schema.split(";\n"):
            made = statement.partition("CREATE TABLE ")[2].partition(" ")[0]
            if statement.strip() and made not in _KEPT:
                connection.execute(statement)
        _copy(connection)
        for table in _REMADE:
            connection.execute(f"DROP TABLE old_{table}")
        connection.execute("PRAGMA user_version=2")


def _copy(connection: Connection) -> None:
    connection.execute("INSERT INTO metric (name) SELECT DISTINCT metric FROM old_series ORDER BY metric")
    connection.execute(
        "INSERT INTO series (number, device, metric, kind) SELECT old_series.number, device, metric.number, kind"
        " FROM old_series JOIN metric ON metric.name = old_series.metric"
    )
    connection.execute(
        "INSERT INTO hot_hour (metric, hour_ms, series, count, low, high, total)"
        " SELECT series.metric, hour_ms, series, count, low, high, total"
        " FROM old_hour JOIN series ON series.number = old_hour.series"
    )
    # Of two kinds under one name, the later value is the latest.
    connection.execute(
        "INSERT OR REPLACE INTO latest (metric, device, at_ms, kind, value)"
        " SELECT series.metric, series.device, at_ms, series.kind, value FROM old_latest"
        " JOIN series ON series.number = old_latest.series ORDER BY at_ms, series.kind"
    )
    connection.execute(
        "UPDATE progress SET value = (SELECT value FROM old_progress WHERE name = 'sealed') WHERE name = 'flushed'"
    )
    kinds = dict(connection.execute("SELECT number, kind FROM series"))
    # A second connection's worth of reading in the same transaction: rows come ordered by hour and series.
    rows = connection.execute("SELECT hour_ms, series, data FROM old_chunk ORDER BY hour_ms, series")
    number = 0
    for (hour_ms, shard), unit in groupby(rows, key=lambda row: (row[0], row[1] // SERIES_PER_SHARD)):
        number += 1
        items = [
            (series, ValueKind(kinds[series]), _points(ValueKind(kinds[series]), data)) for _, series, data in unit
        ]
        connection.execute(
            "INSERT INTO hot (hour_ms, shard, number, data) VALUES (?, ?, ?, ?)",
            (hour_ms, shard, number, encode_segment(items)),
        )
    connection.execute("UPDATE progress SET value = ? WHERE name = 'segments'", (number,))


def _points(kind: ValueKind, data: bytes) -> Points:
    if kind is not ValueKind.TEXT:
        numbers = from_little("d", data)
        return Points(list(map(int, numbers[::2])), numbers[1::2])
    times: list[int] = []
    texts: list[str] = []
    at = 0
    while at < len(data):
        at_ms, length = _TEXT_HEAD.unpack_from(data, at)
        at += _TEXT_HEAD.size
        times.append(int(at_ms))
        texts.append(data[at : at + length].decode("utf-8"))
        at += length
    return Points(times, texts)
