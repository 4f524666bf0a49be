# SPDX-License-Identifier: Apache-2.0
"""Error reports: what went wrong on a device, in Azure Sphere's words (its "device insights").

::

    error-report = [
        sequence : uint, boot-count : uint,
        category : "Planned" / "Unplanned", class : "OS" / "App", type : tstr .size (1..64),
        description : tstr .size (0..1024),
        component-id : bstr .size 16 / null, image-id : bstr .size 16 / null,
        count : uint, start : uint, end : uint          ; Unix seconds UTC, start <= end
    ]

``sequence`` counts reports since manufacture: the service drops what it has seen and the device keeps a report
until a check-in with it has succeeded. Descriptions keep Azure Sphere's literal forms where it has one
(public ErrorReporting tutorial), so that scripts which match them go on working.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
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
    "ConnectionBlocked",
    "DeviceAttestationFailure",
    "DeviceReboot",
    "InstallReverted",
    "OSUpdate",
    "SandboxWeakened",
)
MAX_TYPE_BYTES: Final = 64
MAX_DESCRIPTION_BYTES: Final = 1024


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


def describe_exit(component_id: UUID, image_id: UUID, *, exit_status: int, signal: int, signal_code: int) -> str:
    """Azure Sphere's literal description of an application that ended or crashed."""
    return (
        f"AppCrash (exit_status={exit_status}; signal_status={signal}; signal_code={signal_code}; "
        f"component_id={component_id}; image_id={image_id})"
    )


def report_fields(report: ErrorReport) -> list[Any]:
    """The CBOR array of a report."""
    return [
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


def report_from_fields(value: Any) -> ErrorReport:
    """A report from its decoded CBOR array; raises WireError if it is not of the form above."""
    fields = take_array(value, "error report", limit=11, size=11)
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
    )
    if report.count < 1 or report.end < report.start or not report.event_type:
        raise WireError(
            "error report",
            expected="a type, a count of at least 1 and start <= end",
            got=f"type {report.event_type!r}, count {report.count}, start {report.start}, end {report.end}",
        )
    return report
