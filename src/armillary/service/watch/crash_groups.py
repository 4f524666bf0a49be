# SPDX-License-Identifier: Apache-2.0
"""Crash groups: every application crash that devices report is counted in one, in the watch's own transaction.

A catalog sees its own groups alone. What a device says of an image counts for that image only where the service offered
it to the device; the crash itself is counted in any case. How many groups one device and one catalog can make is
bounded; what is beyond is counted in one group (``basis`` "rest").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.detect import crashes
from armillary.engines.records.crashes import groups as group_rows
from armillary.engines.records.crashes.groups import CrashGroupRow, CrashImageRow, NewGroup
from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema.rows import ErrorReportRow, Page
from armillary.errors import NotFoundError
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise
from armillary.service.watch.detections import CRASHES
from armillary.service.watch.symbols import Symbols
from armillary.wire.device.crash_record import CrashRecord, parse_crash
from armillary.wire.device.error_report import exit_of

# Groups in which one device counts: an honest device has as many bugs as its applications, so a few.
MAX_GROUPS_OF_DEVICE: Final = 64
# Groups of a catalog: a list that people can still go through, and 10 MB of rows.
MAX_GROUPS: Final = 5000
# Where crashes are counted that would have made another group.
REST: Final = "0" * 32
# Reports that are grouped anew in one transaction, so that check-ins wait no longer than this takes to write.
STEP: Final = 200


class CrashGroups:
    """Counts crashes, lists groups, and groups anew when symbols come."""

    def __init__(self, context: Context, symbols: Symbols) -> None:
        self._context = context
        self._symbols = symbols

    # -- for people -----------------------------------------------------------------------------------------------

    def list(
        self, catalog: str, *, image_id: UUID | None = None, limit: int = 50, after: str | None = None
    ) -> Page[CrashGroupRow]:
        """A catalog's groups, the newest first; with ``image_id`` those that were seen on an image."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: group_rows.page(
                c, catalog_or_raise(c, catalog).catalog_id, image_id=image_id, limit=bounded(limit), before=before
            )
        )

    def get(self, catalog: str, fingerprint: str) -> tuple[CrashGroupRow, tuple[CrashImageRow, ...]]:
        """A group and the images it was seen on; raises NotFoundError."""

        def query(connection: Connection) -> tuple[CrashGroupRow, tuple[CrashImageRow, ...]]:
            found = _group_or_raise(connection, catalog, fingerprint)
            return found, group_rows.images(connection, found.number)

        return self._context.records.read(query)

    def reports(
        self, catalog: str, fingerprint: str, *, limit: int = 50, after: str | None = None
    ) -> Page[ErrorReportRow]:
        """The error reports of a group, the newest first, as far as they are kept; raises NotFoundError."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: group_rows.reports(
                c, _group_or_raise(c, catalog, fingerprint).number, limit=bounded(limit), before=before
            )
        )

    # -- for the watch --------------------------------------------------------------------------------------------

    def note(self, connection: Connection, reports: Sequence[ErrorReportRow]) -> None:
        """Count the crashes among these error reports, in the caller's transaction."""
        for report in reports:
            if report.event_type in CRASHES and report.catalog_id is not None:
                self._note(connection, report, report.catalog_id)

    def _note(self, connection: Connection, report: ErrorReportRow, catalog_id: UUID) -> None:
        found = self._group_of(connection, report, catalog_id)
        group_rows.note(connection, found, report, image_id=_believed(connection, report, catalog_id))

    def _group_of(self, connection: Connection, report: ErrorReportRow, catalog_id: UUID) -> NewGroup:
        grouping = crashes.group(crash_of(report), report.component_id, self._symbols.resolver(connection, catalog_id))
        if group_rows.one(connection, catalog_id, grouping.fingerprint) is None and (
            group_rows.groups_of_device(connection, report.device_id) >= MAX_GROUPS_OF_DEVICE
            or group_rows.count_of(connection, catalog_id) >= MAX_GROUPS
        ):
            return _new(catalog_id, None, crashes.Grouping(REST, "rest", "beyond the limits", ()))
        return _new(catalog_id, report.component_id, grouping)

    # -- when symbols come ----------------------------------------------------------------------------------------

    def group_anew(self, catalog: str) -> int:
        """Group the kept reports of groups without symbols again; returns how many have another group now.

        What is kept no longer stays counted where it was.
        """
        catalog_id, numbers = self._context.records.read(lambda c: _without_symbols(c, catalog))
        moved = 0
        for number in numbers:
            before: int | None = None
            while True:
                changed, before = self._context.records.write(partial(self._step, catalog_id, number, before))
                moved += changed
                if before is None:
                    break
        return moved

    def _step(
        self, catalog_id: UUID, number: int, before: int | None, connection: Connection
    ) -> tuple[int, int | None]:
        page = group_rows.reports(connection, number, limit=STEP, before=before)
        moved = 0
        for report in page.items:
            if report.crash is None:  # captured, and not kept: it cannot be told where it belongs
                continue
            found = self._group_of(connection, report, catalog_id)
            if found.basis == "function":
                group_rows.take_out(connection, report, number, image_id=_believed(connection, report, catalog_id))
                self._note(connection, report, catalog_id)
                moved += 1
        return moved, None if page.next_cursor is None else int(page.next_cursor)


def crash_of(report: ErrorReportRow) -> CrashRecord:
    """What was captured of a crash, or of its description where a device captured nothing."""
    if report.crash is not None:
        return parse_crash(report.crash)
    signal, exit_code = exit_of(report.description)
    return CrashRecord(signal=signal, exit_code=exit_code if signal is None else None)


def no_such_group(fingerprint: str) -> NotFoundError:
    """The error for a group that does not exist, or is another catalog's."""
    return NotFoundError(f"crash group {fingerprint:.40} does not exist", remedy="List them: armillary crash list.")


def _new(catalog_id: UUID, component_id: UUID | None, grouping: crashes.Grouping) -> NewGroup:
    return NewGroup(
        catalog_id=catalog_id,
        fingerprint=grouping.fingerprint,
        grouping_version=crashes.GROUPING_VERSION,
        basis=grouping.basis,
        cause=grouping.cause,
        places=grouping.places,
        component_id=component_id,
    )


def _believed(connection: Connection, report: ErrorReportRow, catalog_id: UUID) -> UUID | None:
    image_id = report.image_id
    if image_id is None:
        return None
    was_offered = report_rows.image_was_offered(connection, report.device_id, catalog_id, image_id)
    return image_id if was_offered else None


def _group_or_raise(connection: Connection, catalog: str, fingerprint: str) -> CrashGroupRow:
    found = group_rows.one(connection, catalog_or_raise(connection, catalog).catalog_id, fingerprint.lower())
    if found is None:
        raise no_such_group(fingerprint)
    return found


def _without_symbols(connection: Connection, catalog: str) -> tuple[UUID, Sequence[int]]:
    catalog_id = catalog_or_raise(connection, catalog).catalog_id
    return catalog_id, group_rows.without_symbols(connection, catalog_id)
