# SPDX-License-Identifier: Apache-2.0
"""The audit log: one hash-chained line per operation, written in the operation's own transaction.

Lines of operations that change other databases are committed there first (``engines/database/outbox.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from armillary.engines.database.outbox import AuditEntry, AuditOutboxes
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.queries.audit import AuditFilter
from armillary.engines.records.schema.rows import AuditLine, AuditVerification, Page
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after


class AuditLog:
    """Reads and verifies the log; operations append to it themselves.

    Attributes:
        outboxes: Where stores outside of the records keep the entries of their changes.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.outboxes = AuditOutboxes(self._append, context.now)

    def list(
        self,
        *,
        limit: int = 100,
        after: str | None = None,
        target: str | None = None,
        wanted: AuditFilter = audit_rows.EVERY_LINE,
        rising: bool = False,
    ) -> Page[AuditLine]:
        """Lines, newest first, or with ``rising`` oldest first; those of a target only.

        What waits in outboxes is moved first.
        """
        self.outboxes.drain()
        before = number_after(after)
        chosen = wanted if target is None else replace(wanted, target=target)
        return self._context.records.read(
            lambda c: audit_rows.page(c, limit=bounded(limit), before=before, wanted=chosen, rising=rising)
        )

    def about(self, targets: Sequence[str], *, limit: int) -> tuple[AuditLine, ...]:
        """The newest lines about any of some targets, newest first; ``limit`` at most."""
        self.outboxes.drain()
        return self._context.records.read(lambda c: audit_rows.of_targets(c, targets, limit=limit))

    def verify(self) -> AuditVerification:
        """Verify the whole chain, its tree, and that both give every checkpoint that was signed."""
        return self._context.records.read(audit_rows.verify)

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        self._context.records.write(lambda c: audit_rows.append(c, *entries))
