# SPDX-License-Identifier: Apache-2.0
"""Values over time as JSON-able dicts and files, for the native routes: raw, groups, export, import, retention."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from armillary.engines.series.export import csv_parts, parquet_parts, read_csv
from armillary.engines.series.restoring import Restored
from armillary.engines.series.retention import read_rules
from armillary.engines.series.values.query import MAX_POINTS, check_range
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.identity.operator import Operator

Document = dict[str, Any]


def raw(hub: Hub, device_id: str, metric: str, start_ms: int, end_ms: int, limit: int) -> Document:
    """A metric's values as sent: ``items`` of [time, value]; ``next_start_ms`` asks for the next page.

    A page ends with a whole millisecond, so that values of one moment are never torn apart; it may be longer for that.
    """
    found = hub.series.raw(device_id, metric, start_ms, end_ms, limit)
    following = None
    if len(found) == limit:
        last = found[-1][0]
        found = [each for each in found if each[0] < last]
        found += hub.series.raw(device_id, metric, last, last + 1, MAX_POINTS)
        following = last + 1 if last + 1 < end_ms else None
    return {"metric": metric, "items": [[at_ms, value] for at_ms, value in found], "next_start_ms": following}


def aggregate(
    hub: Hub, device_ids: Collection[str], metric: str, start_ms: int, end_ms: int, max_points: int
) -> Document:
    """A metric added up over devices: ``points`` of [start_ms, count, low, high, total, mean]."""
    found = hub.series.fleet.over_time(device_ids, metric, start_ms, end_ms, max_points)
    points = [[b.start_ms, b.count, b.low, b.high, b.total, b.mean] for b in found.buckets]
    return {
        "metric": metric,
        "devices": len(device_ids),
        "start_ms": start_ms,
        "end_ms": end_ms,
        "bucket_ms": found.bucket_ms,
        "points": points,
    }


def latest(hub: Hub, device_ids: Collection[str], metric: str, limit: int) -> Document:
    """The latest value of a metric of each device that has sent it."""
    found = hub.series.fleet.latest(device_ids, metric, limit)
    items = [{"device_id": device_id, "at_ms": at_ms, "value": value} for device_id, at_ms, value in found]
    return {"metric": metric, "devices": len(device_ids), "items": items}


def export(
    hub: Hub,
    device_ids: Collection[str],
    metrics: Collection[str] | None,
    start_ms: int,
    end_ms: int,
    kind: str,
    *,
    since: Mapping[str, int],
) -> Iterator[bytes]:
    """A file of values in parts; ``kind`` is ``csv`` or ``parquet``, ``since`` when some devices begin later.

    Raises:
        InvalidArgumentError: the range makes no sense.
        ParquetMissingError: pyarrow is not installed.
    """
    check_range(start_ms, end_ms, 1)
    write = csv_parts if kind == "csv" else parquet_parts
    series = (each for device_id in device_ids for each in hub.series.fleet.series((device_id,), metrics))
    return write(hub.series, series, start_ms, end_ms, since)


def restore(hub: Hub, actor: Operator, body: bytes, check: Callable[[str], None], now_ms: int) -> tuple[int, int]:
    """Put the points of a CSV file back; how many there were, and of how many devices.

    ``check`` raises for a device that does not exist; ``now_ms`` is Unix time, milliseconds.

    Raises:
        InvalidArgumentError: names the line; nothing was put back.
        NotFoundError: a device does not exist.
        DiskReserveError: the disk is nearly full.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"body: expected UTF-8, got byte {body[error.start]:#04x} at {error.start}", remedy="Give a CSV file."
        ) from None
    rows = list(read_csv(io.StringIO(text, newline="")))
    devices = sorted({row[0] for row in rows})
    for device_id in devices:
        check(device_id)
    numbers = hub.series.commits.commit(hub.series.restoring.devices(devices))
    points = [
        Restored(numbers[device_id], metric, at_ms, value, mark) for device_id, metric, at_ms, value, mark in rows
    ]
    hub.operations.import_points(actor, points, len(devices), now_ms)
    return len(points), len(devices)


def retention(hub: Hub) -> Document:
    """How long things are kept: ``default`` and ``rules``."""
    default = hub.series.retention
    return {
        "default": {
            "raw_days": default.values_days,
            "rollup_days": max(default.values_days, default.rollups_days),
            "message_days": default.messages_days,
        },
        "rules": [dataclasses.asdict(each) for each in hub.series.read(read_rules)],
    }
