# SPDX-License-Identifier: Apache-2.0
"""The devices that a roll-out is for, and where each of them stands in its order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, or_, select

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.cohort import PRIME, order_of

_device, _status, _part = schema.device, schema.device_status, schema.rollout_device
_group, _product, _rollout = schema.device_group, schema.product, schema.rollout
_chosen = schema.action_device

# Ids of one IN list: well below what any database takes.
IDS_AT_ONCE: Final = 500


def in_reach(rollout: Rollout) -> ColumnElement[bool]:
    """The devices that the roll-out is for.

    One to the devices of an action is for those alone. One of an OS release for all catalogs passes those over that
    have it by a completed roll-out of their own.
    """
    if rollout.release_id is None:
        mine = [part.group_id for part in rollout.parts]
        is_mine = _device.c.group_id.in_(mine) if len(mine) > 1 else _device.c.group_id == rollout.group_id
        if rollout.action_id is not None:
            chosen = select(_chosen.c.device_number).where(_chosen.c.action_id == rollout.action_id)
            is_mine &= _device.c.number.in_(chosen)
        return is_mine & _device.c.revoked_at.is_(None)
    groups = select(_group.c.group_id).join(_product, _product.c.product_id == _group.c.product_id)
    groups = groups.where(_group.c.os_feed == rollout.feed)
    if rollout.only_catalog_id is not None:
        groups = groups.where(_product.c.catalog_id == rollout.only_catalog_id)
    else:
        alone = select(_rollout.c.only_catalog_id).where(
            _rollout.c.release_id == rollout.release_id,
            _rollout.c.feed == rollout.feed,
            _rollout.c.state == "completed",
            _rollout.c.only_catalog_id.is_not(None),
            _rollout.c.from_feed.is_(None),
        )
        groups = groups.where(_product.c.catalog_id.not_in(alone))
    able = select(_status.c.device_number).where(
        or_(*(_status.c.update_status.like(f'%{before}"os"%') for before in ("[", ",")))
    )
    return (
        _device.c.group_id.in_(groups)
        & _device.c.revoked_at.is_(None)
        & (_device.c.chip == rollout.chip)
        & _device.c.number.in_(able)
    )


def devices_in_reach(connection: Connection, rollout: Rollout) -> int:
    """How many devices the roll-out is for, started or not."""
    return int(connection.execute(select(func.count()).select_from(_device).where(in_reach(rollout))).scalar_one())


def devices_of_groups(connection: Connection, rollout: Rollout, group_ids: Collection[UUID]) -> int:
    """How many devices the roll-out is for in these device groups."""
    query = select(func.count()).select_from(_device).where(in_reach(rollout), _device.c.group_id.in_(list(group_ids)))
    return int(connection.execute(query).scalar_one())


def outside_groups(
    connection: Connection, rollout: Rollout, numbers: Collection[int], group_ids: Collection[UUID]
) -> int:
    """How many of these devices, by their row numbers, the roll-out is for and are in none of these groups."""
    found = 0
    for some in portions(numbers):
        query = select(func.count()).select_from(_device).where(in_reach(rollout), _device.c.number.in_(some))
        if group_ids:
            query = query.where(_device.c.group_id.not_in(list(group_ids)))
        found += int(connection.execute(query).scalar_one())
    return found


def place(rollout_id: UUID) -> ColumnElement[int]:
    """A device's place in the order of a roll-out, as ``rollout/cohort.py`` computes it."""
    order = order_of(rollout_id)
    return (_device.c.number * order.multiplier + order.offset) % PRIME


def numbers_of(connection: Connection, rollout: Rollout, device_ids: Collection[str]) -> frozenset[int]:
    """Row numbers of those of these devices that the roll-out is for."""
    found: set[int] = set()
    for some in portions(device_ids):
        query = select(_device.c.number).where(_device.c.device_id.in_(some), in_reach(rollout))
        found.update(connection.execute(query).scalars())
    return frozenset(found)


def out_of_place(connection: Connection, rollout: Rollout) -> frozenset[int]:
    """Row numbers of the devices that the roll-out has started before their place was reached."""
    query = (
        select(_part.c.device_number)
        .join(_device, _device.c.number == _part.c.device_number)
        .where(_part.c.rollout_id == rollout.rollout_id, place(rollout.rollout_id) > rollout.reach)
    )
    return frozenset(connection.execute(query).scalars())


def portions(values: Collection[Any]) -> Iterator[list[Any]]:
    """The values in lists that a statement takes."""
    left = iter(values)
    while some := list(islice(left, IDS_AT_ONCE)):
        yield some
