# SPDX-License-Identifier: Apache-2.0
"""What a plan changes: devices that start, and devices whose state is another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal, select, update

from armillary.engines.records.queries.planning.reach import in_reach, place
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import EVERYBODY

_device, _status, _part = schema.device, schema.device_status, schema.rollout_device


def start_next(connection: Connection, rollout: Rollout, cohort: int, count: int, *, now: int) -> tuple[int, int, bool]:
    """Start the next ``count`` devices in the roll-out's order: from their next check-in on they are offered it.

    Returns how many started, up to which place, and whether more are left. Devices that had started out of order are
    passed over.
    """
    places = place(rollout.rollout_id)
    ahead = in_reach(rollout) & (places > rollout.reach)
    if (
        rollout.policy.rings or not rollout.by_place
    ):  # else nobody has started out of order, and a look-up each is saved
        mine = (_part.c.device_number == _device.c.number) & (_part.c.rollout_id == rollout.rollout_id)
        ahead &= ~select(_part.c.device_number).where(mine).exists()
    nth = select(places).where(ahead).order_by(places).offset(count - 1).limit(1)
    reach = connection.execute(nth).scalar()
    is_more = reach is not None
    if reach is None:
        reach = EVERYBODY
    columns = _started(rollout.rollout_id, cohort, now)
    chosen = select(
        _device.c.number, *(literal(value, _part.c[name].type).label(name) for name, value in columns.items())
    ).where(ahead, places <= reach)
    started = dialect.insert_selected(connection, _part, ("device_number", *columns), chosen)
    return started, int(reach), is_more


def start_ring(
    connection: Connection, rollout: Rollout, cohort: int, groups: Collection[UUID], count: int, *, now: int
) -> tuple[int, int]:
    """Start up to ``count`` devices of a ring's groups; returns how many started, and how many are left."""
    mine = (_part.c.device_number == _device.c.number) & (_part.c.rollout_id == rollout.rollout_id)
    waits = in_reach(rollout) & _device.c.group_id.in_(groups) & ~select(_part.c.device_number).where(mine).exists()
    columns = _started(rollout.rollout_id, cohort, now)
    chosen = (
        select(_device.c.number, *(literal(value, _part.c[name].type).label(name) for name, value in columns.items()))
        .where(waits)
        .order_by(_device.c.number)
        .limit(count)
    )
    started = dialect.insert_selected(connection, _part, ("device_number", *columns), chosen)
    left = connection.execute(select(func.count()).select_from(_device).where(waits)).scalar_one()
    return started, int(left)


def start(connection: Connection, rollout_id: UUID, cohort: int, numbers: Sequence[int], *, now: int) -> int:
    """Start devices out of order; returns how many had not started before."""
    values = _started(rollout_id, cohort, now)
    return dialect.insert_new(connection, _part, [{**values, "device_number": number} for number in numbers])


def add_runners(connection: Connection, rollout: Rollout, *, now: int) -> int:
    """Add the devices that run the roll-out's OS release and that it did not start: they got it from the feed.

    Returns how many there were.
    """
    mine = (_part.c.device_number == _device.c.number) & (_part.c.rollout_id == rollout.rollout_id)
    known = select(_part.c.device_number).where(mine).exists()
    runs = select(_status.c.device_number).where(_status.c.os_version == rollout.version)
    columns = _started(rollout.rollout_id, rollout.cohort, now)
    columns |= {"state": "confirmed", "offered_at": now, "finished_at": now}
    chosen = select(
        _device.c.number, *(literal(value, _part.c[name].type).label(name) for name, value in columns.items())
    ).where(in_reach(rollout), ~known, _device.c.number.in_(runs))
    return dialect.insert_selected(connection, _part, ("device_number", *columns), chosen)


def _started(rollout_id: UUID, cohort: int, now: int) -> dict[str, object]:
    return {
        "rollout_id": rollout_id,
        "cohort": cohort,
        "state": "started",
        "started_at": now,
        "timed_from": now,
        "reason": "",
    }


def move(connection: Connection, rollout_id: UUID, values: Sequence[dict[str, object]]) -> None:
    """Set columns of devices in a roll-out: each with ``device_number``, all with the same other columns.

    When a device was offered it first is not written over.
    """
    mine = (_part.c.rollout_id == rollout_id) & (_part.c.device_number == bindparam("of_device"))
    rows = [{"of_device": row["device_number"], **row} for row in values]
    names = [name for name in values[0] if name != "device_number"]
    new: dict[str, ColumnElement[Any]] = {name: bindparam(f"new_{name}", type_=_part.c[name].type) for name in names}
    if "offered_at" in new:
        new["offered_at"] = func.coalesce(_part.c.offered_at, new["offered_at"])
    connection.execute(
        update(_part).where(mine).values(new),
        [{"of_device": row["of_device"], **{f"new_{name}": row[name] for name in names}} for row in rows],
    )
