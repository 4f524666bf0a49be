# SPDX-License-Identifier: Apache-2.0
"""The inbox of findings: how many of each kind wait for somebody, and acknowledging those of a kind together."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.findings import KindCount
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.watch.watch import checked_conditions

# Findings that are acknowledged in one transaction, so that check-ins wait no longer than this takes to write.
STEP: Final = 100


class Inbox:
    """Findings as people work through them: by kind. From any thread."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def kinds(
        self, *, status: str | None = "open", severity: str | None = None, catalog: str | None = None
    ) -> tuple[KindCount, ...]:
        """How many findings of each kind and severity there are; ``status`` as :meth:`Watch.list`.

        Raises:
            InvalidArgumentError: a status or severity that there is not.
            NotFoundError: an unknown catalog.
        """
        conditions = checked_conditions(status=status, severity=severity, kind=None)
        return self._context.records.read(lambda c: finding_rows.kinds(c, conditions | _of(c, catalog)))

    def acknowledge_kind(
        self, kind: str, *, up_to: int, severity: str | None = None, catalog: str | None = None, actor: str
    ) -> int:
        """Acknowledge the open findings of a kind; how many there were.

        ``up_to`` is the highest number of a finding that whoever asks has seen counted (:class:`KindCount`): what came
        after stays open. Each has its own audit line, in the commit that acknowledges it; a crash in between leaves the
        rest open.

        Raises:
            InvalidArgumentError: a kind or severity that there is not.
            NotFoundError: an unknown catalog.
        """
        conditions = checked_conditions(status="open", severity=severity, kind=kind)

        def step(connection: Connection) -> int:
            found = finding_rows.titles(connection, conditions | _of(connection, catalog), up_to=up_to, limit=STEP)
            for finding_id, title in found:
                finding_rows.set_status(connection, finding_id, "acknowledged")
                self._context.audit(connection, actor, "finding.acknowledged", str(finding_id), {"title": title})
            return len(found)

        done = 0
        while moved := self._context.records.write(step):
            done += moved
        return done


def _of(connection: Connection, catalog: str | None) -> dict[str, UUID]:
    return {} if catalog is None else {"catalog_id": catalog_or_raise(connection, catalog).catalog_id}
