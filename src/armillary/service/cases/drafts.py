# SPDX-License-Identifier: Apache-2.0
"""Drafts of reports: reads what the service holds about a case, and hands it to the rules.

It reads sums and pages, never a list of devices, so that a draft about a million devices takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from armillary import content
from armillary.engines.records.response import actions as action_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.security.response_rows import Action
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.regulation import draft as rules
from armillary.regulation.case import NOTE, CaseEntry
from armillary.regulation.clocks import AWARE, STAGES
from armillary.regulation.draft import Draft, DraftHead, time_text
from armillary.regulation.standard import Standard, read_standard
from armillary.regulation.statement import Fact, absent, present
from armillary.service.advisories.advisories import Advisories
from armillary.service.cases import scope as scopes
from armillary.service.cases.cases import Case, Cases
from armillary.service.cases.measure_facts import of_measures
from armillary.service.cases.product_facts import day, of_products
from armillary.service.cases.scope import Scope, devices
from armillary.service.cases.subjects import ADVISORY, FINDING, REPORT
from armillary.service.cases.vulnerability_facts import of_advisories
from armillary.service.context.context import Context
from armillary.service.updates.rollouts import Rollouts
from armillary.service.watch.watch import Watch
from armillary.wire.device.finding import Finding

TABLE: Final = "cra-article-14.yml"
# Roll-outs since a case began that are read, the newest.
MAX_ROLLOUTS: Final = 100
MAX_ACTIONS: Final = 100
_SAYING: Final = ("notify",)  # actions that change nothing of a device
# What only a person can say, and until then is a gap.
_OF_PEOPLE: Final = {
    "unlawful-act": "Whether unlawful or malicious acts are suspected is not recorded.",
    "incident-assessment": "No first assessment is recorded.",
    "sensitivity": "How sensitive this information is held to be is not recorded.",
    "malicious-actor": "Nothing is recorded about who exploited it.",
    "root-cause": "No root cause is recorded.",
}


@cache
def asked() -> Standard:
    """What the regulation asks for; WireError if the table is wrong, which the tests of the content find first."""
    return read_standard(content.standard_files()[TABLE], TABLE)


def fields() -> tuple[str, ...]:
    """Fields of drafts, in their order: what a note may be for."""
    return tuple(each.id for each in asked().requirements)


class Drafts:
    """Makes drafts of a case's reports."""

    def __init__(
        self, context: Context, cases: Cases, advisories: Advisories, watch: Watch, rollouts: Rollouts
    ) -> None:
        self._context = context
        self._cases = cases
        self._advisories = advisories
        self._watch = watch
        self._rollouts = rollouts

    def make(self, case_id: UUID, stage: str, catalog: str | None = None) -> Draft:
        """The draft of a stage.

        Raises:
            NotFoundError: there is no such case of the catalog.
            InvalidArgumentError: another stage.
        """
        if stage not in STAGES:
            raise InvalidArgumentError(
                f"stage: expected {', '.join(STAGES)}, got {stage!a:.40}", remedy="Use one of these words."
            )
        case = self._cases.get(case_id, catalog)
        (clock,) = [each for each in case.standing.stages if each.stage == stage]
        head = DraftHead(
            case_id=str(case_id),
            kind=case.row.kind,
            stage=stage,
            title=case.row.title,
            aware_at=case.standing.aware_at,
            due_at=clock.due_at,
            made_at=self._context.now(),
        )
        facts = {each.name: each for each in self._facts(case)}
        return rules.make(head, asked(), facts, case.entries)

    def _facts(self, case: Case) -> Iterable[Fact]:
        catalog, now = case.catalog or None, self._context.now()
        row = case.row
        scope = self._context.records.read(lambda c: scopes.read(c, row.catalog_id, row.product_id))
        advisories = self._advisories_of(case, catalog)
        findings = self._findings_of(case)
        affected = {name for each in advisories for name in each["products"]}
        products = scope.of_products(affected) if affected else scope.products
        yield from of_products(scope, products, now)
        yield _aware(case)
        yield _incident(case, findings)
        yield from of_advisories(advisories, findings)
        fixed = [one for each in advisories for one in each["artifacts"] if one["state"] == "fixed"]
        yield from of_measures(scope, case.standing, self._rollouts_of(case, scope), self._actions_of(case), fixed)
        for name, says in _OF_PEOPLE.items():
            yield absent(name, f"{says} Write it: armillary case note {row.case_id} --field FIELD --text TEXT.")

    def _advisories_of(self, case: Case, catalog: str | None) -> list[dict[str, Any]]:
        """What is known of the advisories that a case is about; one that a feed took back is left out."""
        found = []
        for name in _about(case.entries, ADVISORY):
            try:
                found.append(self._advisories.answers.show(name, catalog, product_id=case.row.product_id))
            except NotFoundError:
                continue
        return found

    def _findings_of(self, case: Case) -> list[Finding]:
        found = []
        for name in _about(case.entries, FINDING):
            try:
                found.append(self._watch.get(UUID(name)))
            except NotFoundError:
                continue
        return found

    def _rollouts_of(self, case: Case, scope: Scope) -> list[Rollout]:
        page = self._rollouts.list(catalog=case.catalog or None, limit=MAX_ROLLOUTS)
        names = {each.name for each in scope.products}
        since = case.standing.aware_at
        of_all = case.row.product_id is None
        return [
            each
            for each in reversed(page.items)
            if max(each.created_at, each.changed_at) >= since and (of_all or each.product in names)
        ]

    def _actions_of(self, case: Case) -> list[Action]:
        """What the service did, or was asked to do, since the case began; oldest first."""
        catalog_id, since = case.row.catalog_id, case.standing.aware_at
        page = self._context.records.read(
            lambda c: action_rows.page(c, catalog_id=catalog_id, limit=MAX_ACTIONS, before=None)
        )
        return [each for each in reversed(page.items) if each.asked_at >= since and each.kind not in _SAYING]


def _about(entries: Sequence[CaseEntry], subject: str) -> list[str]:
    return list(dict.fromkeys(each.reference for each in entries if each.subject == subject))


def _aware(case: Case) -> Fact:
    first = case.entries[0]
    lines = [
        f"Aware since {time_text(case.standing.aware_at)}; recorded {time_text(first.recorded_at)} by {first.actor}."
    ]
    lines += [each.text for each in case.entries if each.kind in (AWARE, "correction") and each.text]
    reports = _about(case.entries, REPORT)
    if reports:
        lines.append(f"By vulnerability reports {', '.join(reports)}.")
    value = {"aware_at": case.standing.aware_at, "recorded_at": first.recorded_at, "reports": reports}
    return present("aware", "\n".join(lines), value, f"audit lines of case {case.row.case_id}")


def _incident(case: Case, findings: Sequence[Finding]) -> Fact:
    lines = [case.row.title, *(each.text for each in case.entries if each.kind == NOTE and not each.reference)]
    lines += [
        f"{each.title}: {each.cause} ({devices(each.device_count)}, first on {day(each.first_seen)})"
        for each in findings
    ]
    value = {"title": case.row.title, "findings": [str(each.finding_id) for each in findings]}
    sources = [f"finding {each.finding_id}" for each in findings]
    return present("incident", "\n".join(lines), value, f"case {case.row.case_id}", *sources)
