# SPDX-License-Identifier: Apache-2.0
"""What is asked about advisories, as the API answers it: the list, one with all that it touches, devices, coverage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.advisories import (
    components as component_rows,
    feeds as feed_rows,
    software as software_rows,
)
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.queries.audit import AuditFilter
from armillary.engines.records.schema.advisory_rows import AdvisoryVersion, Artifact, Feed
from armillary.engines.records.schema.rows import AuditLine
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.advisories.covering import covered, stated_affected
from armillary.service.advisories.exposure import (
    MEMBER_STATES,
    Exposure,
    Field,
    Population,
    catalog_of,
    country_of,
    is_of,
    product_of,
)
from armillary.service.advisories.judging import Judge, Judged, first_editions, judge_of
from armillary.service.advisories.of_device import Asked, of_device
from armillary.service.advisories.own_statements import OwnStatements
from armillary.service.advisories.ranking import CRITICAL, Urgency, urgency_of
from armillary.service.advisories.running import KEEP_MOVES_S, Running
from armillary.service.advisories.sets import Sets
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise

# Audit lines of each feed that an advisory is from.
MAX_LINES: Final = 10
# States of an image by which an advisory is not open for it.
_SETTLED: Final = frozenset({State.FIXED.value, State.NOT_AFFECTED.value})
# States that lists of devices are asked for.
LISTED_STATES: Final = (State.AFFECTED, State.UNDER_INVESTIGATION, State.UNKNOWN, State.FIXED, State.NOT_AFFECTED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one advisory: now or (``at``) then, of one product or all, with the audit lines or without."""

    advisory_id: str
    at: int | None
    product_id: UUID | None
    with_audit: bool


class Answers:
    """Questions about advisories, of one catalog or (None) of all. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, sets: Sets, running: Running, own: OwnStatements) -> None:
        self._context = context
        self._own = own
        self._running = running
        self._exposure = Exposure(sets)

    def basis(self) -> dict[str, Any]:
        """What every answer rests on: how many feeds, which of them are stale, and of how many devices it is known."""
        return self._context.records.read(self._basis)

    def _basis(self, connection: Connection, at: int | None = None) -> dict[str, Any]:
        feeds, now = feed_rows.feeds(connection, at), self._context.now() if at is None else at
        stale = [each.name for each in feeds if each.is_stale(now)]
        return {
            "feeds": len(feeds),
            "stale": stale,
            "taken_in": self._running.taken_in(connection).document(),
            "devices_known_since": software_rows.noted_since(connection),
        }

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
        for name in self._own.names(connection, catalog_id):
            groups |= _by_id(feed_rows.versions_named(connection, name))
        judges = Judge.several(connection, groups.values(), self._own.holding, now=self._context.now())
        urgent = self._urgencies(connection, judges)
        rows = []
        for advisory_id, judge, urgency in zip(groups, judges, urgent, strict=True):
            if judge.is_stated:  # perhaps of what no bill of materials lists
                judged = [one for one in map(judge.of, artifacts) if one.state is not State.NOT_AFFECTED]
            else:
                judged = [judge.of(one) for content in judge.pairs for one in contents.get(content, ())]
            if judged:
                population = self._exposure.affected(connection, judge, judged, catalog_id, field)
                rows.append((urgency.rank, _row(advisory_id, judge, judged, urgency, population)))
        rows.sort(key=lambda each: each[1]["advisory_id"])
        rows.sort(key=lambda each: each[0], reverse=True)
        return [row for _, row in rows]

    def _urgencies(self, connection: Connection, judges: Sequence[Judge], at: int | None = None) -> list[Urgency]:
        known = feed_rows.exploited(connection, {name for judge in judges for name in judge.names})
        if at is not None:
            known = {name: each.as_of(at) for name, each in known.items()}
        feeds, now = feed_rows.feeds(connection, at), self._context.now() if at is None else at
        return [urgency_of(each.versions, each.names, known, feeds, now) for each in judges]

    # -- one advisory -----------------------------------------------------------------------------------------------

    def show(
        self,
        advisory_id: str,
        catalog: str | None = None,
        *,
        at: int | None = None,
        with_audit: bool = False,
        product_id: UUID | None = None,
    ) -> dict[str, Any]:
        """An advisory: what it says, images and releases by their states, devices, countries, and the curve.

        With ``product_id`` devices are those of a product of the catalog. With ``at`` (Unix seconds) as the service
        would have answered then: by the editions of feeds that were in force, the bills of materials that were read,
        the statements that held and what devices ran.

        Raises:
            NotFoundError: no feed has, or had, a record of this name; a time of which nothing is kept.
        """
        self._check_time(at)
        chosen = Wanted(advisory_id, at, product_id, with_audit)
        return self._context.records.read(lambda c: self._show(c, _catalog_id(c, catalog), chosen))

    def _check_time(self, at: int | None) -> None:
        now = self._context.now()
        if at is not None and not now - KEEP_MOVES_S <= at <= now:
            raise NotFoundError(
                f"as of {at}: nothing is kept but of the last {KEEP_MOVES_S // 86_400} days",
                remedy="What devices ran is kept for so long: name a time of it.",
            )

    def _show(self, connection: Connection, catalog_id: UUID | None, chosen: Wanted) -> dict[str, Any]:
        at = chosen.at
        now = self._context.now() if at is None else at
        judge = self._judge(connection, chosen.advisory_id, at)
        judged = self._exposure.judged(connection, judge, catalog_id, at=at)
        population = self._exposure.everywhere(connection, judge, judged, catalog_id, at=at)
        if chosen.product_id is not None:
            population = population.of_product(chosen.product_id)
        feeds = {each.name: each for each in feed_rows.feeds(connection, at)}
        since = min(now, self._known_since(connection, judge))
        asked = partial(is_of, catalog_id=catalog_id, product_id=chosen.product_id)
        curve = self._exposure.curve(connection, judge, judged, population, asked, since=since, now=now)
        countries = population.by(country_of)
        found: dict[str, Any] = {
            "advisory_id": judge.versions[0].advisory_id,
            "asked": chosen.advisory_id,
            "aliases": [name for name in judge.names if name != judge.versions[0].advisory_id],
            "summary": next((each.summary for each in judge.versions if each.summary), ""),
            **self._urgencies(connection, [judge], at)[0].document(),
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
            "basis": self._basis(connection, at),
        }
        if chosen.with_audit:
            found["audit"] = _audit(connection, judge)
        return found

    def _judge(self, connection: Connection, advisory_id: str, at: int | None = None) -> Judge:
        return judge_of(connection, advisory_id, self._own.holding, now=self._context.now(), at=at)

    def _known_since(self, connection: Connection, judge: Judge) -> int:
        """When a feed first brought it here."""
        times = [each.as_of for each in first_editions(connection, judge.versions)]
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
            # An operator may have stated something of what no bill of materials lists
            only = not judge.is_stated
            judged = self._exposure.judged(connection, judge, catalog_id, affected_only=only)
            return self._exposure.affected(connection, judge, judged, catalog_id)
        judged = self._exposure.judged(connection, judge, catalog_id)
        return self._exposure.everywhere(connection, judge, judged, catalog_id)

    def device(
        self, advisory_id: str, device_id: str, *, at: int | None = None, owned_since: int = 0
    ) -> dict[str, Any]:
        """How one device stands, or stood at a time, and all that this rests on; nothing from before ``owned_since``.

        Raises:
            NotFoundError: no feed has ever had a record of this name, there is no such device; a time of which nothing
                is kept.
        """
        self._check_time(at)

        def query(connection: Connection) -> dict[str, Any]:
            asked = Asked(advisory_id, device_id, at, self._context.now(), owned_since)
            return of_device(connection, asked, lambda: self._judge(connection, advisory_id, at), self._exposure)

        return self._context.records.read(query)

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
        (judge,) = Judge.several(connection, [versions], self._own.holding, now=self._context.now())
        judged = self._exposure.judged(connection, judge, None, affected_only=True)
        return judge, judged, self._exposure.affected(connection, judge, judged, None)

    def standing(
        self, connection: Connection, advisory_id: str, catalog_id: UUID
    ) -> tuple[list[Judged], list[tuple[UUID, frozenset[int]]]]:
        """How all images of a catalog stand to an advisory, and its affected devices: groups, each with their sets.

        NotFoundError if no feed has a record of this name.
        """
        judge = self._judge(connection, advisory_id)
        judged = self._exposure.judged(connection, judge, catalog_id)
        population = self._exposure.affected(connection, judge, judged, catalog_id)
        sets: dict[UUID, set[int]] = defaultdict(set)
        for pair in population.of_state(State.AFFECTED):
            sets[pair.group_id].add(pair.set_id)
        return judged, [(group_id, frozenset(found)) for group_id, found in sorted(sets.items())]

    def newest(self, connection: Connection) -> tuple[int, int, int]:
        """What an answer about an advisory rests on besides its records: bills, sets, and how many groups have one."""
        sets, groups = self._exposure.newest_set(connection), software_rows.count_pairs(connection)
        return component_rows.newest_content(connection), sets, groups

    # -- coverage ---------------------------------------------------------------------------------------------------

    def coverage(self, catalog: str | None = None, only: Collection[UUID] | None = None) -> list[dict[str, Any]]:
        """For each image and release, what can be said of it: ``none-known`` is the best that there is, with its date.

        ``only``: these images and releases alone.

        ``unknown`` wherever a feed is stale or missing, or the bill of materials is; ``not-assessed`` where components
        cannot be judged.
        """

        def query(connection: Connection) -> list[dict[str, Any]]:
            catalog_id = _catalog_id(connection, catalog)
            said = self._own.holding(connection, self._own.names(connection, catalog_id))
            return covered(connection, catalog_id, self._context.now(), stated_affected(said), only)

        return self._context.records.read(query)


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
    pages = (
        audit_rows.page(connection, limit=MAX_LINES, before=None, wanted=AuditFilter(target=feed)) for feed in feeds
    )
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
