# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products and device groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from armillary.engines.records.queries import hub as hub_rows
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Catalog, DeviceGroup, Product, from_row

_catalog, _product, _group = schema.catalog, schema.product, schema.device_group


def add_catalog(connection: Connection, catalog: Catalog) -> None:
    """Record a catalog."""
    connection.execute(
        insert(_catalog).values(
            catalog_id=catalog.catalog_id,
            name=catalog.name,
            name_key=catalog.name.lower(),
            resource_group=catalog.resource_group,
            tags=json.dumps(dict(catalog.tags)),
            created_at=catalog.created_at,
        )
    )


def catalog_named(connection: Connection, name: str) -> Catalog | None:
    """The catalog of a name, any case."""
    row = connection.execute(select(_catalog).where(_catalog.c.name_key == name.lower())).first()
    return None if row is None else _as_catalog(row)


def catalog_by_id(connection: Connection, catalog_id: UUID) -> Catalog | None:
    """The catalog of an id."""
    row = connection.execute(select(_catalog).where(_catalog.c.catalog_id == catalog_id)).first()
    return None if row is None else _as_catalog(row)


def catalogs(connection: Connection, resource_group: str | None = None) -> tuple[Catalog, ...]:
    """All catalogs, by name."""
    query = select(_catalog).order_by(_catalog.c.name_key)
    if resource_group is not None:
        query = query.where(func.lower(_catalog.c.resource_group) == resource_group.lower())
    return tuple(_as_catalog(row) for row in connection.execute(query))


def set_tags(connection: Connection, catalog_id: UUID, tags: Mapping[str, str]) -> None:
    """Replace a catalog's tags."""
    connection.execute(update(_catalog).where(_catalog.c.catalog_id == catalog_id).values(tags=json.dumps(dict(tags))))


def delete_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete a catalog with its products and groups; refused by the database while devices or images remain."""
    products = select(_product.c.product_id).where(_product.c.catalog_id == catalog_id)
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
    connection.execute(
        insert(_product).values(
            product_id=product.product_id,
            catalog_id=product.catalog_id,
            name=product.name,
            name_key=product.name.lower(),
            description=product.description,
            created_at=product.created_at,
        )
    )


def product_named(connection: Connection, catalog_id: UUID, name: str) -> Product | None:
    """The product of a name in a catalog."""
    row = connection.execute(
        _products().where(_product.c.catalog_id == catalog_id, _product.c.name_key == name.lower())
    ).first()
    return None if row is None else _as_product(row)


def products(connection: Connection, catalog_id: UUID) -> tuple[Product, ...]:
    """A catalog's products, by name."""
    query = _products().where(_product.c.catalog_id == catalog_id).order_by(_product.c.name_key)
    return tuple(_as_product(row) for row in connection.execute(query))


def set_product_description(connection: Connection, product_id: UUID, description: str) -> None:
    """Change a product's description."""
    connection.execute(update(_product).where(_product.c.product_id == product_id).values(description=description))


def delete_product(connection: Connection, product_id: UUID) -> None:
    """Delete a product with its groups; refused by the database while they have devices or deployments."""
    connection.execute(delete(_group).where(_group.c.product_id == product_id))
    connection.execute(delete(_product).where(_product.c.product_id == product_id))


def add_group(connection: Connection, group: DeviceGroup) -> None:
    """Record a device group."""
    connection.execute(
        insert(_group).values(
            group_id=group.group_id,
            product_id=group.product_id,
            name=group.name,
            name_key=group.name.lower(),
            description=group.description,
            os_feed=group.os_feed,
            update_policy=group.update_policy,
            allow_crash_dumps=group.allow_crash_dumps,
            regional_data_boundary=group.regional_data_boundary,
            deployment_id=group.deployment_id,
            created_at=group.created_at,
        )
    )


def group_named(connection: Connection, product_id: UUID, name: str) -> DeviceGroup | None:
    """The device group of a name in a product."""
    row = connection.execute(
        _groups().where(_group.c.product_id == product_id, _group.c.name_key == name.lower())
    ).first()
    return None if row is None else _as_group(row)


def group_by_id(connection: Connection, group_id: UUID) -> DeviceGroup | None:
    """The device group of an id."""
    row = connection.execute(_groups().where(_group.c.group_id == group_id)).first()
    return None if row is None else _as_group(row)


def groups(
    connection: Connection, catalog_id: UUID, *, product_id: UUID | None = None, name: str | None = None
) -> tuple[DeviceGroup, ...]:
    """A catalog's device groups, by product and name."""
    query = _groups().where(_product.c.catalog_id == catalog_id).order_by(_product.c.name_key, _group.c.name_key)
    if product_id is not None:
        query = query.where(_group.c.product_id == product_id)
    if name is not None:
        query = query.where(_group.c.name_key == name.lower())
    return tuple(_as_group(row) for row in connection.execute(query))


def every_group(connection: Connection) -> tuple[DeviceGroup, ...]:
    """All device groups of all catalogs."""
    return tuple(_as_group(row) for row in connection.execute(_groups()))


def change_group(connection: Connection, group_id: UUID, values: Mapping[str, object]) -> None:
    """Set columns of a device group: description, os_feed, update_policy, deployment_id..."""
    if values:
        connection.execute(update(_group).where(_group.c.group_id == group_id).values(dict(values)))


def delete_group(connection: Connection, group_id: UUID) -> None:
    """Delete a device group; refused by the database while it has devices or deployments."""
    connection.execute(delete(_group).where(_group.c.group_id == group_id))


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


def _as_product(row: Row[Any]) -> Product:
    return from_row(Product, row)


def _as_group(row: Row[Any]) -> DeviceGroup:
    return from_row(DeviceGroup, row)
