# SPDX-License-Identifier: Apache-2.0
"""Findings of the kind ``clock``: a stage of a case is due soon, or over. Each is made once, and closed in time.

A finding is made in the transaction that looked whether it was made before, so that a crash makes none twice and loses
none: the next look finds the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.security import cases as case_rows
from armillary.engines.records.schema.security.case_rows import CaseRow
from armillary.regulation import case as rules
from armillary.regulation.case import CaseStanding
from armillary.service.context.context import Context
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

EVERY_S: Final = 60
_WORDS: Final = {rules.DUE_SOON: ("high", "is due soon"), rules.OVERDUE: ("critical", "is over")}
_STAGES: Final = {
    "24h": "the early warning (24 h)",
    "72h": "the notification (72 h)",
    "final": "the final report",
}


class ClockFindings:
    """Looks at the clocks of open cases, once a minute while there are any."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked_at: int | None = None

    def look(self) -> int:
        """Make the findings that are due; returns how many."""
        now = self._context.now()
        if self._looked_at is not None and 0 <= now - self._looked_at < EVERY_S:
            return 0
        self._looked_at = now
        return sum(self._context.records.write(partial(_make, row=row, now=now)) for row in self._due(now))

    def _due(self, now: int) -> list[CaseRow]:
        """Open cases of which a stage is due soon or over."""

        def query(connection: Connection) -> list[CaseRow]:
            rows = case_rows.open_cases(connection)
            entries = case_rows.entries(connection, [each.number for each in rows])
            return [
                each
                for each in rows
                if any(one.state in _WORDS for one in rules.standing(each.kind, entries[each.number], now).stages)
            ]

        return self._context.records.read(query)


def _make(connection: Connection, row: CaseRow, now: int) -> int:
    entries = case_rows.entries(connection, [row.number])[row.number]
    made = 0
    for stage in rules.standing(row.kind, entries, now).stages:
        if stage.state not in _WORDS:
            continue
        seen = _observation(row, stage.stage, stage.state, stage.due_at or 0, now)
        if finding_rows.gravest(connection, seen.fingerprint) is None:
            record(connection, seen, now)
            made += 1
        if stage.state == rules.OVERDUE:
            _close(connection, row, stage.stage, rules.DUE_SOON)
    return made


def close_findings(connection: Connection, row: CaseRow, standing: CaseStanding) -> None:
    """Close the findings of a case whose stage is not due any more: it was submitted, or the case closed."""
    for stage in standing.stages:
        if stage.state not in _WORDS and stage.state != rules.RUNNING:
            for state in _WORDS:
                _close(connection, row, stage.stage, state)


def _close(connection: Connection, row: CaseRow, stage: str, state: str) -> None:
    finding_rows.close_open(connection, _observation(row, stage, state, 0, 0).fingerprint)


def _observation(row: CaseRow, stage: str, state: str, due_at: int, now: int) -> Observation:
    severity, says = _WORDS[state]
    due = datetime.fromtimestamp(due_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Observation(
        kind="clock",
        key=("case", str(row.case_id), stage, state),
        severity=severity,
        title=f"Case {row.title[:100]!r}: {_STAGES[stage]} {says}",
        cause=f"It is due at {due}. No submission of this stage is recorded in case {row.case_id}.",
        proposed_action=f"Make the draft: armillary case draft {row.case_id} --stage {stage}; submit it to the "
        f"authority, then: armillary case submitted {row.case_id} --stage {stage} --reference REFERENCE.",
        at=now,
        catalog_id=row.catalog_id,
    )
