# SPDX-License-Identifier: Apache-2.0
"""What the planner reads: counters, the devices that reported, and what findings say of started devices.

Each question reads what has changed, or an index: a roll-out over a million devices is planned in some tenths of a
second. Devices that finished and report nothing are in the counters alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from armillary.engines.records.queries.devices import installed_from, update_status_from
from armillary.engines.records.queries.planning.reach import in_reach, portions
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import from_row
from armillary.rollout.tally import LEFT, UNFINISHED, Tally
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.device.update_reason import DEFERRED, ON_TRIAL

_device, _status, _outcome = schema.device, schema.device_status, schema.outcome
_part, _check_in = schema.rollout_device, schema.check_in
_bridged = schema.bridge_device
_concerned = schema.finding_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device that a plan looks at."""

    number: int
    device_id: str
    is_in_reach: bool  # Whether the roll-out is for it now: it is in the group, or in one of the feed, and not revoked
    group_id: UUID | None
    is_on_trial: bool  # Whether it said so with its last check-in
    deferred_until: int | None  # Until when an application puts it off, as it said with its last check-in
    verdict: str | None  # Of its last check-in, as the next four
    os_version: str
    checked_in_at: int | None
    offered_deployment_id: UUID | None  # What its last check-in offered it
    installed: tuple[InstalledImage, ...]
    cohort: int
    state: str  # "" when it has not started
    started_at: int | None
    timed_from: int | None
    offered_at: int | None
    finished_at: int | None


class BadOutcome(NamedTuple):
    """How a device did not take an update."""

    outcome: str  # ``reverted`` or ``failed``
    reason: str
    received_at: int


def tally(connection: Connection, rollout_id: UUID, since: int) -> Tally:
    """Started devices by cohort and state; those that had finished before ``since`` are not recent."""
    recent = _part.c.finished_at.is_(None) | (_part.c.finished_at >= since)
    query = (
        select(_part.c.cohort, _part.c.state, func.count().label("devices"), func.count().filter(recent).label("new"))
        .where(_part.c.rollout_id == rollout_id, _part.c.state != LEFT)
        .group_by(_part.c.cohort, _part.c.state)
    )
    rows = connection.execute(query).all()
    return Tally(
        {(row.cohort, row.state): row.devices for row in rows}, {(row.cohort, row.state): row.new for row in rows}
    )


def reported(connection: Connection, rollout: Rollout, *, after: int, up_to: int) -> list[Member]:
    """Devices of the roll-out that checked in with the check-ins numbered above ``after``, up to ``up_to``."""
    newer = (_check_in.c.number > after) & (_check_in.c.number <= up_to)
    seen = select(_check_in.c.device_number).where(newer).distinct().subquery()
    query = _members(rollout).join(seen, seen.c.device_number == _device.c.number)
    return _read(connection, query.where(or_(_part.c.state.is_not(None), in_reach(rollout))))


def bridged(connection: Connection, rollout: Rollout, *, since: int) -> list[Member]:
    """Bridged devices of the roll-out that were offered something or ended an action since a time."""
    news = (_bridged.c.device_number == _device.c.number) & (_bridged.c.changed_at >= since)
    query = _members(rollout).join(_bridged, news)
    return _read(connection, query.where(or_(_part.c.state.is_not(None), in_reach(rollout))))


def overdue(connection: Connection, rollout: Rollout, *, timed_before: int, limit: int) -> list[Member]:
    """Devices that have not finished and whose time runs since a time or longer."""
    late = (_part.c.state.in_(UNFINISHED)) & (_part.c.timed_from <= timed_before)
    return _read(connection, _members(rollout).where(late).limit(limit))


def never_offered(connection: Connection, rollout: Rollout, *, limit: int) -> list[Member]:
    """Devices that may be offered the deployment and are not known to have been."""
    return _read(connection, _members(rollout).where(_part.c.state == "started").limit(limit))


def failures(
    connection: Connection, rollout: Rollout, image_ids: Collection[UUID], numbers: Collection[int]
) -> dict[int, BadOutcome]:
    """By row number, those of these devices whose newest outcome for the roll-out is bad.

    Outcomes for the roll-out name its deployment; of an OS release they name one of its images.
    """
    is_mine = _outcome.c.deployment_id.in_([part.deployment_id for part in rollout.parts])
    if rollout.release_id is not None:
        is_mine = _outcome.c.image_id.in_(image_ids)
    newest: dict[int, BadOutcome] = {}
    for some in portions(numbers):
        query = (
            select(_outcome.c.device_number, _outcome.c.outcome, _outcome.c.reason, _outcome.c.received_at)
            .where(_outcome.c.device_number.in_(some), is_mine)
            .order_by(_outcome.c.number)
        )
        newest |= {row.device_number: BadOutcome(*row[1:]) for row in connection.execute(query)}
    return {number: failure for number, failure in newest.items() if failure.outcome != "confirmed"}


def named_by(connection: Connection, rollout_id: UUID, findings: Collection[UUID]) -> int:
    """How many different devices that the roll-out has started these findings name."""
    devices: set[int] = set()
    for some in portions(findings):
        query = (
            select(_part.c.device_number)
            .join(_device, _device.c.number == _part.c.device_number)
            .join(_concerned, _concerned.c.device_id == _device.c.device_id)
            .where(_concerned.c.finding_id.in_(some), _part.c.rollout_id == rollout_id, _part.c.state != LEFT)
        )
        devices.update(connection.execute(query).scalars())
    return len(devices)


def _members(rollout: Rollout) -> Select[Any]:
    mine = and_(_part.c.device_number == _device.c.number, _part.c.rollout_id == rollout.rollout_id)
    return (
        select(
            _device.c.number,
            _device.c.device_id,
            _device.c.group_id,
            case((in_reach(rollout), 1), else_=0).label("is_in_reach"),
            _status.c.verdict,
            _status.c.os_version,
            _status.c.checked_in_at,
            _status.c.offered_deployment_id,
            _status.c.installed,
            _status.c.update_status,
            _part.c.cohort,
            _part.c.state,
            _part.c.started_at,
            _part.c.timed_from,
            _part.c.offered_at,
            _part.c.finished_at,
        )
        .select_from(_device)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_part, mine, isouter=True)
    )


def _read(connection: Connection, query: Select[Any]) -> list[Member]:
    known: dict[str, tuple[InstalledImage, ...]] = {}  # most devices of a group report the same
    return [
        from_row(
            Member,
            row,
            installed=known.get(row.installed) or known.setdefault(row.installed, installed_from(row.installed)),
            is_in_reach=bool(row.is_in_reach),
            **_said(row.update_status),
            cohort=-1 if row.cohort is None else row.cohort,
            state=row.state or "",
        )
        for row in connection.execute(query)
    ]


def _said(document: str | None) -> dict[str, Any]:
    """What a device said about its update with its last check-in."""
    status = None if document is None else update_status_from(document)
    reason = "" if status is None else status.reason
    return {
        "is_on_trial": reason == ON_TRIAL,
        "deferred_until": status.until if status is not None and reason == DEFERRED else None,
    }
