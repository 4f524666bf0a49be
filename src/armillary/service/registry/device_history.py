# SPDX-License-Identifier: Apache-2.0
"""What devices reported and asked for: check-ins, refused requests, update outcomes, error reports."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import check_ins as check_in_rows, reports as report_rows
from armillary.engines.records.schema.rows import CheckIn, ErrorReportRow, Page, Refusal, UpdateOutcome
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise
from armillary.service.registry.outcome_names import updated


class DeviceHistory:
    """Pages of what devices reported and were refused, newest first."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def check_ins(self, device_id: str, *, limit: int = 50, after: str | None = None) -> Page[CheckIn]:
        """A device's accepted check-ins, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: check_in_rows.list_of_device(c, device_id.lower(), limit=bounded(limit), before=before)
        )

    def refusals(self, *, device_id: str | None = None, limit: int = 50, after: str | None = None) -> Page[Refusal]:
        """Refused requests, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: report_rows.refusals(c, device_id=device_id, limit=bounded(limit), before=before)
        )

    def outcomes(
        self,
        *,
        device_id: str | None = None,
        deployment_id: UUID | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[UpdateOutcome]:
        """Reported update outcomes, newest first."""
        before = number_after(after)
        return self._context.records.read(
            lambda c: report_rows.outcomes(
                c, device_id=device_id, deployment_id=deployment_id, limit=bounded(limit), before=before
            )
        )

    def names_of(self, outcomes: Sequence[UpdateOutcome], *, catalog: str | None) -> list[str]:
        """What each outcome is about, in their order: ``gateway 2.1``, ``OS 26.12``, "" where it is not known.

        ``catalog`` has the images, None for a reader who sees none; NotFoundError if there is no such catalog.
        """

        def query(connection: Connection) -> list[str]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return [each.name for each in updated(connection, catalog_id, outcomes)]

        return self._context.records.read(query)

    def error_reports(
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
        return self._context.records.read(
            lambda c: report_rows.error_reports(
                c,
                catalog_id=None if catalog is None else catalog_or_raise(c, catalog).catalog_id,
                device_id=device_id,
                event_type=event_type,
                limit=bounded(limit),
                before=before,
            )
        )
