# SPDX-License-Identifier: Apache-2.0
"""The audit log: one hash-chained line per operation, written in the operation's own transaction."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.schema.rows import AuditLine, AuditVerification, Page
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after


class AuditLog:
    """Reads and verifies the log; operations append to it themselves."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, *, limit: int = 100, after: str | None = None) -> Page[AuditLine]:
        """Lines, newest first."""
        before = number_after(after)
        return self._context.records.read(lambda c: audit_rows.page(c, limit=bounded(limit), before=before))

    def verify(self) -> AuditVerification:
        """Verify the whole chain; keep the head elsewhere, since a chain cannot show that its end was cut off."""
        return self._context.records.read(audit_rows.verify)

    def append(self, actor: str, operation: str, target: str, detail: Mapping[str, object] | None = None) -> AuditLine:
        """Add the line of an operation that is not the service's own, e.g. a direct method called through the hub."""
        return self._context.records.write(
            lambda c: audit_rows.append(
                c, at=self._context.now(), actor=actor, operation=operation, target=target, detail=detail or {}
            )
        )
