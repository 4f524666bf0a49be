# SPDX-License-Identifier: Apache-2.0
"""Findings about reports of vulnerabilities: one came; its writer must hear something soon, or waits too long.

They name the report by its reference and hold nothing that a stranger wrote: what a finding says goes into e-mails,
webhooks and logs. Each is made once, in the transaction that looked whether it was made before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.security import disclosure as rows
from armillary.engines.records.schema.security.disclosure_rows import ReportRow
from armillary.regulation.vulnerability_report import ACKNOWLEDGE, DAY_S, DUE_SOON, OVERDUE, RUNNING, Due, due
from armillary.service.context.context import Context
from armillary.service.disclosure.policies import Policies, Policy
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

EVERY_S: Final = 60
# The operator's own signed file must be signed anew before it expires.
FILE_WARN_S: Final = 30 * DAY_S
_SEVERITY: Final = {DUE_SOON: "medium", OVERDUE: "high"}


class DueFindings:
    """Looks once a minute at reports that are not closed, and at the file that the operator has signed."""

    def __init__(self, context: Context, policies: Policies) -> None:
        self._context = context
        self._policies = policies
        self._looked_at: int | None = None

    def look(self) -> int:
        """Make the findings that are due; returns how many."""
        now, policy = self._context.now(), self._policies.current or Policy()
        if self._looked_at is not None and 0 <= now - self._looked_at < EVERY_S:
            return 0
        self._looked_at = now
        wanted = self._context.records.read(partial(_wanted, policy=policy, now=now))
        return self._context.records.write(partial(_make, wanted=wanted, now=now)) if wanted else 0


def _wanted(connection: Connection, policy: Policy, now: int) -> list[Observation]:
    """What is to be said and was not yet."""
    until = policy.signed_until
    found = [] if until is None or until - now > FILE_WARN_S else [_of_file(until, now)]
    for row in rows.open_reports(connection):
        standing = _due(row, policy, now)
        if standing is not None and standing.state != RUNNING:
            found.append(_of_due(row, standing, now))
    return [each for each in found if finding_rows.gravest(connection, each.fingerprint) is None]


def _make(connection: Connection, wanted: list[Observation], now: int) -> int:
    made = 0
    for seen in wanted:
        if finding_rows.gravest(connection, seen.fingerprint) is None:
            record(connection, seen, now)
            made += 1
    return made


def received(connection: Connection, row: ReportRow, *, is_exploited: bool) -> None:
    """Say that a report came."""
    record(connection, _of_receipt(row, is_exploited=is_exploited), row.received_at)


def close_findings(connection: Connection, row: ReportRow, policy: Policy, now: int) -> None:
    """Close what was said of a report as it was before somebody did something about it."""
    finding_rows.close_open(connection, _of_receipt(row, is_exploited=False).fingerprint)
    close_due(connection, row, policy, now)


def close_due(connection: Connection, row: ReportRow, policy: Policy, now: int) -> None:
    """Close what was said of how long the writer of a report waits."""
    standing = _due(row, policy, now)
    if standing is not None:
        for state in _SEVERITY:
            seen = _of_due(row, Due(standing.action, standing.due_at, state), now)
            finding_rows.close_open(connection, seen.fingerprint)


def _due(row: ReportRow, policy: Policy, now: int) -> Due | None:
    return due(row.state, received_at=row.received_at, told_at=row.told_at, promise=policy.promise, now=now)


def _of_receipt(row: ReportRow, *, is_exploited: bool) -> Observation:
    says = "; it is said to be exploited" if is_exploited else ""
    return Observation(
        kind="vulnerability-reported",
        key=(row.reference,),
        severity="critical" if is_exploited else "high",
        title=f"Somebody reported a vulnerability: {row.reference}",
        cause=f"The report {row.reference} came at {_moment(row.received_at)}{says}.",
        proposed_action=f"Read it: armillary vulnerability-report show {row.reference}; then acknowledge it. If you "
        "know now of a vulnerability that is exploited: armillary case aware.",
        at=row.received_at,
    )


def _of_due(row: ReportRow, standing: Due, now: int) -> Observation:
    what = "acknowledged" if standing.action == ACKNOWLEDGE else "answered"
    when = "is to be {} by {}" if standing.state == DUE_SOON else "was to be {} by {}"
    verb = "acknowledge" if standing.action == ACKNOWLEDGE else "update"
    return Observation(
        kind="clock",
        key=("vulnerability-report", row.reference, standing.action, str(row.told_at), standing.state),
        severity=_SEVERITY[standing.state],
        title=f"The vulnerability report {row.reference} {when.format(what, _moment(standing.due_at))}",
        cause="Its writer was promised a word within a time that this service publishes.",
        proposed_action=f"Write to whoever reported it, then: armillary vulnerability-report {verb} {row.reference}.",
        at=now,
        catalog_id=row.catalog_id,
    )


def _of_file(expires: int, now: int) -> Observation:
    state = OVERDUE if expires <= now else DUE_SOON
    return Observation(
        kind="clock",
        key=("security.txt", str(expires), state),
        severity=_SEVERITY[state],
        title=f"The signed security.txt {'has expired' if state == OVERDUE else 'expires soon'}",
        cause=f"Its Expires is {_moment(expires)}. After that an unsigned one is served.",
        proposed_action="Sign one that ends later: armillary disclosure set --signed-file FILE.",
        at=now,
    )


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
