# SPDX-License-Identifier: Apache-2.0
"""How devices did with the release before, and how those that have not started do."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from armillary.engines.records.queries.planning.reach import in_reach
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.tally import FINISHED

_device, _status, _part = schema.device, schema.device_status, schema.rollout_device

# Devices that stand for all that have not started, where their silence is counted.
SAMPLE: Final = 20_000


def taken_back_before(connection: Connection, rollout: Rollout) -> tuple[int, int]:
    """Of the roll-out that brought what was before: devices that took it back, and all that tried."""
    table, release = schema.rollout, schema.os_release
    earlier = select(table.c.rollout_id).where(table.c.rollout_id != rollout.rollout_id)
    if rollout.release_id is None:
        brought = [part.previous_deployment_id for part in rollout.parts if part.previous_deployment_id is not None]
        further = schema.rollout_group
        named = select(further.c.rollout_id).where(further.c.deployment_id.in_(brought))
        earlier = earlier.where(table.c.deployment_id.in_(brought) | table.c.rollout_id.in_(named))
    else:
        earlier = earlier.join(release, release.c.release_id == table.c.release_id)
        earlier = earlier.where(
            table.c.feed == rollout.feed, release.c.chip == rollout.chip, table.c.state == "completed"
        )
        earlier = earlier.order_by(table.c.number.desc()).limit(1)
    failed = _part.c.failure.in_(("reverted", "failed"))
    tried = _part.c.state.in_(FINISHED) & (_part.c.state != "timed-out")
    query = select(func.count().filter(failed), func.count().filter(tried)).where(_part.c.rollout_id.in_(earlier))
    took_back, all_of_them = connection.execute(query).one()
    return int(took_back), int(all_of_them)


def silent_share(connection: Connection, rollout: Rollout, *, before: int, devices: int) -> tuple[int, int]:
    """Of the devices that have not started: how many have not checked in since a time, and how many were counted.

    Of more than :data:`SAMPLE` devices every n-th is counted.
    """
    step = max(1, devices // SAMPLE)
    mine = (_part.c.device_number == _device.c.number) & (_part.c.rollout_id == rollout.rollout_id)
    waits = in_reach(rollout) & _part.c.device_number.is_(None) & (_device.c.number % step == 0)
    silent = _status.c.checked_in_at.is_(None) | (_status.c.checked_in_at < before)
    query = (
        select(func.count().filter(silent), func.count())
        .select_from(_device)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_part, mine, isouter=True)
        .where(waits)
    )
    quiet, counted = connection.execute(query).one()
    return int(quiet), int(counted)
