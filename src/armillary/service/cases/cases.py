# SPDX-License-Identifier: Apache-2.0
"""Operations on cases: begin one by becoming aware, add entries, list them with their clocks.

Each entry is committed together with its audit line, so that who knew what since when is in the log's tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.security import cases as case_rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.case_rows import CaseRow
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.regulation import case as rules
from armillary.regulation.case import CaseEntry, CaseStanding
from armillary.regulation.clocks import AWARE
from armillary.service.cases import integrity
from armillary.service.cases.clock_findings import close_findings
from armillary.service.cases.subjects import Subject, SubjectNames
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise, product_or_raise
from armillary.wire.text.given_text import check_given_name, check_given_text

# Of one catalog, or of the whole service; all are looked at every minute.
MAX_OPEN: Final = 100
MAX_TITLE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case with its entries, and how it stands now; ``catalog`` and ``product`` are names, empty for all."""

    row: CaseRow
    catalog: str
    product: str
    entries: tuple[CaseEntry, ...]
    standing: CaseStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an operator says in an entry: ``at`` is the time that it states, None for now."""

    kind: str
    at: int | None = None
    text: str = ""
    stage: str = ""
    reference: str = ""
    subject: Subject | None = None


class Cases:
    """Cases of a catalog, or (None) of all. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, subjects: SubjectNames) -> None:
        self._context = context
        self._subjects = subjects

    def aware(
        self,
        kind: str,
        said: Said,
        *,
        title: str = "",
        catalog: str | None = None,
        product: str | None = None,
        actor: str,
    ) -> Case:
        """Begin a case: the manufacturer is aware, now or since the time that is stated.

        Raises:
            NotFoundError: catalog, product, or what it is about.
            InvalidArgumentError: another kind, a time in the future, no title and nothing that it is about.
            ConflictError: as many cases are open as may be.
        """
        rules.check_kind(kind)
        if product is not None and catalog is None:
            raise InvalidArgumentError("product: expected its catalog too", remedy="Name the catalog.")

        def change(connection: Connection) -> CaseRow:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            owned = None if product is None else product_or_raise(connection, catalog or "", product)
            self._subjects.check(connection, said.subject, catalog_id)
            if case_rows.count_open(connection, catalog_id) >= MAX_OPEN:
                raise ConflictError(f"{MAX_OPEN} cases are open", remedy="Close those that are dealt with.")
            made = CaseRow(
                number=0,
                case_id=uuid4(),
                catalog_id=catalog_id,
                product_id=None if owned is None else owned.product_id,
                kind=kind,
                title=_title(title, said.subject),
                closed_at=None,
            )
            kept = case_rows.add(connection, made)
            self._enter(connection, kept, [], said, actor)
            return kept

        return self._as_case(self._context.records.write(change))

    def add(self, case_id: UUID, said: Said, *, catalog: str | None = None, actor: str) -> Case:
        """Add an entry to a case.

        Raises:
            NotFoundError: there is no such case of the catalog, or nothing that the entry is about.
            InvalidArgumentError, ConflictError: as :func:`armillary.regulation.case.check_entry`.
        """

        def change(connection: Connection) -> CaseRow:
            row = self._row(connection, case_id, catalog)
            self._subjects.check(connection, said.subject, row.catalog_id)
            self._enter(connection, row, case_rows.entries(connection, [row.number])[row.number], said, actor)
            return row

        return self._as_case(self._context.records.write(change))

    def get(self, case_id: UUID, catalog: str | None = None) -> Case:
        """A case.

        Raises:
            NotFoundError: there is none of this id, or it is not of the catalog.
            InconsistentLogError: its entries are not those that the audit log has.
        """
        return self._as_case(self._context.records.read(lambda c: self._row(c, case_id, catalog)))

    def list(
        self,
        catalog: str | None = None,
        *,
        is_open: bool | None = None,
        limit: int = 50,
        after: str | None = None,
        order: str = "",
    ) -> Page[Case]:
        """Cases, newest first or in an order; with ``is_open`` only open ones, or only those that are closed."""
        chosen = {"before": None, "order": order, "after": after} if order else {"before": number_after(after)}

        def query(connection: Connection) -> Page[Case]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            page = case_rows.page(connection, catalog_id, is_open=is_open, limit=bounded(limit), **chosen)
            entries = case_rows.entries(connection, [each.number for each in page.items])
            items = tuple(self._standing(connection, each, entries[each.number]) for each in page.items)
            return Page(items, page.next_cursor)

        return self._context.records.read(query)

    def _enter(self, connection: Connection, row: CaseRow, before: Sequence[CaseEntry], said: Said, actor: str) -> None:
        now = self._context.now()
        entry = CaseEntry(
            number=len(before) + 1,
            kind=said.kind,
            recorded_at=now,
            stated_at=now if said.at is None else said.at,
            actor=actor,
            text=_text(said.text),
            stage=said.stage,
            reference=_reference(said.reference) if said.subject is None else said.subject.reference,
            subject="" if said.subject is None else said.subject.kind,
        )
        rules.check_entry(entry, before, now)
        case_rows.add_entry(connection, row.number, entry)
        if entry.kind == rules.CLOSED:
            case_rows.close(connection, row.number, at=now)
        standing = rules.standing(row.kind, [*before, entry], now)
        close_findings(connection, row, standing)
        detail = {
            "entry": entry.number,
            "stated_at": entry.stated_at,
            integrity.DIGEST: integrity.digest_of(entry),
            **{name: value for name, value in _detail(entry).items() if value},
        }
        if entry.kind == AWARE:
            detail |= {"kind": row.kind, "title": row.title, "catalog": str(row.catalog_id or "all")}
        self._context.audit(connection, actor, f"case.{entry.kind}", str(row.case_id), detail)

    def _row(self, connection: Connection, case_id: UUID, catalog: str | None) -> CaseRow:
        found = case_rows.one(connection, case_id)
        if catalog is not None:
            owner = catalog_or_raise(connection, catalog).catalog_id
            found = found if found is not None and found.catalog_id == owner else None
        if found is None:
            raise NotFoundError(f"case {case_id} does not exist", remedy="List them: armillary case list.")
        return found

    def _as_case(self, row: CaseRow) -> Case:
        def query(connection: Connection) -> Case:
            found = self._row(connection, row.case_id, None)
            entries = case_rows.entries(connection, [row.number])[row.number]
            integrity.check(connection, found, entries)
            return self._standing(connection, found, entries)

        return self._context.records.read(query)

    def _standing(self, connection: Connection, row: CaseRow, entries: Sequence[CaseEntry]) -> Case:
        catalog = None if row.catalog_id is None else catalog_rows.catalog_by_id(connection, row.catalog_id)
        products = () if row.catalog_id is None else catalog_rows.products(connection, row.catalog_id)
        return Case(
            row=row,
            catalog="" if catalog is None else catalog.name,
            product=next((each.name for each in products if each.product_id == row.product_id), ""),
            entries=tuple(entries),
            standing=rules.standing(row.kind, entries, self._context.now()),
        )


def _detail(entry: CaseEntry) -> dict[str, str]:
    return {"stage": entry.stage, "reference": entry.reference, "subject": entry.subject, "text": entry.text}


def _title(title: str, subject: Subject | None) -> str:
    given = title or ("" if subject is None else subject.reference)
    if not 0 < len(given) <= MAX_TITLE:
        raise InvalidArgumentError(
            f"title: expected 1 to {MAX_TITLE} characters, or what the case is about, got {len(given)}",
            remedy="Say in a few words what happened, or name an advisory, a finding or a vulnerability report.",
        )
    return check_given_name(given, "title")


def _text(text: str) -> str:
    if len(text) > rules.MAX_TEXT:
        raise InvalidArgumentError(
            f"text: expected at most {rules.MAX_TEXT} characters, got {len(text)}", remedy="Shorten it."
        )
    return check_given_text(text, "text")


def _reference(reference: str) -> str:
    if len(reference) > rules.MAX_REFERENCE:
        raise InvalidArgumentError(
            f"reference: expected at most {rules.MAX_REFERENCE} characters, got {len(reference)}",
            remedy="Give the number that the authority gave.",
        )
    return check_given_name(reference, "reference") if reference else ""
