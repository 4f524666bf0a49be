# SPDX-License-Identifier: Apache-2.0
"""Roll-outs and the state of each device in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from armillary.engines.records.queries.devices import installed_from
from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutDevice, RolloutEvent
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.rollout.policy import from_json, to_json
from armillary.wire.device.checkin import InstalledImage

_rollout, _part = schema.rollout, schema.rollout_device
_device, _status, _outcome = schema.device, schema.device_status, schema.outcome
_group, _product, _catalog = schema.device_group, schema.product, schema.catalog

# States of a roll-out that is under way.
LIVING = ("running", "held", "rolling-back")
# Events that are stored with a roll-out; the audit log has them all.
MAX_HISTORY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of a roll-out's group, for the planner's inventory."""

    number: int
    device_id: str
    checked_in_at: int | None
    offered_deployment_id: UUID | None  # What its last check-in offered it
    installed: tuple[InstalledImage, ...]
    cohort: int
    state: str  # "" when it has not started
    started_at: int | None
    offered_at: int | None
    finished_at: int | None


def add(connection: Connection, rollout: Rollout) -> None:
    """Record a roll-out."""
    values = to_row(_rollout, rollout, policy=json.dumps(to_json(rollout.policy)), history=None)
    connection.execute(insert(_rollout).values(values))


def one(connection: Connection, rollout_id: UUID) -> Rollout | None:
    """The roll-out of an id."""
    return first(connection, _rollouts().where(_rollout.c.rollout_id == rollout_id), partial(_as_rollout, connection))


def living(connection: Connection) -> tuple[Rollout, ...]:
    """Roll-outs under way, oldest first."""
    query = _rollouts().where(_rollout.c.state.in_(LIVING)).order_by(_rollout.c.number)
    return tuple(_as_rollout(connection, row) for row in connection.execute(query).all())


def living_of_group(connection: Connection, group_id: UUID) -> Rollout | None:
    """The roll-out under way in a group."""
    query = _rollouts().where(_rollout.c.group_id == group_id, _rollout.c.state.in_(LIVING))
    return first(connection, query, partial(_as_rollout, connection))


def page(
    connection: Connection, *, catalog_id: UUID | None, state: str | None, limit: int, before: int | None
) -> Page[Rollout]:
    """Roll-outs, newest first."""
    query = _rollouts()
    if catalog_id is not None:
        query = query.where(_catalog.c.catalog_id == catalog_id)
    if state is not None:
        query = query.where(_rollout.c.state == state)
    return newest_first(connection, query, _rollout, partial(_as_rollout, connection), limit=limit, before=before)


def change(connection: Connection, rollout_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a roll-out: state, cohort, cohort_started_at, reason, changed_at."""
    connection.execute(update(_rollout).where(_rollout.c.rollout_id == rollout_id).values(dict(values)))


def note(connection: Connection, rollout_id: UUID, event: RolloutEvent) -> None:
    """Add an event to a roll-out's history; beyond :data:`MAX_HISTORY` the oldest are deleted."""
    row = connection.execute(select(_rollout.c.history).where(_rollout.c.rollout_id == rollout_id)).scalar_one()
    noted = {**asdict(event), "finding_id": None if event.finding_id is None else str(event.finding_id)}
    change(connection, rollout_id, {"history": json.dumps([*json.loads(row or "[]"), noted][-MAX_HISTORY:])})


def members(connection: Connection, rollout: Rollout) -> list[Member]:
    """Every device of the roll-out's group that is not revoked, and every device that it started."""
    joined = _part.c.rollout_id == rollout.rollout_id
    query = (
        select(
            _device.c.number,
            _device.c.device_id,
            _status,
            _part.c.cohort,
            _part.c.state,
            _part.c.started_at,
            _part.c.offered_at,
            _part.c.finished_at,
        )
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_part, (_part.c.device_number == _device.c.number) & joined, isouter=True)
        .where((_device.c.group_id == rollout.group_id) & (_device.c.revoked_at.is_(None)))
        .order_by(_device.c.device_id)
    )
    return [
        from_row(
            Member,
            row,
            installed=installed_from(row.installed),
            cohort=-1 if row.cohort is None else row.cohort,
            state=row.state or "",
        )
        for row in connection.execute(query)
    ]


def failures(connection: Connection, deployment_id: UUID) -> dict[int, tuple[str, str]]:
    """Devices whose newest outcome for the deployment is bad: row number to (outcome, reason)."""
    query = (
        select(_outcome.c.device_number, _outcome.c.outcome, _outcome.c.reason)
        .where(_outcome.c.deployment_id == deployment_id)
        .order_by(_outcome.c.number)
    )
    newest = {number: (outcome, reason) for number, outcome, reason in connection.execute(query)}
    return {number: failure for number, failure in newest.items() if failure[0] != "confirmed"}


def start(connection: Connection, rollout_id: UUID, cohort: int, numbers: Sequence[int], *, now: int) -> None:
    """Start devices: from their next check-in on they are offered the roll-out's deployment."""
    values = {"rollout_id": rollout_id, "cohort": cohort, "state": "started", "started_at": now, "reason": ""}
    dialect.insert_new(connection, _part, [{**values, "device_number": number} for number in numbers])


def move(connection: Connection, rollout_id: UUID, number: int, values: Mapping[str, object]) -> None:
    """Set columns of a device in a roll-out: state, offered_at, finished_at, failure, reason."""
    connection.execute(
        update(_part).where(_part.c.rollout_id == rollout_id, _part.c.device_number == number).values(dict(values))
    )


def started(connection: Connection, rollout_id: UUID) -> frozenset[int]:
    """Row numbers of the devices a roll-out has started."""
    query = select(_part.c.device_number).where(_part.c.rollout_id == rollout_id)
    return frozenset(connection.execute(query).scalars())


def devices(connection: Connection, rollout_id: UUID, *, limit: int, after: str | None) -> Page[RolloutDevice]:
    """The devices a roll-out has started, by id."""
    query = (
        select(_part, _device.c.device_id)
        .join(_device, _device.c.number == _part.c.device_number)
        .where(_part.c.rollout_id == rollout_id)
        .order_by(_device.c.device_id)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(_device.c.device_id > after)
    rows = connection.execute(query).all()
    items = tuple(from_row(RolloutDevice, row, failure=row.failure or "") for row in rows[:limit])
    return Page(items, items[-1].device_id if len(rows) > limit else None)


def _rollouts() -> Select[Any]:
    return (
        select(
            _rollout,
            _group.c.name.label("group"),
            _product.c.name.label("product"),
            _catalog.c.name.label("catalog"),
            _catalog.c.catalog_id,
        )
        .join(_group, _group.c.group_id == _rollout.c.group_id)
        .join(_product, _product.c.product_id == _group.c.product_id)
        .join(_catalog, _catalog.c.catalog_id == _product.c.catalog_id)
    )


def _as_rollout(connection: Connection, row: Row[Any]) -> Rollout:
    counted = select(_part.c.state, func.count().label("devices")).where(_part.c.rollout_id == row.rollout_id)
    counts = {part.state: part.devices for part in connection.execute(counted.group_by(_part.c.state))}
    in_group = (_device.c.group_id == row.group_id) & _device.c.revoked_at.is_(None)
    total = connection.execute(select(func.count()).select_from(_device).where(in_group)).scalar_one()
    counts["waiting"] = max(0, total - sum(counts.values()))
    failed = select(func.count()).where(_part.c.rollout_id == row.rollout_id, _part.c.failure.is_not(None))
    return from_row(
        Rollout,
        row,
        policy=from_json(json.loads(row.policy)),
        counts=counts,
        failed=int(connection.execute(failed).scalar_one()),
        history=tuple(
            RolloutEvent(**{**noted, "finding_id": None if noted["finding_id"] is None else UUID(noted["finding_id"])})
            for noted in json.loads(row.history or "[]")
        ),
    )


def names(connection: Connection, deployment_id: UUID) -> bool:
    """Whether a roll-out distributes the deployment or would roll back to it."""
    either = (_rollout.c.deployment_id == deployment_id) | (_rollout.c.previous_deployment_id == deployment_id)
    return connection.execute(select(_rollout.c.number).where(either).limit(1)).first() is not None
