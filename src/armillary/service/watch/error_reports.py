# SPDX-License-Identifier: Apache-2.0
"""Error reports as operators read them. The device endpoint writes them, once each, with the check-in they came in."""

from __future__ import annotations

from sqlalchemy import Connection

from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.schema.rows import ErrorReportRow, Page
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise


class ErrorReports:
    """Reads error reports."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(
        self,
        *,
        catalog: str | None = None,
        device_id: str | None = None,
        event_type: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[ErrorReportRow]:
        """Error reports, newest first."""
        before = number_after(after)

        def query(connection: Connection) -> Page[ErrorReportRow]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return report_rows.error_reports(
                connection,
                catalog_id=owner,
                device_id=device_id,
                event_type=event_type,
                limit=bounded(limit),
                before=before,
            )

        return self._context.records.read(query)
