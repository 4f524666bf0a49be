# SPDX-License-Identifier: Apache-2.0
"""Cases with what looks at their clocks; loaded when the first case begins, or is there at the start."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import InvalidArgumentError
from armillary.regulation.case import NOTE
from armillary.service.advisories.advisories import Advisories
from armillary.service.cases.cases import Case, Cases, Said
from armillary.service.cases.clock_findings import ClockFindings
from armillary.service.cases.drafts import Drafts, fields
from armillary.service.cases.subjects import SubjectNames
from armillary.service.context.context import Context
from armillary.service.updates.rollouts import Rollouts
from armillary.service.watch.watch import Watch


class Casework:
    """All parts."""

    def __init__(self, context: Context, advisories: Advisories, watch: Watch, rollouts: Rollouts) -> None:
        self.cases = Cases(context, SubjectNames())
        self.drafts = Drafts(context, self.cases, advisories, watch, rollouts)
        self.clocks = ClockFindings(context)

    def note(self, case_id: UUID, text: str, *, field: str = "", catalog: str | None = None, actor: str) -> Case:
        """Add a note to a case; with ``field`` it is what drafts say there.

        Raises:
            InvalidArgumentError: drafts have no such field.
            NotFoundError, ConflictError: as :meth:`Cases.add`.
        """
        if field and field not in fields():
            raise InvalidArgumentError(
                f"field: expected {', '.join(fields())}, got {field!a:.40}", remedy="Use one of these words."
            )
        return self.cases.add(case_id, Said(kind=NOTE, text=text, reference=field), catalog=catalog, actor=actor)
