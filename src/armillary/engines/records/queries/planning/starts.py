# SPDX-License-Identifier: Apache-2.0
"""What a plan changes: devices that start, and devices whose state is another."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, bindparam, literal, select, update

from armillary.engines.records.queries.planning.reach import in_reach, place
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import EVERYBODY

_device, _part = schema.device, schema.rollout_device


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
    columns = {"rollout_id": rollout.rollout_id, "cohort": cohort, "state": "started", "started_at": now, "reason": ""}
    chosen = select(
        _device.c.number, *(literal(value, _part.c[name].type).label(name) for name, value in columns.items())
    ).where(ahead, places <= reach)
    started = dialect.insert_selected(connection, _part, ("device_number", *columns), chosen)
    return started, int(reach), is_more


def start(connection: Connection, rollout_id: UUID, cohort: int, numbers: Sequence[int], *, now: int) -> int:
    """Start devices out of order; returns how many had not started before."""
    values = {"rollout_id": rollout_id, "cohort": cohort, "state": "started", "started_at": now, "reason": ""}
    return dialect.insert_new(connection, _part, [{**values, "device_number": number} for number in numbers])


def move(connection: Connection, rollout_id: UUID, values: Sequence[dict[str, object]]) -> None:
    """Set columns of devices in a roll-out: each with ``device_number``, all with the same other columns."""
    mine = (_part.c.rollout_id == rollout_id) & (_part.c.device_number == bindparam("of_device"))
    rows = [{"of_device": row["device_number"], **row} for row in values]
    names = [name for name in values[0] if name != "device_number"]
    connection.execute(
        update(_part).where(mine).values({name: bindparam(f"new_{name}") for name in names}),
        [{"of_device": row["of_device"], **{f"new_{name}": row[name] for name in names}} for row in rows],
    )
