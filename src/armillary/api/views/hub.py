# SPDX-License-Identifier: Apache-2.0
"""The hub's data as JSON-able dicts, for the native routes and the console: telemetry, series, twins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.hub.devices.listeners import LiveValues
from armillary.twin.document.document import operator_view
from armillary.twin.template.value_names import as_fields

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform

Document = dict[str, Any]

# Points of a chart when the caller does not say: one per two pixels of a wide screen.
SERIES_POINTS = 500
MAX_SERIES_POINTS = 5000


def telemetry(hub: Hub, platform: Platform, device_id: str, since_ms: int = 0) -> Document:
    """The last value of each metric of a device: ``metric``, ``kind``, ``value``, ``at_ms``; and the connection.

    ``label`` says what the device's template calls the metric, and in which unit it is.

    Values of before ``since_ms`` are left out.

    A device that has sent nothing has an empty list.
    """
    kinds = {metric.name: metric.kind for metric in hub.series.metrics(device_id)}
    naming = platform.naming.of_devices((device_id,))
    items = [
        {
            "metric": last.metric,
            "kind": kinds.get(last.metric),
            "value": last.value,
            "at_ms": last.at_ms,
            "label": as_fields(naming.of(last.metric)),
        }
        for last in hub.series.last_values(device_id)
        if last.at_ms >= since_ms
    ]
    return {"items": items, "next": None, **connection(hub, device_id)}


def connection(hub: Hub, device_id: str) -> Document:
    """Whether a device is connected, and when the hub last heard of it."""
    return {"connected": device_id in hub.connected(), "last_seen_ms": hub.last_seen_ms(device_id)}


def series(
    hub: Hub, device_id: str, metric: str, *, start_ms: int, end_ms: int, max_points: int = SERIES_POINTS
) -> Document:
    """A metric over time: ``bucket_ms`` (0 = raw values) and ``points`` of [start_ms, count, low, high, mean]."""
    found = hub.series.query(device_id, metric, start_ms, end_ms, max_points)
    points = [[b.start_ms, b.count, b.low, b.high, b.mean] for b in found.buckets]
    return {"metric": metric, "start_ms": start_ms, "end_ms": end_ms, "bucket_ms": found.bucket_ms, "points": points}


def twin(hub: Hub, device_id: str) -> Document:
    """A device's twin in IoT Hub's shape."""
    return dict(operator_view(hub.twins.get(device_id)))


def live(values: LiveValues) -> Document:
    """Values as they arrive, for an event stream."""
    return {"device_id": values.device_id, "at_ms": values.at_ms, "values": dict(values.values)}
