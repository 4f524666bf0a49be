# SPDX-License-Identifier: Apache-2.0
"""The device groups of a roll-out of applications that its rings name, each with what it gets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import Connection, Select, insert, select, update

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import RolloutPart
from armillary.engines.records.schema.rows import from_row

_table, _group, _product, _catalog = schema.rollout_group, schema.device_group, schema.product, schema.catalog


def add(connection: Connection, rollout_id: UUID, parts: Collection[RolloutPart]) -> None:
    """Record further device groups of a roll-out."""
    for one in parts:
        connection.execute(
            insert(_table).values(
                rollout_id=rollout_id,
                group_id=one.group_id,
                deployment_id=one.deployment_id,
                previous_deployment_id=one.previous_deployment_id,
            )
        )


def of_rollouts(connection: Connection, rollout_ids: Collection[UUID]) -> Mapping[UUID, tuple[RolloutPart, ...]]:
    """Further device groups by roll-out, in the order of their names; roll-outs without any are not in it."""
    query = (
        select(_table, _group.c.name.label("group"), _product.c.name.label("product"))
        .join(_group, _group.c.group_id == _table.c.group_id)
        .join(_product, _product.c.product_id == _group.c.product_id)
        .where(_table.c.rollout_id.in_(list(rollout_ids)))
        .order_by(_product.c.name, _group.c.name)
    )
    found: dict[UUID, list[RolloutPart]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.rollout_id].append(from_row(RolloutPart, row))
    return {rollout_id: tuple(parts) for rollout_id, parts in found.items()}


def set_previous(connection: Connection, rollout_id: UUID, group_id: UUID, deployment_id: UUID) -> None:
    """Say what a further device group goes back to."""
    here = (_table.c.rollout_id == rollout_id) & (_table.c.group_id == group_id)
    connection.execute(update(_table).where(here).values(previous_deployment_id=deployment_id))


def with_group(group_id: UUID) -> Select[tuple[UUID]]:
    """Roll-outs that decide for a group because a ring names it."""
    return select(_table.c.rollout_id).where(_table.c.group_id == group_id)


def named(connection: Connection, paths: Collection[str]) -> Mapping[str, UUID]:
    """Ids of those device groups that there are, by their paths ``CATALOG/PRODUCT/GROUP``, in any case."""
    found = {}
    for path in paths:
        catalog, product, group = path.split("/")
        query = (
            select(_group.c.group_id)
            .join(_product, _product.c.product_id == _group.c.product_id)
            .join(_catalog, _catalog.c.catalog_id == _product.c.catalog_id)
            .where(
                _catalog.c.name_key == catalog.lower(),
                _product.c.name_key == product.lower(),
                _group.c.name_key == group.lower(),
            )
        )
        if (group_id := connection.execute(query).scalar()) is not None:
            found[path] = group_id
    return found
