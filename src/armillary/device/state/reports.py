# SPDX-License-Identifier: Apache-2.0
"""The queue of error reports for the service: bounded, on flash, each delivered exactly once.

Exactly once: every report has a sequence number that is never used again. Before a report is sent it is
*sealed* on flash (its count may not change any more); it is dropped only when the service has answered. If the
answer is lost it is sent again with the same number and the same content, and the service drops the double.

Equal reports are counted together until they are sealed. Of more than some of one kind (``report_limit.py``) the rest
is held back, durably, and counted in the next that may go. When the queue is full, further reports are counted in one
last report of type ``ReportsLost``: a queue that overflowed says so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from armillary.device.state.report_limit import ReportLimit
from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import DataFolderError, WireError
from armillary.wire.device import crash_record
from armillary.wire.device.checkin import MAX_ERROR_REPORTS
from armillary.wire.device.crash_record import CrashRecord, crash_fields, crash_from_fields
from armillary.wire.device.error_report import MAX_DESCRIPTION_BYTES, ErrorReport, report_fields, report_from_fields
from armillary.wire.encoding import cbor
from armillary.wire.encoding.clip import clip_text

MAX_QUEUED = 128  # four full check-ins
# What the captured crashes of the queue may take together: later ones are reported without.
MAX_CRASH_BYTES = 64 * 1024
MAX_HELD = 32  # kinds of reports that are held back; with all at their limits the region stays under 256 KiB
_MAX_REGION_BYTES = 256 * 1024
_REGION = "device/reports"
LOST = "ReportsLost"
FAULT = "MachineFault"  # type of a report of what a start found wrong with the machine itself


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
    crash: CrashRecord | None = None


class ReportQueue:
    """Error reports on flash; ``now`` gives Unix seconds.

    A queue that is damaged, or that the flash does not give, begins anew and says so: no report is worth a device that
    does not start. Its numbers go on from ``now``, which is more reports than a device makes.
    """

    def __init__(self, flash: Flash, now: Callable[[], int], boot_count: int) -> None:
        self._flash = flash
        self._now = now
        self._boot_count = boot_count
        self._limit = ReportLimit()
        self._reports: list[ErrorReport] = []
        self._held: list[ErrorReport] = []  # without a number yet
        self._dirty = False
        try:
            self._next, self._sealed, reports, held = _load(flash)
        except (WireError, DataFolderError) as error:
            self._next, self._sealed = max(1, now()), 0
            self.add(_lost(f"The queue was lost; what waited in it is not known: {error.message}"))
        else:
            self._reports += reports
            self._held += held

    def __len__(self) -> int:
        return len(self._reports)

    @property
    def waiting(self) -> tuple[ErrorReport, ...]:
        """The queued reports, oldest first, without those that are held back."""
        return tuple(self._reports)

    @property
    def has_errors(self) -> bool:
        """Whether something was not planned."""
        return any(one.event_category == "Unplanned" for one in self._reports)

    @property
    def unsaved(self) -> bool:
        """Whether :meth:`flush` has something to do."""
        return self._dirty

    def add(self, incident: Incident) -> ErrorReport:
        """Queue an incident, or count it with an equal one. Durable after :meth:`flush`.

        Returns the report that counts it; one that is held back has the number 0.
        """
        now = self._now()
        self._dirty = True
        report = ErrorReport(
            sequence=0,
            boot_count=self._boot_count,
            event_category=incident.event_category,
            event_class=incident.event_class,
            event_type=incident.event_type,
            description=clip_text(incident.description, MAX_DESCRIPTION_BYTES),
            component_id=incident.component_id,
            image_id=incident.image_id,
            count=incident.count,
            start=now,
            end=now,
            crash=incident.crash,
        )
        counted = self._count_up(self._open(), report) or self._count_up(self._held, report)
        if counted is not None:
            return counted
        if self._limit.take(_kind(report), now):
            return self._append(report)
        if len(self._held) >= MAX_HELD:
            return self._append(_overflowed(report))
        self._held.append(report)
        return report

    def _open(self) -> list[ErrorReport]:
        """Reports of this boot that are not sealed."""
        return [one for one in self._reports if one.sequence > self._sealed]

    def _count_up(self, known: list[ErrorReport], report: ErrorReport) -> ErrorReport | None:
        """Count a report with an equal one of the known, if there is one."""
        kind = _kind(report)
        found = next((one for one in known if _kind(one) == kind), None)
        if found is None:
            return None
        counted = replace(found, count=found.count + report.count, end=max(found.end, report.end))
        where = self._held if found.sequence == 0 else self._reports
        where[where.index(found)] = counted
        return counted

    def _append(self, report: ErrorReport) -> ErrorReport:
        """Give a report its number, or count it as lost where the queue is full."""
        if len(self._reports) >= MAX_QUEUED - 1:
            report = _overflowed(report)
            if (counted := self._count_up(self._open(), report)) is not None:
                return counted
        if report.crash is not None and self._crash_bytes() > MAX_CRASH_BYTES - crash_record.MAX_CRASH_BYTES:
            report = replace(report, crash=None)
        self._reports.append(replace(report, sequence=self._next))
        self._next += 1
        return self._reports[-1]

    def _crash_bytes(self) -> int:
        return sum(len(crash_record.encode_crash(one.crash)) for one in self._reports if one.crash is not None)

    def _release(self) -> None:
        """Queue what was held back and may go now."""
        now = self._now() if self._held else 0
        for one in tuple(self._held):
            if self._limit.take(_kind(one), now):
                self._held.remove(one)
                self._append(one)
                self._dirty = True

    def flush(self) -> None:
        """Make the queue durable, if it changed."""
        if self._dirty:
            self._store()

    def seal(self) -> tuple[ErrorReport, ...]:
        """The oldest reports, for one check-in; durable and unchanged from here on."""
        self._release()
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

    def _store(self) -> None:
        # Crashes stand apart: a device that goes back to what it ran before still reads its queue.
        value = {
            1: self._next,
            2: self._sealed,
            3: [report_fields(replace(report, crash=None)) for report in self._reports],
            4: [report_fields(replace(report, crash=None)) for report in self._held],
            5: [[one.sequence, crash_fields(one.crash)] for one in self._reports if one.crash is not None],
        }
        replace_region(self._flash, _REGION, cbor.encode(value))
        self._dirty = False


def _kind(report: ErrorReport) -> Hashable:
    """What makes reports of one boot equal: everything but how often and when, and registers."""
    crash = report.crash
    place = None if crash is None else (crash.signal, crash.exit_code, crash.cause, crash.frames)
    ids = (report.component_id, report.image_id, report.boot_count)
    return report.event_type, report.description, *ids, place


def _lost(description: str) -> Incident:
    return Incident(event_type=LOST, event_class="OS", description=description)


def _overflowed(report: ErrorReport) -> ErrorReport:
    return replace(
        report,
        event_class="OS",
        event_category="Unplanned",
        event_type=LOST,
        description="The queue was full; further error reports are only counted",
        component_id=None,
        image_id=None,
        crash=None,
    )


def _load(flash: Flash) -> tuple[int, int, tuple[ErrorReport, ...], tuple[ErrorReport, ...]]:
    """Next sequence number, last sealed one, reports, and what is held back.

    WireError if the region is damaged: it is replaced atomically, so only failing flash does that.
    """
    data = flash.read(_REGION)
    if data is None:
        return 1, 0, (), ()
    value: Any = cbor.decode(data, what="error report queue", limit=_MAX_REGION_BYTES)
    try:
        crashes = {int(sequence): crash_from_fields(fields) for sequence, fields in value.get(5, ())}
        reports = tuple(report_from_fields(item) for item in value[3])
        return (
            int(value[1]),
            int(value[2]),
            tuple(replace(one, crash=crashes.get(one.sequence)) for one in reports),
            tuple(report_from_fields(item) for item in value.get(4, ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WireError("error report queue", expected="the fields of version 1", got=repr(error)) from error
