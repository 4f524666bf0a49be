# SPDX-License-Identifier: Apache-2.0
"""What facts are gathered from, and a fact with the documents that it brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.regulation.statement import Fact
from armillary.service.advisories.advisories import Advisories
from armillary.service.assessment.assessment import Assessment
from armillary.service.cases.cases import Cases
from armillary.service.cases.scope import Scope
from armillary.service.context.context import Context
from armillary.service.dossier.field import InField
from armillary.service.repository.repository import Repository
from armillary.service.transparency.logs import TransparencyLogs
from armillary.service.updates.bills import Bills
from armillary.service.updates.rollouts import Rollouts
from armillary.service.watch.watch import Watch


@dataclass(frozen=True, slots=True)
class Held:
    """A fact, and the parts of the file that are its evidence beside its value: name -> content."""

    fact: Fact
    parts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The parts of the service that know something."""

    context: Context
    advisories: Advisories
    assessment: Assessment
    bills: Bills
    cases: Cases
    logs: TransparencyLogs
    repository: Repository
    rollouts: Rollouts
    watch: Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a dossier is about, at a time (Unix seconds UTC)."""

    scope: Scope
    field: InField
    now: int

    @property
    def catalog(self) -> str | None:
        """The catalog's name; None for all."""
        return self.scope.catalog or None

    @property
    def is_whole(self) -> bool:
        """Whether it is about all catalogs, so that it may say what is the whole service's."""
        return self.scope.catalog_id is None
