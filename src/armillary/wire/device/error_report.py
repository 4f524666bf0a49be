# SPDX-License-Identifier: Apache-2.0
"""Error reports: what went wrong on a device, in Azure Sphere's words (its "device insights").

::

    error-report = [
        sequence : uint, boot-count : uint,
        category : "Planned" / "Unplanned", class : "OS" / "App", type : tstr .size (1..64),
        description : tstr .size (0..1024),
        component-id : bstr .size 16 / null, image-id : bstr .size 16 / null,
        count : uint, start : uint, end : uint,         ; Unix seconds UTC, start <= end
        ? crash : crash                                 ; crash_record.py; in a check-in of version 6
    ]

``sequence`` counts reports since manufacture: the service drops what it has seen and the device keeps a report
until a check-in with it has succeeded. Descriptions keep Azure Sphere's literal forms where it has one
(public ErrorReporting tutorial), so that scripts which match them go on working.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.device.crash_record import CrashRecord, crash_fields, crash_from_fields
from armillary.wire.encoding.cbor_fields import (
    take_array,
    take_choice,
    take_optional_uuid,
    take_text,
    take_time,
    take_uint,
)

EVENT_CATEGORIES: Final = frozenset({"Planned", "Unplanned"})
EVENT_CLASSES: Final = frozenset({"OS", "App"})
# Event types in use; a newer device may send another word, so the wire limits only its size.
EVENT_TYPES: Final = (
    "AppCrash",
    "AppExit",
    "AppUpdate",
    "BootFailure",
    "CapabilityBlocked",
    "ConnectionBlocked",
    "DeviceAttestationFailure",
    "DeviceReboot",
    "InstallReverted",
    "ListenerBlocked",
    "ListenerFailed",
    "OSUpdate",
    "SandboxWeakened",
    "StorageFull",
)
MAX_TYPE_BYTES: Final = 64
MAX_DESCRIPTION_BYTES: Final = 1024
_EXIT: Final = re.compile(r"signal_status=(?P<signal>\d{1,3})\b|exit_code=(?P<exit_code>\d{1,3})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """One event, or ``count`` equal ones between ``start`` and ``end``."""

    sequence: int  # number since manufacture
    boot_count: int  # boot in which it happened
    event_category: str  # ``Planned`` or ``Unplanned``
    event_class: str  # ``OS`` or ``App``
    event_type: str  # such as ``AppCrash``; EVENT_TYPES has those in use
    description: str  # at most 1 KiB; in Azure Sphere's literal form where it has one
    component_id: UUID | None  # where it happened; None for no component
    image_id: UUID | None
    count: int  # at least 1
    start: int  # first time, Unix seconds UTC
    end: int  # last time
    crash: CrashRecord | None = None  # the first of the ``count``, where it was captured


def describe_exit(component_id: UUID, image_id: UUID, *, exit_status: int, signal: int, signal_code: int) -> str:
    """Azure Sphere's literal description of an application that ended or crashed."""
    return (
        f"AppCrash (exit_status={exit_status}; signal_status={signal}; signal_code={signal_code}; "
        f"component_id={component_id}; image_id={image_id})"
    )


def exit_of(description: str) -> tuple[int | None, int | None]:
    """Signal and exit code by the description of an application that crashed or exited; None where it has none."""
    found = _EXIT.search(description)
    if found is None:
        return None, None
    signal, exit_code = found["signal"], found["exit_code"]
    return None if signal is None else int(signal), None if exit_code is None else int(exit_code)


def report_fields(report: ErrorReport) -> list[Any]:
    """The CBOR array of a report."""
    fields = [
        report.sequence,
        report.boot_count,
        report.event_category,
        report.event_class,
        report.event_type,
        report.description,
        None if report.component_id is None else report.component_id.bytes,
        None if report.image_id is None else report.image_id.bytes,
        report.count,
        report.start,
        report.end,
    ]
    return fields if report.crash is None else [*fields, crash_fields(report.crash)]


def report_from_fields(value: Any) -> ErrorReport:
    """A report from its decoded CBOR array; raises WireError if it is not of the form above."""
    fields = take_array(value, "error report", limit=12)
    if len(fields) < 11:
        raise WireError("error report", expected="11 or 12 items", got=f"{len(fields)}")
    report = ErrorReport(
        sequence=take_uint(fields[0], "error report sequence", limit=2**53),
        boot_count=take_uint(fields[1], "error report boot count", limit=2**48),
        event_category=take_choice(fields[2], EVENT_CATEGORIES, "error report category"),
        event_class=take_choice(fields[3], EVENT_CLASSES, "error report class"),
        event_type=take_text(fields[4], "error report type", limit=MAX_TYPE_BYTES),
        description=take_text(fields[5], "error report description", limit=MAX_DESCRIPTION_BYTES),
        component_id=take_optional_uuid(fields[6], "error report component id"),
        image_id=take_optional_uuid(fields[7], "error report image id"),
        count=take_uint(fields[8], "error report count", limit=2**32),
        start=take_time(fields[9], "error report start"),
        end=take_time(fields[10], "error report end"),
        crash=crash_from_fields(fields[11]) if len(fields) == 12 else None,
    )
    if report.count < 1 or report.end < report.start or not report.event_type:
        raise WireError(
            "error report",
            expected="a type, a count of at least 1 and start <= end",
            got=f"type {report.event_type!r}, count {report.count}, start {report.start}, end {report.end}",
        )
    return report
