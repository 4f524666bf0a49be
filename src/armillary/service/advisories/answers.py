# SPDX-License-Identifier: Apache-2.0
"""What is asked about advisories, as the API answers it: the list, one with all that it touches, devices, coverage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.advisory.coverage import Feed as CoveringFeed, coverage_of
from armillary.engines.records.advisories import (
    components as component_rows,
    feeds as feed_rows,
    software as software_rows,
)
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.schema.advisory_rows import OPEN, OSV, AdvisoryVersion, Artifact, Feed
from armillary.engines.records.schema.rows import AuditLine
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.advisories.exposure import (
    MEMBER_STATES,
    Exposure,
    Field,
    Population,
    catalog_of,
    country_of,
    product_of,
)
from armillary.service.advisories.judging import Judge, Judged
from armillary.service.advisories.ranking import CRITICAL, Urgency, urgency_of
from armillary.service.advisories.running import Running
from armillary.service.advisories.sets import Sets
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise

MAX_ID_CHARACTERS: Final = 128
# Components that cannot be judged which are named for an image; their number is always said.
MAX_NAMED: Final = 100
# Audit lines of each feed that an advisory is from.
MAX_LINES: Final = 10
# States of an image by which an advisory is not open for it.
_SETTLED: Final = frozenset({State.FIXED.value, State.NOT_AFFECTED.value})
# States that lists of devices are asked for.
LISTED_STATES: Final = (State.AFFECTED, State.UNDER_INVESTIGATION, State.UNKNOWN, State.FIXED, State.NOT_AFFECTED)


class Answers:
    """Questions about advisories, of one catalog or (None) of all. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, sets: Sets, running: Running) -> None:
        self._context = context
        self._running = running
        self._exposure = Exposure(sets)

    def basis(self) -> dict[str, Any]:
        """What every answer rests on: how many feeds, which of them are stale, and of how many devices it is known."""
        return self._context.records.read(self._basis)

    def _basis(self, connection: Connection) -> dict[str, Any]:
        feeds, now = feed_rows.feeds(connection), self._context.now()
        stale = [each.name for each in feeds if each.is_stale(now)]
        return {"feeds": len(feeds), "stale": stale, "taken_in": self._running.taken_in(connection).document()}

    # -- the list ---------------------------------------------------------------------------------------------------

    def page(
        self, catalog: str | None = None, *, in_field: bool = False, limit: int = 50, after: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Advisories that affect an image or a release, the most urgent first; with ``in_field`` those of devices.

        The cursor is a place in that order: what a new feed moves meanwhile may be seen twice or not at all.
        """
        start, most = number_after(after) or 0, bounded(limit)

        def query(connection: Connection) -> tuple[list[dict[str, Any]], str | None]:
            catalog_id = _catalog_id(connection, catalog)
            artifacts = component_rows.artifacts(connection, catalog_id)
            found = self._ranked(connection, catalog_id, artifacts, Field(connection))
            rows = [row for row in found if row["devices"]] if in_field else found
            page = rows[start : start + most]
            return page, str(start + most) if start + most < len(rows) else None

        return self._context.records.read(query)

    def of_groups(
        self, catalog_id: UUID, groups: Collection[UUID], artifact_ids: Collection[UUID]
    ) -> list[dict[str, Any]]:
        """Advisories that affect, or may affect, some images of a catalog or releases, the most urgent first.

        ``devices`` counts those of these device groups.
        """

        def query(connection: Connection) -> list[dict[str, Any]]:
            chosen = [
                each for each in component_rows.artifacts(connection, catalog_id) if each.artifact_id in artifact_ids
            ]
            rows = self._ranked(connection, catalog_id, chosen, Field(connection, groups))
            return [row for row in rows if not _SETTLED.issuperset(row["images"])]

        return self._context.records.read(query)

    def _ranked(
        self, connection: Connection, catalog_id: UUID | None, artifacts: Sequence[Artifact], field: Field
    ) -> list[dict[str, Any]]:
        contents: dict[int, list[Artifact]] = defaultdict(list)
        for artifact in artifacts:
            if artifact.content is not None:
                contents[artifact.content.content_id].append(artifact)
        numbers = component_rows.affecting(connection, contents)
        groups = _by_id(feed_rows.versions(connection, sorted(numbers)))
        judges = Judge.several(connection, groups.values(), now=self._context.now())
        urgent = self._urgencies(connection, judges)
        rows = []
        for advisory_id, judge, urgency in zip(groups, judges, urgent, strict=True):
            judged = [judge.of(one) for content in judge.pairs for one in contents.get(content, ())]
            if judged:
                population = self._exposure.affected(connection, judged, catalog_id, field)
                rows.append((urgency.rank, _row(advisory_id, judge, judged, urgency, population)))
        rows.sort(key=lambda each: each[1]["advisory_id"])
        rows.sort(key=lambda each: each[0], reverse=True)
        return [row for _, row in rows]

    def _urgencies(self, connection: Connection, judges: Sequence[Judge]) -> list[Urgency]:
        known = feed_rows.exploited(connection, {name for judge in judges for name in judge.names})
        feeds, now = feed_rows.feeds(connection), self._context.now()
        return [urgency_of(each.versions, each.names, known, feeds, now) for each in judges]

    # -- one advisory -----------------------------------------------------------------------------------------------

    def show(
        self,
        advisory_id: str,
        catalog: str | None = None,
        *,
        with_audit: bool = False,
        product_id: UUID | None = None,
    ) -> dict[str, Any]:
        """An advisory: what it says, images and releases by their states, devices, countries, and the curve.

        With ``product_id`` devices are those of a product of the catalog.

        Raises:
            NotFoundError: no feed has a record of this name.
        """
        return self._context.records.read(
            lambda c: self._show(c, advisory_id, catalog, with_audit=with_audit, product_id=product_id)
        )

    def _show(
        self,
        connection: Connection,
        advisory_id: str,
        catalog: str | None,
        *,
        with_audit: bool,
        product_id: UUID | None,
    ) -> dict[str, Any]:
        catalog_id, now = _catalog_id(connection, catalog), self._context.now()
        judge = self._judge(connection, advisory_id)
        judged = self._exposure.judged(connection, judge, catalog_id)
        population = self._exposure.everywhere(connection, judged, catalog_id)
        if product_id is not None:
            population = population.of_product(product_id)
        feeds = {each.name: each for each in feed_rows.feeds(connection)}
        since = self._known_since(connection, judge)
        curve = self._exposure.curve(connection, judged, catalog_id, since=since, now=now, product_id=product_id)
        countries = population.by(country_of)
        found: dict[str, Any] = {
            "advisory_id": judge.versions[0].advisory_id,
            "asked": advisory_id,
            "aliases": [name for name in judge.names if name != judge.versions[0].advisory_id],
            "summary": next((each.summary for each in judge.versions if each.summary), ""),
            **self._urgencies(connection, [judge])[0].document(),
            "records": [_record(each, feeds) for each in judge.versions],
            "stale": not judge.is_fresh,
            "artifacts": [_artifact(each) for each in judged if each.state is not State.NOT_AFFECTED],
            "artifact_states": _counted(each.state for each in judged),
            "devices": population.counts(),
            "catalogs": population.by(catalog_of),
            "products": population.by(product_of),
            "countries": countries,
            "member_states": {name: number for name, number in countries.items() if name in MEMBER_STATES},
            "known_since": since,
            "patched_percent": _percent(curve),
            "curve": curve,
            "as_of": now,
            "basis": self._basis(connection),
        }
        if with_audit:
            found["audit"] = _audit(connection, judge)
        return found

    def _judge(self, connection: Connection, advisory_id: str) -> Judge:
        if not 0 < len(advisory_id) <= MAX_ID_CHARACTERS:
            raise _no_advisory(advisory_id)
        versions = feed_rows.versions_named(connection, advisory_id)
        if not versions:
            raise _no_advisory(advisory_id)
        # Records of other feeds that share a name with one of these are of the same vulnerability.
        aliases = feed_rows.aliases_of(connection, [each.version_id for each in versions])
        names = {name for each in versions for name in (each.advisory_id, *aliases.get(each.version_id, ()))}
        found = {each.version_id: each for each in versions}
        for name in sorted(names - {advisory_id}):
            found |= {each.version_id: each for each in feed_rows.versions_named(connection, name)}
        ordered = sorted(found.values(), key=lambda each: (each.advisory_id != advisory_id, each.version_id))
        return Judge.read(connection, ordered, now=self._context.now())

    def _known_since(self, connection: Connection, judge: Judge) -> int:
        """When a feed first brought it here."""
        times = [
            edition.as_of
            for each in {(one.feed, one.advisory_id) for one in judge.versions}
            for edition in feed_rows.first_editions(connection, *each)
        ]
        return min(times, default=self._context.now())

    def devices(
        self,
        advisory_id: str,
        catalog: str | None = None,
        *,
        state: str = State.AFFECTED.value,
        limit: int = 100,
        after: str | None = None,
    ) -> dict[str, Any]:
        """Devices in a state, and how many there are in all.

        Raises:
            NotFoundError: no feed has a record of this name.
            InvalidArgumentError: a state that there is not, or a cursor that no list gave.
        """
        if state not in {each.value for each in LISTED_STATES}:
            words = ", ".join(each.value for each in LISTED_STATES)
            raise InvalidArgumentError(f"state: expected {words}, got {state!a:.40}", remedy="Use one of these words.")
        wanted, most = State(state), bounded(limit)

        def query(connection: Connection) -> dict[str, Any]:
            catalog_id = _catalog_id(connection, catalog)
            population = self._population(connection, self._judge(connection, advisory_id), catalog_id, wanted)
            rows, cursor = self._exposure.page(connection, population, wanted, after=after, limit=most)
            total = population.counts().get(wanted.value, 0)
            return {"items": rows, "next": cursor, "count": total, "basis": self._basis(connection)}

        return self._context.records.read(query)

    def _population(self, connection: Connection, judge: Judge, catalog_id: UUID | None, wanted: State) -> Population:
        """Devices by state: only those that run something bad where only those are asked for, which costs less."""
        if wanted in (State.AFFECTED, State.UNDER_INVESTIGATION):
            judged = self._exposure.judged(connection, judge, catalog_id, affected_only=True)
            return self._exposure.affected(connection, judged, catalog_id)
        judged = self._exposure.judged(connection, judge, catalog_id)
        return self._exposure.everywhere(connection, judged, catalog_id)

    def first_devices(self, connection: Connection, population: Population, limit: int) -> tuple[str, ...]:
        """Ids of some devices that are affected."""
        rows, _ = self._exposure.page(connection, population, State.AFFECTED, after=None, limit=limit)
        return tuple(each["device_id"] for each in rows)

    def grave(self, connection: Connection) -> list[tuple[str, tuple[AdvisoryVersion, ...], Urgency]]:
        """Advisories that are exploited or critical and affect something that a bill of materials lists."""
        groups = _by_id(feed_rows.grave(connection, CRITICAL))
        judges = [Judge.named(connection, versions) for versions in groups.values()]
        urgent = self._urgencies(connection, judges)
        found = zip(groups, judges, urgent, strict=True)
        return [(name, judge.versions, urgency) for name, judge, urgency in found if urgency.is_grave]

    def affected_of(
        self, connection: Connection, versions: Sequence[AdvisoryVersion]
    ) -> tuple[Judge, list[Judged], Population]:
        """The images, releases and devices of all catalogs that an advisory affects."""
        (judge,) = Judge.several(connection, [versions], now=self._context.now())
        judged = self._exposure.judged(connection, judge, None, affected_only=True)
        return judge, judged, self._exposure.affected(connection, judged, None)

    def newest(self, connection: Connection) -> tuple[int, int, int]:
        """What an answer about an advisory rests on besides its records: bills, sets, and how many groups have one."""
        sets, groups = self._exposure.newest_set(connection), software_rows.count_pairs(connection)
        return component_rows.newest_content(connection), sets, groups

    # -- coverage ---------------------------------------------------------------------------------------------------

    def coverage(self, catalog: str | None = None) -> list[dict[str, Any]]:
        """For each image and release, what can be said of it: ``none-known`` is the best that there is, with its date.

        ``unknown`` wherever a feed is stale or missing, or the bill of materials is; ``not-assessed`` where components
        cannot be judged.
        """
        return self._context.records.read(lambda c: self._coverage(c, _catalog_id(c, catalog)))

    def _coverage(self, connection: Connection, catalog_id: UUID | None) -> list[dict[str, Any]]:
        now = self._context.now()
        held = feed_rows.feeds(connection)
        covering = [_covering(each) for each in held if each.kind == OSV and each.current is not None]
        listed = component_rows.ecosystems(connection)
        artifacts = component_rows.artifacts(connection, catalog_id)
        contents = {each.content.content_id for each in artifacts if each.content is not None}
        numbers = component_rows.affecting(connection, contents)
        affected: dict[int, int] = Counter(
            pair.content_id for pair in component_rows.pairs_of(connection, sorted(numbers)) if pair.answer != OPEN
        )
        rows = []
        for each in artifacts:
            content = each.content
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
                    "state": _overall(each, uncovered, affected.get(0 if content is None else content.content_id, 0)),
                    "components": 0 if content is None else content.components,
                    "not_assessed": 0 if content is None else content.unassessed,
                    "not_assessed_components": _named_unassessed(connection, each),
                    "uncovered": uncovered,
                    "as_of": min(times, default=None),
                    "fault": "" if content is None else content.fault,
                }
            )
        return rows


def _by_id(versions: Sequence[AdvisoryVersion]) -> dict[str, list[AdvisoryVersion]]:
    found: dict[str, list[AdvisoryVersion]] = {}
    for each in versions:
        found.setdefault(each.advisory_id, []).append(each)
    return found


def _row(
    advisory_id: str, judge: Judge, judged: Sequence[Judged], urgency: Urgency, population: Population
) -> dict[str, Any]:
    """An advisory as lists show it."""
    return {
        "advisory_id": advisory_id,
        "aliases": [name for name in judge.names if name != advisory_id],
        "summary": next((each.summary for each in judge.versions if each.summary), ""),
        **urgency.document(),
        "images": _counted(each.state for each in judged),
        "devices": population.counts().get(State.AFFECTED.value, 0),
        "stale": not judge.is_fresh,
    }


def _overall(artifact: Artifact, uncovered: Mapping[str, str], affected: int) -> str:
    content = artifact.content
    if affected:
        return State.AFFECTED.value
    if content is None or content.fault or uncovered:
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


def _catalog_id(connection: Connection, catalog: str | None) -> UUID | None:
    return None if catalog is None else catalog_or_raise(connection, catalog).catalog_id


def _record(version: AdvisoryVersion, feeds: Mapping[str, Feed]) -> dict[str, Any]:
    feed = feeds.get(version.feed)
    current = None if feed is None else feed.current
    return {
        "feed": version.feed,
        "advisory_id": version.advisory_id,
        "published_at": version.published_at,
        "modified_at": version.modified_at,
        "withdrawn_at": version.withdrawn_at,
        "summary": version.summary,
        "fixed": {name: list(found) for name, found in version.fixed.items()},
        "sha256": version.digest.hex(),
        "edition": version.from_edition,
        "feed_as_of": None if current is None else current.as_of,
    }


def _artifact(judged: Judged) -> dict[str, Any]:
    one = judged.artifact
    return {
        "kind": "release" if one.catalog_id is None else "image",
        "id": str(one.artifact_id),
        "catalog_id": None if one.catalog_id is None else str(one.catalog_id),
        "name": one.name,
        "state": judged.state.value,
        "components": sorted(set(judged.purls)),
        "reason": judged.reason,
    }


def _audit(connection: Connection, judge: Judge) -> list[dict[str, Any]]:
    """The audit lines that prove from which signed imports this is known, the newest first."""
    feeds = sorted({each.feed for each in judge.versions})
    pages = (audit_rows.page(connection, limit=MAX_LINES, before=None, target=feed) for feed in feeds)
    lines = [row_of(line) for page in pages for line in page.items]
    return sorted(lines, key=lambda each: each["number"], reverse=True)


def row_of(line: AuditLine) -> dict[str, Any]:
    """An audit line as JSON shows it, with the hash that chains it."""
    return {
        "number": line.number,
        "at": line.at,
        "actor": line.actor,
        "operation": line.operation,
        "target": line.target,
        "detail": dict(line.detail),
        "previous_hash": line.previous_hash.hex(),
        "hash": line.hash.hex(),
    }


def _counted(states: Any) -> dict[str, int]:
    found = Counter(states)
    return {state.value: found[state] for state in State if found[state]}


def _percent(curve: Sequence[Mapping[str, int]]) -> float | None:
    """How much of what was affected is repaired, by devices; None where none was."""
    last = curve[-1]
    ever = last["affected"] + last["patched"]
    return round(100 * last["patched"] / ever, 2) if ever else None


def _no_advisory(advisory_id: str) -> NotFoundError:
    return NotFoundError(
        f"no feed has an advisory {advisory_id!a:.140}",
        remedy="That is no statement about devices: look at the feeds: armillary advisory-feed list.",
    )
