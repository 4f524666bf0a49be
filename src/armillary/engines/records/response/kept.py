# SPDX-License-Identifier: Apache-2.0
"""Completed roll-outs to the devices of an action alone: what those keep until their group gets something newer.

Such a roll-out never makes its deployment the group's own: all others of the group stay as they are. So its devices go
on having it until another deployment is put in force for the group.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, select

from armillary.engines.records.queries import rollouts as rollout_rows
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import DeviceGroup

_rollout, _group, _deployment, _part = schema.rollout, schema.device_group, schema.deployment, schema.action_device


def _stands() -> ColumnElement[bool]:
    """A roll-out after whose start nothing was put in force for its group."""
    since = (
        select(func.coalesce(func.max(_deployment.c.in_force_at), 0))
        .where(_deployment.c.deployment_id == _group.c.deployment_id)
        .correlate(_group)
        .scalar_subquery()
    )
    return and_(_rollout.c.action_id.is_not(None), _rollout.c.state == "completed", since <= _rollout.c.created_at)


def by_group(connection: Connection) -> Mapping[UUID, tuple[Rollout, ...]]:
    """The roll-outs that stand, by device group, the newest first."""
    query = (
        select(_rollout.c.rollout_id)
        .join(_group, _group.c.group_id == _rollout.c.group_id)
        .where(_stands())
        .order_by(_rollout.c.number.desc())
    )
    found: dict[UUID, tuple[Rollout, ...]] = {}
    for rollout_id in connection.execute(query).scalars().all():
        one = rollout_rows.uncounted(connection, rollout_id)
        if one is not None and one.group_id is not None:
            found[one.group_id] = (*found.get(one.group_id, ()), one)
    return found


def stands(connection: Connection, rollout_id: UUID) -> bool:
    """Whether a roll-out to the devices of an action is what those have still to have."""
    query = select(_rollout.c.number).join(_group, _group.c.group_id == _rollout.c.group_id)
    return connection.execute(query.where(_rollout.c.rollout_id == rollout_id, _stands())).first() is not None


def newest_deployment(connection: Connection, group: DeviceGroup) -> UUID | None:
    """What devices of a group were given last: by the newest roll-out that stands, else the group's own."""
    standing = by_group(connection).get(group.group_id, ())
    return standing[0].deployment_id if standing else group.deployment_id


def of_device(connection: Connection, device_id: str, group_id: UUID) -> UUID | None:
    """The deployment that a device of a group keeps; None where it has the group's own."""
    for one in by_group(connection).get(group_id, ()):
        if one.action_id is not None and is_chosen(connection, one.action_id, device_id):
            return one.deployment_id
    return None


def is_chosen(connection: Connection, action_id: UUID, device_id: str) -> bool:
    """Whether a device is one of an action's."""
    device = schema.device
    query = (
        select(_part.c.device_number)
        .join(device, device.c.number == _part.c.device_number)
        .where(_part.c.action_id == action_id, device.c.device_id == device_id)
    )
    return connection.execute(query).first() is not None


def numbers(connection: Connection, action_id: UUID) -> list[int]:
    """Row numbers of the devices of an action, in order."""
    query = select(_part.c.device_number).where(_part.c.action_id == action_id).order_by(_part.c.device_number)
    return list(connection.execute(query).scalars())
