# SPDX-License-Identifier: Apache-2.0
"""Makes a finding of an advisory that is exploited or critical once devices of a catalog run what it affects.

A finding says it once: it is made again only if it becomes graver, as when a critical one turns out to be exploited. It
names no image, so that it holds no roll-out: the roll-out of the fix must go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.queries import catalogs as catalog_rows, findings as finding_rows
from armillary.service.advisories.answers import Answers
from armillary.service.advisories.exposure import Population
from armillary.service.advisories.judging import Judge
from armillary.service.advisories.ranking import Urgency
from armillary.service.context.context import Context
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import Watch
from armillary.wire.device.finding import SEVERITIES

# Devices that are named in a finding; its cause says how many there are.
NAMED: Final = 100


def announce(context: Context, answers: Answers, watch: Watch) -> int:
    """Make the findings that are due; returns how many."""
    found = context.records.read(lambda c: _due(c, answers, context.now()))
    for each in found:
        watch.observe(each)
    return len(found)


def _due(connection: Connection, answers: Answers, now: int) -> list[Observation]:
    due = []
    everybody = [each.catalog_id for each in catalog_rows.catalogs(connection)]
    for advisory_id, judge, urgency, judged in answers.grave(connection):
        owners = {each.artifact.catalog_id for each in judged if each.state is State.AFFECTED}
        concerned = everybody if None in owners else [each for each in everybody if each in owners]
        unsaid = [each for each in concerned if not _is_said(connection, advisory_id, judge, urgency, each)]
        if not unsaid:
            continue
        population = answers.affected_of(connection, judged)
        for catalog_id in unsaid:
            mine = _of_catalog(population, catalog_id)
            devices = sum(pair.devices for pair in mine.of_state(State.AFFECTED))
            if devices:
                seen = _observation(advisory_id, judge, urgency, catalog_id, devices, now)
                due.append(replace(seen, device_ids=answers.first_devices(connection, mine, NAMED)))
    return due


def _is_said(connection: Connection, advisory_id: str, judge: Judge, urgency: Urgency, catalog_id: UUID) -> bool:
    """Whether a finding has said this, or something graver, of a catalog."""
    seen = _observation(advisory_id, judge, urgency, catalog_id, 0, 0)
    known = finding_rows.gravest(connection, seen.fingerprint)
    return known is not None and SEVERITIES.index(known) >= SEVERITIES.index(seen.severity)


def _of_catalog(population: Population, catalog_id: UUID) -> Population:
    mine = {each.group_id for each in population.groups.values() if each.catalog_id == catalog_id}
    pairs = tuple((pair, state) for pair, state in population.pairs if pair.group_id in mine)
    return Population(pairs, population.groups)


def _observation(
    advisory_id: str, judge: Judge, urgency: Urgency, catalog_id: UUID, devices: int, now: int
) -> Observation:
    exploited = urgency.exploited_since is not None
    said = next((each.summary for each in judge.versions if each.summary), "no summary")
    fixes = sorted({version for each in judge.versions for found in each.fixed.values() for version in found})
    return Observation(
        kind="vulnerability-in-field",
        key=(advisory_id,),
        severity="critical" if exploited else "high",
        title=f"{devices} devices run what {advisory_id} affects" + (", which is exploited" if exploited else ""),
        cause=f"{said[:500]} ({', '.join(judge.names[:5])})",
        proposed_action=f"Look at it: armillary advisory show {advisory_id}. "
        + (f"Repaired in {', '.join(fixes[:5])}: build, publish and roll out. " if fixes else "No fix is known. ")
        + "If it is exploited in your product, the 24 hours of CRA Article 14 begin when you are aware of it.",
        at=now,
        catalog_id=catalog_id,
    )
