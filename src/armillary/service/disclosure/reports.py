# SPDX-License-Identifier: Apache-2.0
"""Reports of vulnerabilities: taken from strangers, kept sealed, worked through by people, each reading audited.

Who speaks for the whole service sees all reports and gives one to the catalog that it concerns; who speaks for a
catalog sees those that were given to it. What a report says is shown by :meth:`VulnerabilityReports.read` alone.
"""

from __future__ import annotations

import os
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.security import disclosure as rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.disclosure_rows import ReportEntryRow, ReportRow
from armillary.engines.signer.sealed import Sealer
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, QuotaExceededError
from armillary.regulation import vulnerability_report as rules
from armillary.regulation.vulnerability_report import Due
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.disclosure import due_findings
from armillary.service.disclosure.intake import IntakeRate
from armillary.service.disclosure.policies import Policies, Policy
from armillary.service.registry.names import catalog_or_raise, product_or_raise
from armillary.wire.disclosure import submission as submissions
from armillary.wire.disclosure.submission import Submission
from armillary.wire.text.given_text import check_given_text

STRANGER: Final = "stranger"  # who acts, in the audit log
# Reports that wait to be acknowledged: more than a team reads in the days that are promised.
MAX_NEW: Final = 500
MAX_ENTRIES: Final = 500
MAX_NOTE: Final = 4000
# Of a reference: in Base32 12 characters have 60 bits, so that whoever guesses finds none.
_REFERENCE_BYTES: Final = 8
_REFERENCE_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report without what it says; ``catalog`` and ``product`` are whose it was given to, empty for nobody's."""

    row: ReportRow
    catalog: str
    product: str
    due: Due | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was done about a report, when, by whom, and what was written down."""

    number: int
    at: int
    actor: str
    action: str
    state: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """A report with what it says, and what was done about it."""

    report: Report
    submission: Submission
    notes: tuple[Note, ...]


class VulnerabilityReports:
    """Operations on reports. Synchronous and thread-safe; NotFoundError for one that is not the catalog's."""

    def __init__(self, context: Context, secret: Callable[[], bytes], policies: Policies) -> None:
        self._context = context
        self._secret = secret
        self._policies = policies
        self.rate = IntakeRate(context.clock)

    # -- for strangers ----------------------------------------------------------------------------------------------

    def receive(self, given: Submission, *, address: str) -> ReportRow:
        """Keep a report; its ``reference`` is what its writer is given.

        Raises:
            NotFoundError: this service takes no reports.
            QuotaExceededError: too many came from this address, in all, or wait to be acknowledged.
        """
        if not (self._policies.current or Policy()).is_open:
            raise not_taken()
        self.rate.take(address)
        now, reference = self._context.now(), new_reference()
        row = ReportRow(
            number=0,
            reference=reference,
            received_at=now,
            state=rules.NEW,
            catalog_id=None,
            product_id=None,
            acknowledged_at=None,
            told_at=None,
            closed_at=None,
            sealed=self._sealer.seal(submissions.encode(given), _purpose(reference)),
        )

        def change(connection: Connection) -> ReportRow:
            if rows.counts(connection).get(rules.NEW, 0) >= MAX_NEW:
                raise QuotaExceededError(
                    f"{MAX_NEW} reports wait to be acknowledged, which is all that are taken",
                    retry_after_s=rules.DAY_S,
                )
            made = rows.add(connection, row)
            due_findings.received(connection, made, is_exploited=given.exploited == "yes")
            self._context.audit(connection, STRANGER, "vulnerability-report.receive", reference, {})
            return made

        return self._context.records.write(change)

    # -- for people -------------------------------------------------------------------------------------------------

    def list(
        self, catalog: str | None = None, *, state: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[Report]:
        """Reports, newest first, without what they say; ``state`` may also be ``open`` (not closed)."""
        if state is not None and state not in (*rules.STATES, "open"):
            raise InvalidArgumentError(
                f"state: expected {', '.join((*rules.STATES, 'open'))}, got {state!a:.40}", remedy="Use one of these."
            )
        before = number_after(after)

        def query(connection: Connection) -> Page[Report]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            page = rows.page(connection, catalog_id, state=state, limit=bounded(limit), before=before)
            return Page(tuple(self._shown(connection, each) for each in page.items), page.next_cursor)

        return self._context.records.read(query)

    def read(self, reference: str, catalog: str | None = None, *, actor: str) -> ReadReport:
        """A report with what it says; that somebody read it is in the audit log before it is shown."""

        def change(connection: Connection) -> tuple[Report, tuple[ReportEntryRow, ...]]:
            row = self._row(connection, reference, catalog)
            self._context.audit(connection, actor, "vulnerability-report.read", row.reference, {})
            return self._shown(connection, row), rows.entries(connection, row.number)

        report, entries = self._context.records.write(change)
        sealer, reference = self._sealer, report.row.reference
        notes = tuple(
            Note(
                number=each.number,
                at=each.at,
                actor=each.actor,
                action=each.action,
                state=each.state,
                text=sealer.open(each.sealed, _purpose(reference, each.number)).decode() if each.sealed else "",
            )
            for each in entries
        )
        said = submissions.decode(sealer.open(report.row.sealed, _purpose(reference)))
        return ReadReport(report=report, submission=said, notes=notes)

    def act(self, reference: str, action: str, *, note: str = "", catalog: str | None = None, actor: str) -> Report:
        """Acknowledge a report, work on it, fix, tell its writer how it stands, close or reopen it.

        Raises:
            InvalidArgumentError: another action, a note that is too long; without a note to close.
            ConflictError: the action is not possible in the report's state.
        """
        _check_note(action, note)

        def change(connection: Connection) -> Report:
            row, now = self._row(connection, reference, catalog), self._context.now()
            state = rules.after(row.state, action)
            due_findings.close_findings(connection, row, self._policies.current or Policy(), now)
            values: dict[str, object] = {"state": state, "closed_at": now if state == rules.CLOSED else None}
            if rules.tells(action):
                values["told_at"] = now
            if row.acknowledged_at is None and state != rules.NEW:
                values["acknowledged_at"] = now
            rows.change(connection, row.number, values)
            self._enter(connection, row, action, state, note, actor)
            return self._shown(connection, self._row(connection, reference, catalog))

        return self._context.records.write(change)

    def assign(self, reference: str, catalog: str, product: str | None = None, *, actor: str) -> Report:
        """Give a report to the catalog, and to the product, that it concerns: who speaks for that sees it, too."""

        def change(connection: Connection) -> Report:
            row = self._row(connection, reference, None)
            owner = catalog_or_raise(connection, catalog)
            owned = None if product is None else product_or_raise(connection, catalog, product)
            due_findings.close_due(connection, row, self._policies.current or Policy(), self._context.now())
            values = {"catalog_id": owner.catalog_id, "product_id": None if owned is None else owned.product_id}
            rows.change(connection, row.number, values)
            where = owner.name if owned is None else f"{owner.name}/{owned.name}"
            self._enter(connection, row, "assign", row.state, where, actor)
            return self._shown(connection, replace(row, **values))  # type: ignore[arg-type]  # ids, as above

        return self._context.records.write(change)

    def counts(self) -> dict[str, int]:
        """State -> how many reports are in it."""
        found = self._context.records.read(rows.counts)
        return {state: found.get(state, 0) for state in rules.STATES}

    def _enter(self, connection: Connection, row: ReportRow, action: str, state: str, note: str, actor: str) -> None:
        """Write down what was done, sealed, with its audit line."""
        number = len(rows.entries(connection, row.number)) + 1
        if number > MAX_ENTRIES and action != rules.CLOSE:
            raise ConflictError(
                f"{row.reference} has {MAX_ENTRIES} entries",
                remedy=f"Close it: armillary vulnerability-report close {row.reference} --reason WHY.",
            )
        sealed = self._sealer.seal(note.encode(), _purpose(row.reference, number)) if note else b""
        entry = ReportEntryRow(
            number=number, at=self._context.now(), actor=actor, action=action, state=state, sealed=sealed
        )
        rows.add_entry(connection, row.number, entry)
        detail = {"state": state, "entry": number}
        self._context.audit(connection, actor, f"vulnerability-report.{action}", row.reference, detail)

    def _row(self, connection: Connection, reference: str, catalog: str | None) -> ReportRow:
        found = rows.one(connection, reference.strip().upper()[:40])
        if found is not None and catalog is not None:
            owner = catalog_or_raise(connection, catalog)
            found = found if found.catalog_id == owner.catalog_id else None
        if found is None:
            raise NotFoundError(
                f"there is no vulnerability report {reference!a:.40}",
                remedy="List them: armillary vulnerability-report list.",
            )
        return found

    def _shown(self, connection: Connection, row: ReportRow) -> Report:
        owner = None if row.catalog_id is None else catalog_rows.catalog_by_id(connection, row.catalog_id)
        product = ""
        if owner is not None and row.product_id is not None:
            every = catalog_rows.products(connection, owner.catalog_id)
            product = next((each.name for each in every if each.product_id == row.product_id), "")
        policy = self._policies.current or Policy()
        standing = rules.due(
            row.state,
            received_at=row.received_at,
            told_at=row.told_at,
            promise=policy.promise,
            now=self._context.now(),
        )
        return Report(row=row, catalog="" if owner is None else owner.name, product=product, due=standing)

    @property
    def _sealer(self) -> Sealer:
        return Sealer(self._secret())


def not_taken() -> NotFoundError:
    """The error where a service takes no reports."""
    return NotFoundError("this service takes no reports of vulnerabilities", remedy="Look for its security.txt.")


def _check_note(action: str, note: str) -> None:
    if len(note) > MAX_NOTE:
        raise InvalidArgumentError(
            f"note: expected at most {MAX_NOTE} characters, got {len(note)}", remedy="Shorten it."
        )
    check_given_text(note, "note")
    if action == rules.CLOSE and not note.strip():
        raise InvalidArgumentError(
            "note: expected why the report is closed, got nothing", remedy="Say it in a sentence."
        )


def new_reference() -> str:
    """A reference that nobody has: 60 random bits, as people can read them out."""
    text = b32encode(os.urandom(_REFERENCE_BYTES)).decode("ascii")[:_REFERENCE_CHARACTERS]
    return "VR-" + "-".join(text[start : start + 4] for start in range(0, _REFERENCE_CHARACTERS, 4))


def _purpose(reference: str, entry: int = 0) -> str:
    """What a sealed value is for: it opens as nothing else."""
    return f"vulnerability-report {reference}" + (f" {entry}" if entry else "")
