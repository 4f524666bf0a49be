# SPDX-License-Identifier: Apache-2.0
"""Roll-outs and the state of each device in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.queries.planning import parts
from armillary.engines.records.queries.planning.reach import devices_in_reach
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import (
    Rollout,
    RolloutCohort,
    RolloutCrashes,
    RolloutDevice,
    RolloutEvent,
    RolloutPart,
)
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.rollout.ended import PastRollout
from armillary.rollout.policy import from_json, to_json
from armillary.rollout.state import LIVING
from armillary.rollout.tally import LEFT, UNFINISHED

_rollout, _part, _evidence = schema.rollout, schema.rollout_device, schema.rollout_evidence
_device = schema.device
_group, _product, _catalog = schema.device_group, schema.product, schema.catalog
_release, _feed = schema.os_release, schema.os_feed

# Events that are stored with a roll-out; the audit log has them all.
MAX_HISTORY = 200


def add(connection: Connection, rollout: Rollout) -> None:
    """Record a roll-out."""
    only = rollout.catalog_id if rollout.release_id is not None else None
    values = to_row(_rollout, rollout, policy=json.dumps(to_json(rollout.policy)), history=None, only_catalog_id=only)
    connection.execute(insert(_rollout).values(values))
    parts.add(connection, rollout.rollout_id, rollout.further)


def one(connection: Connection, rollout_id: UUID) -> Rollout | None:
    """The roll-out of an id."""
    return first(connection, _rollouts().where(_rollout.c.rollout_id == rollout_id), partial(_counted, connection))


def uncounted(connection: Connection, rollout_id: UUID) -> Rollout | None:
    """The roll-out of an id, without its counts."""
    return _first(connection, _rollouts().where(_rollout.c.rollout_id == rollout_id))


def living(connection: Connection) -> tuple[Rollout, ...]:
    """Roll-outs under way, oldest first, without their counts."""
    rows = connection.execute(_rollouts().where(_rollout.c.state.in_(LIVING)).order_by(_rollout.c.number)).all()
    further = parts.of_rollouts(connection, [row.rollout_id for row in rows])
    return tuple(_as_rollout(row, further=further.get(row.rollout_id, ())) for row in rows)


def living_of_feed(connection: Connection, chip: str, feed: str) -> Rollout | None:
    """The roll-out of an OS release under way for a chip and a feed, whatever its catalogs, without its counts."""
    query = _rollouts().where(_rollout.c.feed == feed, _release.c.chip == chip, _rollout.c.state.in_(LIVING))
    return _first(connection, query)


def living_of_release(connection: Connection, release_id: UUID) -> Rollout | None:
    """The roll-out of an OS release under way, without its counts."""
    query = _rollouts().where(_rollout.c.release_id == release_id, _rollout.c.state.in_(LIVING))
    return _first(connection, query)


def past_of_systems(connection: Connection) -> tuple[PastRollout, ...]:
    """Roll-outs of OS releases that are not revoked, as far as they leave something behind, oldest first.

    Without those to an earlier feed of the same name.
    """
    query = (
        select(
            _rollout.c.rollout_id,
            _rollout.c.release_id,
            _rollout.c.feed,
            _rollout.c.only_catalog_id.label("catalog_id"),
            _rollout.c.state,
            _rollout.c.from_feed,
        )
        .join(_release, _release.c.release_id == _rollout.c.release_id)
        .join(_feed, _feed.c.name == _rollout.c.feed, isouter=True)
        .where(
            _release.c.withdrawn_at.is_(None),
            _rollout.c.state.not_in(("proposed", "cancelled")),
            _feed.c.created_at.is_(None) | (_feed.c.created_at <= _rollout.c.created_at),
        )
        .order_by(_rollout.c.number)
    )
    return every(connection, query, partial(from_row, PastRollout))


def living_of_group(connection: Connection, group_id: UUID) -> Rollout | None:
    """The roll-out under way in a group, without its counts."""
    decides = (_rollout.c.group_id == group_id) | _rollout.c.rollout_id.in_(parts.with_group(group_id))
    return _first(connection, _rollouts().where(decides, _rollout.c.state.in_(LIVING)))


def page(
    connection: Connection,
    *,
    catalog_id: UUID | None,
    state: str | None,
    limit: int,
    before: int | None,
    rising: bool = False,
) -> Page[Rollout]:
    """Roll-outs, newest first, or with ``rising`` oldest first."""
    query = _rollouts()
    if catalog_id is not None:
        query = query.where(_catalog.c.catalog_id == catalog_id)
    if state is not None:
        query = query.where(_rollout.c.state == state)
    read = partial(_counted, connection)
    return newest_first(connection, query, _rollout, read, limit=limit, before=before, rising=rising)


def change(connection: Connection, rollout_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a roll-out."""
    connection.execute(update(_rollout).where(_rollout.c.rollout_id == rollout_id).values(dict(values)))


def note(connection: Connection, rollout_id: UUID, event: RolloutEvent) -> None:
    """Add an event to a roll-out's history; beyond :data:`MAX_HISTORY` the oldest are deleted."""
    row = connection.execute(select(_rollout.c.history).where(_rollout.c.rollout_id == rollout_id)).scalar_one()
    noted = {**asdict(event), "finding_id": None if event.finding_id is None else str(event.finding_id)}
    change(connection, rollout_id, {"history": json.dumps([*json.loads(row or "[]"), noted][-MAX_HISTORY:])})


def devices(
    connection: Connection, rollout_id: UUID, *, now: int, failed: bool = False, limit: int, after: str | None
) -> Page[RolloutDevice]:
    """The devices a roll-out has started, or those of them that failed, by id."""

    def read(row: Row[Any]) -> RolloutDevice:
        waits = row.state in UNFINISHED and row.timed_from > max(row.started_at, now)
        return from_row(RolloutDevice, row, failure=row.failure or "", waits_until=row.timed_from if waits else None)

    query = (
        select(_part, _device.c.device_id)
        .join(_device, _device.c.number == _part.c.device_number)
        .where(_part.c.rollout_id == rollout_id)
        .order_by(_device.c.device_id)
        .limit(limit + 1)
    )
    if failed:
        query = query.where(_part.c.failure.is_not(None))
    if after is not None:
        query = query.where(_device.c.device_id > after)
    rows = connection.execute(query).all()
    items = tuple(map(read, rows[:limit]))
    return Page(items, items[-1].device_id if len(rows) > limit else None)


def _rollouts() -> Select[Any]:
    owner = func.coalesce(_product.c.catalog_id, _rollout.c.only_catalog_id)
    return (
        select(
            _rollout,
            func.coalesce(_group.c.name, "").label("group"),
            func.coalesce(_product.c.name, "").label("product"),
            func.coalesce(_catalog.c.name, "").label("catalog"),
            _catalog.c.catalog_id,
            func.coalesce(_release.c.chip, "").label("chip"),
            func.coalesce(_release.c.version, "").label("version"),
        )
        .join(_group, _group.c.group_id == _rollout.c.group_id, isouter=True)
        .join(_product, _product.c.product_id == _group.c.product_id, isouter=True)
        .join(_catalog, _catalog.c.catalog_id == owner, isouter=True)
        .join(_release, _release.c.release_id == _rollout.c.release_id, isouter=True)
    )


def _first(connection: Connection, query: Select[Any]) -> Rollout | None:
    """The first roll-out that a query finds, without its counts."""
    return first(connection, query, lambda row: _as_rollout(row, further=_further(connection, row)))


def _further(connection: Connection, row: Row[Any]) -> tuple[RolloutPart, ...]:
    return parts.of_rollouts(connection, [row.rollout_id]).get(row.rollout_id, ())


def _as_rollout(row: Row[Any], **counted: object) -> Rollout:
    return from_row(
        Rollout,
        row,
        policy=from_json(json.loads(row.policy)),
        history=tuple(
            RolloutEvent(**{**noted, "finding_id": None if noted["finding_id"] is None else UUID(noted["finding_id"])})
            for noted in json.loads(row.history or "[]")
        ),
        **{"counts": {}, "failed": 0, "cohorts": (), "further": (), "crashes": None, **counted},
    )


def _counted(connection: Connection, row: Row[Any]) -> Rollout:
    """The roll-out with its counts, from one walk over an index."""
    failed = func.count(_part.c.failure).label("failed")
    query = (
        select(_part.c.cohort, _part.c.state, func.count().label("devices"), failed)
        .where(_part.c.rollout_id == row.rollout_id)
        .group_by(_part.c.cohort, _part.c.state)
    )
    policy = from_json(json.loads(row.policy))
    names = [policy.step_name(index) for index in range(policy.steps)]
    cohorts = [RolloutCohort(name, {}, 0) for name in names[: row.cohort + 1]]
    counts: Counter[str] = Counter()
    failures = 0
    for found in connection.execute(query):
        counts[found.state] += found.devices
        failures += found.failed
        if 0 <= found.cohort < len(cohorts):
            known = cohorts[found.cohort]
            cohorts[found.cohort] = RolloutCohort(
                known.name, {**known.counts, found.state: found.devices}, known.failed + found.failed
            )
    made = _as_rollout(row, failed=failures, cohorts=tuple(cohorts), further=_further(connection, row))
    waiting = devices_in_reach(connection, made) - sum(count for state, count in counts.items() if state != LEFT)
    return replace(made, counts={**counts, "waiting": max(0, waiting)}, crashes=_crashes(connection, made))


def _crashes(connection: Connection, rollout: Rollout) -> RolloutCrashes | None:
    """What is kept of a roll-out's crashes until it has ended."""
    document = connection.execute(
        select(_evidence.c.document).where(_evidence.c.rollout_id == rollout.rollout_id)
    ).scalar()
    if document is None or not rollout.policy.false_hold_percent:
        return None
    from armillary.detect.sequential import CrashEvidence  # noqa: PLC0415 - memory: where something crashed
    from armillary.engines.records.queries.planning.crashes import evidence_from  # noqa: PLC0415 - as above
    from armillary.rollout.comparison import limit  # noqa: PLC0415 - as above

    found = CrashEvidence(*evidence_from(document))
    share = max(0.0, found.log) / limit(rollout.policy)
    return RolloutCrashes(found.new, found.before, min(100, int(100 * share)))


def names(connection: Connection, deployment_id: UUID) -> bool:
    """Whether a roll-out distributes the deployment or would roll back to it."""
    return any(
        connection.execute(
            select(table.c.rollout_id)
            .where((table.c.deployment_id == deployment_id) | (table.c.previous_deployment_id == deployment_id))
            .limit(1)
        ).first()
        is not None
        for table in (_rollout, schema.rollout_group)
    )
