# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products and device groups, and when the devices of a group update."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, select, update

from armillary.engines.records.queries import hub as hub_rows
from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Catalog, DeviceGroup, Product, from_row, to_row
from armillary.engines.records.schema.update_rows import UpdateSchedule

# Support that ends within so long is ending.
ENDING_S: Final = 180 * 86_400

_catalog, _product, _group = schema.catalog, schema.product, schema.device_group
_schedule = schema.update_schedule
_as_product, _as_group = partial(from_row, Product), partial(from_row, DeviceGroup)


def add_catalog(connection: Connection, catalog: Catalog) -> None:
    """Record a catalog."""
    values = to_row(_catalog, catalog, name_key=catalog.name.lower(), tags=json.dumps(dict(catalog.tags)))
    connection.execute(insert(_catalog).values(values))


def catalog_named(connection: Connection, name: str) -> Catalog | None:
    """The catalog of this name, in any case."""
    return first(connection, select(_catalog).where(_catalog.c.name_key == name.lower()), _as_catalog)


def catalog_by_id(connection: Connection, catalog_id: UUID) -> Catalog | None:
    """The catalog of an id."""
    return first(connection, select(_catalog).where(_catalog.c.catalog_id == catalog_id), _as_catalog)


def catalogs(connection: Connection, resource_group: str | None = None) -> tuple[Catalog, ...]:
    """All catalogs, by name."""
    query = select(_catalog).order_by(_catalog.c.name_key)
    if resource_group is not None:
        query = query.where(func.lower(_catalog.c.resource_group) == resource_group.lower())
    return every(connection, query, _as_catalog)


def set_tags(connection: Connection, catalog_id: UUID, tags: Mapping[str, str]) -> None:
    """Replace a catalog's tags."""
    connection.execute(update(_catalog).where(_catalog.c.catalog_id == catalog_id).values(tags=json.dumps(dict(tags))))


def needs_approval(connection: Connection, catalog_id: UUID) -> bool:
    """Whether roll-outs of the catalog wait for a second person."""
    query = select(_catalog.c.rollout_approval).where(_catalog.c.catalog_id == catalog_id)
    return bool(connection.execute(query).scalar())


def set_needs_approval(connection: Connection, catalog_id: UUID, needed: bool) -> None:  # noqa: FBT001 - the value
    """Set whether roll-outs of the catalog wait for a second person."""
    mine = _catalog.c.catalog_id == catalog_id
    connection.execute(update(_catalog).where(mine).values(rollout_approval=needed))


def delete_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete a catalog with its products and groups; refused by the database while devices or images remain."""
    products = select(_product.c.product_id).where(_product.c.catalog_id == catalog_id)
    _remove_schedules(connection, _group.c.product_id.in_(products))
    connection.execute(delete(_group).where(_group.c.product_id.in_(products)))
    connection.execute(delete(_product).where(_product.c.catalog_id == catalog_id))
    mine = schema.certificate.c.catalog_id == catalog_id
    lists = schema.revocation_list
    connection.execute(delete(lists).where(lists.c.issuer_serial.in_(select(schema.certificate.c.serial).where(mine))))
    connection.execute(delete(schema.certificate).where(mine))
    hub_rows.remove_catalog(connection, catalog_id)
    connection.execute(delete(schema.attestation_policy).where(schema.attestation_policy.c.catalog_id == catalog_id))
    connection.execute(delete(schema.firmware_statement).where(schema.firmware_statement.c.catalog_id == catalog_id))
    connection.execute(delete(_catalog).where(_catalog.c.catalog_id == catalog_id))


def add_product(connection: Connection, product: Product) -> None:
    """Record a product."""
    connection.execute(insert(_product).values(to_row(_product, product, name_key=product.name.lower())))


def product_named(connection: Connection, catalog_id: UUID, name: str) -> Product | None:
    """A catalog's product of this name, in any case."""
    query = _products().where(_product.c.catalog_id == catalog_id, _product.c.name_key == name.lower())
    return first(connection, query, _as_product)


def products(connection: Connection, catalog_id: UUID) -> tuple[Product, ...]:
    """A catalog's products, by name."""
    query = _products().where(_product.c.catalog_id == catalog_id).order_by(_product.c.name_key)
    return every(connection, query, _as_product)


def every_product(connection: Connection) -> tuple[Product, ...]:
    """All products, by catalog and name."""
    return every(connection, _products().order_by(_catalog.c.name_key, _product.c.name_key), _as_product)


def change_product(connection: Connection, product_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a product: description, support_ends, manufacturer..."""
    connection.execute(update(_product).where(_product.c.product_id == product_id).values(dict(values)))


def devices_of_products(connection: Connection, products: Sequence[UUID]) -> dict[UUID, int]:
    """How many devices the groups of each of these products have; a product without devices is left out.

    The index of ``device`` by group is enough: 0.1 s for a million devices.
    """
    counted = func.count()
    query = (
        select(_group.c.product_id, counted)
        .select_from(schema.device.join(_group, _group.c.group_id == schema.device.c.group_id))
        .where(_group.c.product_id.in_(products))
        .group_by(_group.c.product_id)
    )
    return {product_id: int(devices) for product_id, devices in connection.execute(query)}


def support_is(state: str, now: int) -> ColumnElement[bool]:
    """Whether the support of a product stands so at a time, Unix seconds: the words of ``service/registry``.

    Of what is no product (a device that nobody claimed) it stands in no way.
    """
    ends = _product.c.support_ends
    if state == "undeclared":
        return and_(ends.is_(None), _product.c.product_id.is_not(None))
    if state == "ended":
        return ends <= now
    soon = now + ENDING_S
    return and_(ends > now, ends <= soon) if state == "ending" else ends > soon


def delete_product(connection: Connection, product_id: UUID) -> None:
    """Delete a product with its groups; refused by the database while they have devices or deployments."""
    _remove_schedules(connection, _group.c.product_id == product_id)
    connection.execute(delete(_group).where(_group.c.product_id == product_id))
    connection.execute(delete(_product).where(_product.c.product_id == product_id))


def add_group(connection: Connection, group: DeviceGroup) -> None:
    """Record a device group."""
    connection.execute(insert(_group).values(to_row(_group, group, name_key=group.name.lower())))


def group_named(connection: Connection, product_id: UUID, name: str) -> DeviceGroup | None:
    """A product's device group of this name, in any case."""
    query = _groups().where(_group.c.product_id == product_id, _group.c.name_key == name.lower())
    return first(connection, query, _as_group)


def group_by_id(connection: Connection, group_id: UUID) -> DeviceGroup | None:
    """The device group of an id."""
    return first(connection, _groups().where(_group.c.group_id == group_id), _as_group)


def groups(
    connection: Connection, catalog_id: UUID, *, product_id: UUID | None = None, name: str | None = None
) -> tuple[DeviceGroup, ...]:
    """A catalog's device groups, by product and name."""
    query = _groups().where(_product.c.catalog_id == catalog_id).order_by(_product.c.name_key, _group.c.name_key)
    if product_id is not None:
        query = query.where(_group.c.product_id == product_id)
    if name is not None:
        query = query.where(_group.c.name_key == name.lower())
    return every(connection, query, _as_group)


def every_group(connection: Connection) -> tuple[DeviceGroup, ...]:
    """All device groups of all catalogs."""
    return every(connection, _groups(), _as_group)


def change_group(connection: Connection, group_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a device group: description, os_feed, update_policy, deployment_id..."""
    if values:
        connection.execute(update(_group).where(_group.c.group_id == group_id).values(dict(values)))


def delete_group(connection: Connection, group_id: UUID) -> None:
    """Delete a device group; refused by the database while it has devices or deployments."""
    _remove_schedules(connection, _group.c.group_id == group_id)
    connection.execute(delete(_group).where(_group.c.group_id == group_id))


def _remove_schedules(connection: Connection, chosen: ColumnElement[bool]) -> None:
    """Delete the update schedules of the groups that a condition chooses, before the groups themselves."""
    groups = select(_group.c.group_id).where(chosen)
    connection.execute(delete(_schedule).where(_schedule.c.group_id.in_(groups)))


def update_schedule(connection: Connection, group_id: UUID) -> UpdateSchedule:
    """The update schedule of a group; the default one where it has none of its own."""
    query = select(_schedule).where(_schedule.c.group_id == group_id)
    return first(connection, query, _as_schedule) or UpdateSchedule(group_id=group_id)


def update_schedules(connection: Connection) -> tuple[UpdateSchedule, ...]:
    """The update schedules of all groups that have one of their own."""
    return every(connection, select(_schedule), _as_schedule)


def put_update_schedule(connection: Connection, schedule: UpdateSchedule) -> None:
    """Replace the update schedule of a group."""
    connection.execute(delete(_schedule).where(_schedule.c.group_id == schedule.group_id))
    connection.execute(insert(_schedule).values(to_row(_schedule, schedule, windows=json.dumps(schedule.windows))))


def _products() -> Select[Any]:
    return select(_product, _catalog.c.name.label("catalog")).join(
        _catalog, _catalog.c.catalog_id == _product.c.catalog_id
    )


def _groups() -> Select[Any]:
    return (
        select(
            _group,
            _product.c.name.label("product"),
            _catalog.c.name.label("catalog"),
            _catalog.c.catalog_id,
        )
        .join(_product, _product.c.product_id == _group.c.product_id)
        .join(_catalog, _catalog.c.catalog_id == _product.c.catalog_id)
    )


def _as_catalog(row: Row[Any]) -> Catalog:
    return from_row(Catalog, row, tags=json.loads(row.tags))


def _as_schedule(row: Row[Any]) -> UpdateSchedule:
    return from_row(UpdateSchedule, row, windows=tuple(json.loads(row.windows)))
