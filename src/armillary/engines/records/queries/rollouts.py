# SPDX-License-Identifier: Apache-2.0
"""Roll-outs and where each device stands in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from armillary.engines.records.queries.devices import installed_from
from armillary.engines.records.queries.pages import newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rollout_rows import Rollout, RolloutDevice, RolloutEvent
from armillary.engines.records.schema.rows import Page, from_row
from armillary.rollout.policy import from_json, to_json
from armillary.wire.device.checkin import InstalledImage

_rollout, _part = schema.rollout, schema.rollout_device
_device, _status, _outcome = schema.device, schema.device_status, schema.outcome
_group, _product, _catalog = schema.device_group, schema.product, schema.catalog

# States in which a roll-out still decides what devices get.
LIVING = ("running", "held", "rolling-back")
# Events of a roll-out that are kept with it; the audit log has them all.
MAX_HISTORY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of a roll-out's group, as the planner's inventory needs it.

    Attributes:
        state: Its state in the roll-out, or "" when it has not started.
        offered_deployment_id: What its last check-in offered it.
    """

    number: int
    device_id: str
    checked_in_at: int | None
    offered_deployment_id: UUID | None
    installed: tuple[InstalledImage, ...]
    cohort: int
    state: str
    started_at: int | None
    offered_at: int | None
    finished_at: int | None


def add(connection: Connection, rollout: Rollout) -> None:
    """Record a roll-out."""
    connection.execute(
        insert(_rollout).values(
            rollout_id=rollout.rollout_id,
            group_id=rollout.group_id,
            deployment_id=rollout.deployment_id,
            previous_deployment_id=rollout.previous_deployment_id,
            policy=json.dumps(to_json(rollout.policy)),
            state=rollout.state,
            cohort=rollout.cohort,
            cohort_started_at=rollout.cohort_started_at,
            reason=rollout.reason,
            created_at=rollout.created_at,
            created_by=rollout.created_by,
            changed_at=rollout.changed_at,
        )
    )


def one(connection: Connection, rollout_id: UUID) -> Rollout | None:
    """A roll-out with its counts."""
    row = connection.execute(_rollouts().where(_rollout.c.rollout_id == rollout_id)).first()
    return None if row is None else _as_rollout(connection, row)


def living(connection: Connection) -> tuple[Rollout, ...]:
    """Roll-outs that still decide what devices get, oldest first."""
    query = _rollouts().where(_rollout.c.state.in_(LIVING)).order_by(_rollout.c.number)
    return tuple(_as_rollout(connection, row) for row in connection.execute(query).all())


def living_of_group(connection: Connection, group_id: UUID) -> Rollout | None:
    """The roll-out that decides for a group, if there is one."""
    query = _rollouts().where(_rollout.c.group_id == group_id, _rollout.c.state.in_(LIVING))
    row = connection.execute(query).first()
    return None if row is None else _as_rollout(connection, row)


def page(
    connection: Connection, *, catalog_id: UUID | None, state: str | None, limit: int, before: int | None
) -> Page[Rollout]:
    """Roll-outs, newest first."""
    query = _rollouts()
    if catalog_id is not None:
        query = query.where(_catalog.c.catalog_id == catalog_id)
    if state is not None:
        query = query.where(_rollout.c.state == state)
    return newest_first(
        connection, query, _rollout, lambda row: _as_rollout(connection, row), limit=limit, before=before
    )


def change(connection: Connection, rollout_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a roll-out: state, cohort, cohort_started_at, reason, changed_at."""
    connection.execute(update(_rollout).where(_rollout.c.rollout_id == rollout_id).values(dict(values)))


def note(connection: Connection, rollout_id: UUID, event: RolloutEvent) -> None:
    """Add what happened to a roll-out to its history; beyond :data:`MAX_HISTORY` the oldest goes."""
    row = connection.execute(select(_rollout.c.history).where(_rollout.c.rollout_id == rollout_id)).scalar_one()
    told = {**asdict(event), "finding_id": None if event.finding_id is None else str(event.finding_id)}
    history = [*json.loads(row or "[]"), told][-MAX_HISTORY:]
    connection.execute(update(_rollout).where(_rollout.c.rollout_id == rollout_id).values(history=json.dumps(history)))


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
    newest: dict[int, tuple[str, str]] = {}
    for row in connection.execute(query):
        newest[row.device_number] = (row.outcome, row.reason)
    return {number: told for number, told in newest.items() if told[0] != "confirmed"}


def start(connection: Connection, rollout_id: UUID, cohort: int, numbers: Sequence[int], *, now: int) -> None:
    """Let devices start: from their next check-in they are offered the roll-out's deployment."""
    dialect.insert_new(
        connection,
        _part,
        [
            {
                "rollout_id": rollout_id,
                "device_number": number,
                "cohort": cohort,
                "state": "started",
                "started_at": now,
                "reason": "",
            }
            for number in numbers
        ],
    )


def move(connection: Connection, rollout_id: UUID, number: int, values: Mapping[str, object]) -> None:
    """Set columns of a device in a roll-out: state, offered_at, finished_at, failure, reason."""
    connection.execute(
        update(_part).where(_part.c.rollout_id == rollout_id, _part.c.device_number == number).values(dict(values))
    )


def started(connection: Connection, rollout_id: UUID) -> frozenset[int]:
    """Row numbers of the devices a roll-out has started."""
    query = select(_part.c.device_number).where(_part.c.rollout_id == rollout_id)
    return frozenset(row.device_number for row in connection.execute(query))


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
    everybody = connection.execute(
        select(func.count())
        .select_from(_device)
        .where(_device.c.group_id == row.group_id, _device.c.revoked_at.is_(None))
    ).scalar_one()
    counts["waiting"] = max(0, everybody - sum(counts.values()))
    failed = connection.execute(
        select(func.count()).where(_part.c.rollout_id == row.rollout_id, _part.c.failure.is_not(None))
    ).scalar_one()
    return from_row(
        Rollout,
        row,
        policy=from_json(json.loads(row.policy)),
        counts=counts,
        failed=int(failed),
        history=tuple(
            RolloutEvent(**{**told, "finding_id": None if told["finding_id"] is None else UUID(told["finding_id"])})
            for told in json.loads(row.history or "[]")
        ),
    )


def names(connection: Connection, deployment_id: UUID) -> bool:
    """Whether a roll-out brings or would bring back the deployment."""
    either = (_rollout.c.deployment_id == deployment_id) | (_rollout.c.previous_deployment_id == deployment_id)
    return connection.execute(select(_rollout.c.number).where(either).limit(1)).first() is not None
