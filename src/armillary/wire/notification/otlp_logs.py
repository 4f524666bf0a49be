# SPDX-License-Identifier: Apache-2.0
"""Events as log records of OpenTelemetry: an ``ExportLogsServiceRequest`` in OTLP's JSON encoding (OTLP 1.x §JSON).

Names are lowerCamelCase, 64-bit integers are strings, enumerations are numbers. What a collector answers is read by
:func:`rejected_of`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from armillary.errors import WireError
from armillary.wire.notification import event as notification
from armillary.wire.notification.event import Event, legible, one_line

PATH: Final = "/v1/logs"  # default of OTLP over HTTP
CONTENT_TYPE: Final = "application/json"
# Severity -> SeverityNumber (logs data model): INFO, INFO2, WARN, ERROR, FATAL.
SEVERITY: Final = {"info": 9, "low": 10, "medium": 13, "high": 17, "critical": 21}
_NS: Final = 1_000_000_000


class Record(NamedTuple):
    """One event with what a channel knows of it."""

    event: Event
    sequence: int  # within the channel
    catalog: str | None


def request(records: Iterable[Record], *, host: str, version: str) -> bytes:
    """The body of one request."""
    resource = {"service.name": "armillary", "service.version": version, "service.instance.id": host}
    scope = {"name": "armillary.notifications", "version": version}
    logs = [_log_record(each) for each in records]
    document = {
        "resourceLogs": [
            {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [{"scope": scope, "logRecords": logs}]}
        ]
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def rejected_of(body: bytes) -> int:
    """How many log records an ``ExportLogsServiceResponse`` says were not taken.

    Raises:
        WireError: it is no such response.
    """
    try:
        document = json.loads(body or b"{}")
        rejected = int((document.get("partialSuccess") or {}).get("rejectedLogRecords") or 0)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WireError("otlp-response", expected="an ExportLogsServiceResponse", got=type(error).__name__) from error
    return max(0, rejected)


def _log_record(record: Record) -> dict[str, Any]:
    event, nanoseconds = record.event, str(record.event.at * _NS)
    attributes: dict[str, object] = {
        "armillary.event.id": str(event.event_id),
        "armillary.event.sequence": record.sequence,
        "armillary.subject": one_line(event.subject),
        "armillary.severity": event.severity,
    }
    if record.catalog is not None:
        attributes["armillary.catalog"] = one_line(record.catalog)
    if event.topic == "finding":
        attributes["armillary.finding.kind"] = str(event.data.get("kind", ""))
        attributes["armillary.finding.devices"] = int(event.data.get("device_count", 0))
    attributes["armillary.event"] = json.dumps(notification.to_json(event), separators=(",", ":"))
    return {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": SEVERITY[event.severity],
        "severityText": event.severity.upper(),
        "eventName": f"armillary.{event.kind}",
        "body": {"stringValue": legible(f"{event.title}\n\n{event.text}")},
        "attributes": _attributes(attributes),
    }


def _attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in values.items()
    ]
