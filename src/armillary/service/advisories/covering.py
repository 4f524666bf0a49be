# SPDX-License-Identifier: Apache-2.0
"""What can be said of each image and release by the feeds that there are: never more than they are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.advisory.coverage import Feed as CoveringFeed, coverage_of
from armillary.engines.records.advisories import components as component_rows, feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import OPEN, OSV, Artifact, Feed
from armillary.wire.advisory.own_statement import OwnStatement
from armillary.wire.advisory.vex import Status

# Components that cannot be judged which are named for an image; their number is always said.
MAX_NAMED: Final = 100


def covered(
    connection: Connection,
    catalog_id: UUID | None,
    now: int,
    stated: Collection[tuple[UUID | None, UUID]],
    only: Collection[UUID] | None = None,
) -> list[dict[str, Any]]:
    """For each image of a catalog (None: of all) and each release, what can be said of it, and why not more.

    ``stated`` are those of which operators say that something affects them; ``only``: these images and releases alone.
    """
    held = feed_rows.feeds(connection)
    covering = [_covering(each) for each in held if each.kind == OSV and each.current is not None]
    every = component_rows.artifacts(connection, catalog_id)
    artifacts = [each for each in every if only is None or each.artifact_id in only]
    contents = {each.content.content_id for each in artifacts if each.content is not None}
    listed = component_rows.ecosystems(connection, None if only is None else contents)
    numbers = component_rows.affecting(connection, contents)
    pairs = component_rows.pairs_of(connection, sorted(numbers))
    affected = {pair.content_id for pair in pairs if pair.answer != OPEN}
    unanswered = Counter(pair.content_id for pair in pairs if pair.answer == OPEN)
    rows = []
    for each in artifacts:
        content = each.content
        number = 0 if content is None else content.content_id
        is_affected = number in affected or (each.catalog_id, each.artifact_id) in stated
        ecosystems = frozenset() if content is None else listed.get(content.content_id, frozenset())
        found = {
            f"{name}:{release}" if release else name: coverage_of(covering, name, release, now)
            for name, release in ecosystems
        }
        uncovered = {name: one.freshness.value for name, one in sorted(found.items()) if not one.is_fresh}
        times = [one.as_of for one in found.values() if one.as_of is not None]
        rows.append(
            {
                "kind": "release" if each.catalog_id is None else "image",
                "id": str(each.artifact_id),
                "name": each.name,
                "state": _overall(each, is_affected, bool(uncovered or unanswered[number])),
                "components": 0 if content is None else content.components,
                "not_assessed": 0 if content is None else content.unassessed,
                "not_assessed_components": _named_unassessed(connection, each),
                "uncovered": uncovered,
                "open": unanswered[number],
                "as_of": min(times, default=None),
                "fault": "" if content is None else content.fault,
            }
        )
    return rows


def stated_affected(said: Iterable[OwnStatement]) -> set[tuple[UUID | None, UUID]]:
    """Images (by catalog and id) and releases of which the last statement about some advisory says so."""
    last = {(each.vulnerability, each.catalog_id, each.subject_id, each.component): each.status for each in said}
    return {place[1:3] for place, status in last.items() if status is Status.AFFECTED}


def _overall(artifact: Artifact, is_affected: bool, is_open: bool) -> str:  # noqa: FBT001 - two facts of one table
    content = artifact.content
    if is_affected:
        return State.AFFECTED.value
    if content is None or content.fault or is_open:
        return State.UNKNOWN.value
    if content.unassessed or not content.components:
        return State.NOT_ASSESSED.value
    return State.NONE_KNOWN.value


def _named_unassessed(connection: Connection, artifact: Artifact) -> list[dict[str, str]]:
    if artifact.content is None or not artifact.content.unassessed:
        return []
    found = component_rows.unassessed(connection, artifact.content.content_id, limit=MAX_NAMED)
    return [{"name": each.package, "version": each.version, "reason": each.unassessed} for each in found]


def _covering(feed: Feed) -> CoveringFeed:
    if feed.current is None:
        raise AssertionError("a feed that was never whole covers nothing")
    return CoveringFeed(
        name=feed.name,
        as_of=feed.current.as_of,
        ecosystems=frozenset(feed.current.ecosystems),
        max_age_s=feed.max_age_s,
    )
