# SPDX-License-Identifier: Apache-2.0
"""The queue of error reports for the service: bounded, on flash, each delivered exactly once.

Exactly once: every report has a sequence number that is never used again. Before a report is sent it is
*sealed* on flash (its count may not change any more); it is dropped only when the service has answered. If the
answer is lost it is sent again with the same number and the same content, and the service drops the double.

Equal reports are counted together until they are sealed. When the queue is full, further reports are counted
in one last report of type ``ReportsLost``: a queue that overflowed says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import WireError
from armillary.wire.device.checkin import MAX_ERROR_REPORTS
from armillary.wire.device.error_report import MAX_DESCRIPTION_BYTES, ErrorReport, report_fields, report_from_fields
from armillary.wire.encoding import cbor
from armillary.wire.encoding.clip import clip_text

MAX_QUEUED = 128  # four full check-ins; with reports of 1 KiB the region stays under 160 KiB
_MAX_REGION_BYTES = 256 * 1024
_REGION = "device/reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happened, before it has a number: the fields of an error report that its reporter knows."""

    event_type: str
    description: str
    event_class: str = "App"
    event_category: str = "Unplanned"
    component_id: UUID | None = None
    image_id: UUID | None = None
    count: int = 1


class ReportQueue:
    """Error reports on flash; ``now`` gives Unix seconds."""

    def __init__(self, flash: Flash, now: Callable[[], int], boot_count: int) -> None:
        self._flash = flash
        self._now = now
        self._boot_count = boot_count
        self._next, self._sealed, reports = _load(flash)
        self._reports: list[ErrorReport] = list(reports)
        self._dirty = False

    def __len__(self) -> int:
        return len(self._reports)

    @property
    def unsaved(self) -> bool:
        """Whether :meth:`flush` has something to do."""
        return self._dirty

    def add(self, incident: Incident) -> ErrorReport:
        """Queue an incident, or count it with an equal one. Durable after :meth:`flush`."""
        now = self._now()
        description = clip_text(incident.description, MAX_DESCRIPTION_BYTES)
        event_type = incident.event_type
        component_id, image_id = incident.component_id, incident.image_id
        found = self._find(event_type, description, component_id, image_id)
        if found is None and len(self._reports) >= MAX_QUEUED - 1:
            event_type, description = (
                "ReportsLost",
                "The queue was full; further error reports are only counted",
            )
            component_id = image_id = None
            found = self._find(event_type, description, None, None)
        self._dirty = True
        if found is not None:
            old = self._reports[found]
            self._reports[found] = replace(old, count=old.count + incident.count, end=max(old.end, now))
            return self._reports[found]
        report = ErrorReport(
            sequence=self._next,
            boot_count=self._boot_count,
            event_category=incident.event_category,
            event_class="OS" if event_type == "ReportsLost" else incident.event_class,
            event_type=event_type,
            description=description,
            component_id=component_id,
            image_id=image_id,
            count=incident.count,
            start=now,
            end=now,
        )
        self._next += 1
        self._reports.append(report)
        return report

    def flush(self) -> None:
        """Make the queue durable, if it changed."""
        if self._dirty:
            self._store()

    def seal(self) -> tuple[ErrorReport, ...]:
        """The oldest reports, for one check-in; durable and unchanged from here on."""
        batch = tuple(self._reports[:MAX_ERROR_REPORTS])
        if batch and batch[-1].sequence > self._sealed:
            self._sealed = batch[-1].sequence
            self._dirty = True
        self.flush()
        return batch

    def acknowledge(self, sent: Iterable[ErrorReport]) -> None:
        """Drop reports that the service has received, durably."""
        numbers = {report.sequence for report in sent}
        if numbers:
            self._reports = [report for report in self._reports if report.sequence not in numbers]
            self._store()

    def _find(self, event_type: str, description: str, component_id: UUID | None, image_id: UUID | None) -> int | None:
        for index, report in enumerate(self._reports):
            if (
                report.sequence > self._sealed
                and report.boot_count == self._boot_count
                and (
                    report.event_type,
                    report.description,
                    report.component_id,
                    report.image_id,
                )
                == (event_type, description, component_id, image_id)
            ):
                return index
        return None

    def _store(self) -> None:
        value = {1: self._next, 2: self._sealed, 3: [report_fields(report) for report in self._reports]}
        replace_region(self._flash, _REGION, cbor.encode(value))
        self._dirty = False


def _load(flash: Flash) -> tuple[int, int, tuple[ErrorReport, ...]]:
    """Next sequence number, last sealed one, reports.

    WireError if the region is damaged: it is replaced atomically, so only failing flash does that.
    """
    data = flash.read(_REGION)
    if data is None:
        return 1, 0, ()
    value: Any = cbor.decode(data, what="error report queue", limit=_MAX_REGION_BYTES)
    try:
        return int(value[1]), int(value[2]), tuple(report_from_fields(item) for item in value[3])
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("error report queue", expected="the fields of version 1", got=repr(error)) from error
