# SPDX-License-Identifier: Apache-2.0
"""Makes a finding of an advisory that is exploited or critical once devices of a catalog run what it affects.

A finding says it once: it is made again only if it becomes graver, as when a critical one turns out to be exploited. It
names no image, so that it holds no roll-out: the roll-out of the fix must go on. A feed that is stale is one as well,
once for each of its editions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.schema.advisory_rows import AdvisoryVersion, Feed
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
FORGET_EVERY_S: Final = 3600


class Announcements:
    """Makes findings of advisories, and remembers which it has looked at.

    One is looked at again when its records, how grave it is, the bills of materials or who has which set have changed,
    and every hour.
    """

    def __init__(self, context: Context, watch: Watch) -> None:
        self._context = context
        self._watch = watch
        self._looked_at: dict[str, object] = {}
        self._forgotten_at = 0

    def look(self, answers: Answers) -> int:
        """Make the findings that are due; returns how many."""
        found = self._context.records.read(lambda c: list(self._due(c, answers, self._context.now())))
        for each in found:
            self._watch.observe(each)
        return len(found)

    def _due(self, connection: Connection, answers: Answers, now: int) -> Iterator[Observation]:
        newest = answers.newest(connection)
        if not 0 <= now - self._forgotten_at < FORGET_EVERY_S:
            self._looked_at, self._forgotten_at = {}, now
        for advisory_id, versions, urgency in answers.grave(connection):
            state = ([each.version_id for each in versions], urgency.is_exploited, newest)
            if self._looked_at.get(advisory_id) != state:
                yield from _of_advisory(connection, answers, advisory_id, versions, urgency, now)
                self._looked_at[advisory_id] = state


class Staleness:
    """Looks at feeds, and remembers of which edition it was said."""

    def __init__(self, context: Context, watch: Watch) -> None:
        self._context = context
        self._watch = watch
        self._said: set[str] = set()

    def look(self, feeds: Iterable[Feed]) -> int:
        """Make the findings that are due; returns how many."""
        made, now = 0, self._context.now()
        for feed in feeds:
            if feed.current is None or not feed.is_stale(now):
                continue
            seen = _stale(feed.name, feed.current.edition, feed.current.as_of, now)
            if seen.fingerprint in self._said:
                continue
            if self._context.records.read(partial(finding_rows.gravest, fingerprint=seen.fingerprint)) is None:
                self._watch.observe(seen)
                made += 1
            self._said.add(seen.fingerprint)
        return made


def _of_advisory(
    connection: Connection,
    answers: Answers,
    advisory_id: str,
    versions: Sequence[AdvisoryVersion],
    urgency: Urgency,
    now: int,
) -> Iterator[Observation]:
    """What is to be said of an advisory to each catalog whose devices it affects."""
    judge, _, population = answers.affected_of(connection, versions)
    owners = {population.groups[each.group_id].catalog_id for each in population.of_state(State.AFFECTED)
              if each.group_id in population.groups}  # fmt: skip
    for catalog_id in sorted(owners):
        mine = _of_catalog(population, catalog_id)
        devices = sum(pair.devices for pair in mine.of_state(State.AFFECTED))
        seen = _observation(advisory_id, judge, urgency, catalog_id, devices, now)
        known = finding_rows.gravest(connection, seen.fingerprint)
        if known is None or SEVERITIES.index(known) < SEVERITIES.index(seen.severity):
            yield replace(seen, device_ids=answers.first_devices(connection, mine, NAMED))


def _of_catalog(population: Population, catalog_id: UUID) -> Population:
    mine = {each.group_id for each in population.groups.values() if each.catalog_id == catalog_id}
    pairs = tuple((pair, state) for pair, state in population.pairs if pair.group_id in mine)
    return Population(pairs, population.groups)


def _observation(
    advisory_id: str, judge: Judge, urgency: Urgency, catalog_id: UUID, devices: int, now: int
) -> Observation:
    exploited = urgency.is_exploited
    said = next((each.summary for each in judge.versions if each.summary), "no summary")
    fixes = sorted({version for each in judge.versions for found in each.fixed.values() for version in found})
    return Observation(
        kind="vulnerability-in-field",
        key=(advisory_id,),
        severity="critical" if exploited else "high",
        title=f"{'1 device runs' if devices == 1 else f'{devices} devices run'} what {advisory_id} affects"
        + (", which is exploited" if exploited else ""),
        cause=f"{said[:500]} ({', '.join(judge.names[:5])})",
        proposed_action=f"Look at it: armillary advisory show {advisory_id}. "
        + (f"Repaired in {', '.join(fixes[:5])}: build, publish and roll out. " if fixes else "No fix is known. ")
        + "If it is exploited in your product, the 24 hours of CRA Article 14 begin when you are aware of it.",
        at=now,
        catalog_id=catalog_id,
        advisory_id=advisory_id,
    )


def _stale(feed: str, edition: int, as_of: int, now: int) -> Observation:
    age = f"is {max(0, now - as_of) // 86_400} days old" if as_of <= now else "has a time in the future"
    return Observation(
        kind="feed-stale",
        key=(feed, str(edition)),
        severity="high",
        title=f"The feed {feed} {age}: what it does not name is unknown",
        cause=f"Its edition {edition} is as of {as_of} (Unix seconds). Nothing is called fixed or not affected by it.",
        proposed_action="Fetch it from its source, pack and import it: armillary advisory-feed import --file FILE. "
        "If its source changes less often: armillary advisory-feed set-max-age.",
        at=now,
    )
