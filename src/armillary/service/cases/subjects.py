# SPDX-License-Identifier: Apache-2.0
"""What a case is about: an advisory, a finding or a vulnerability report that the case's catalog knows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import feeds as feed_rows
from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.queries.security import disclosure as report_rows
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.regulation.case import MAX_REFERENCE, SUBJECTS

ADVISORY, FINDING, REPORT = SUBJECTS


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about: one of :data:`armillary.regulation.case.SUBJECTS`, and its id."""

    kind: str
    reference: str


class SubjectNames:
    """Looks subjects up."""

    def check(self, connection: Connection, subject: Subject | None, catalog_id: UUID | None) -> None:
        """Raise unless a subject is there for a case of the catalog (None: of the whole service).

        Raises:
            NotFoundError: there is none of this id, or it is another catalog's; both say the same.
            InvalidArgumentError: another kind, or an id of another form.
        """
        if subject is None:
            return
        if not 0 < len(subject.reference) <= MAX_REFERENCE:
            raise InvalidArgumentError(
                f"{subject.kind}: expected an id of 1 to {MAX_REFERENCE} characters", remedy="Give the id alone."
            )
        if subject.kind == ADVISORY:
            if not feed_rows.versions_named(connection, subject.reference):
                raise NotFoundError(
                    f"no feed has an advisory {subject.reference!a:.140}",
                    remedy="Begin the case with a title, and refer to the advisory when a feed has it.",
                )
        elif subject.kind == FINDING:
            found = finding_rows.one(connection, _uuid(subject.reference, "finding"))
            if found is None or catalog_id not in (None, found.catalog_id):
                raise NotFoundError(
                    f"finding {subject.reference} does not exist", remedy="List them: armillary finding list."
                )
        elif subject.kind == REPORT:
            report = report_rows.one(connection, subject.reference.upper())
            if report is None or catalog_id not in (None, report.catalog_id):
                raise NotFoundError(
                    f"there is no vulnerability report {subject.reference!a:.40}",
                    remedy="List them: armillary vulnerability-report list.",
                )
        else:
            raise InvalidArgumentError(
                f"subject: expected {', '.join(SUBJECTS)}, got {subject.kind!a:.40}", remedy="Use one of these words."
            )


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{what}: expected an id such as 6f9619ff-8b86-d011-b42d-00cf4fc964ff, got {text!a:.60}",
            remedy=f"List them: armillary {what} list.",
        ) from error
