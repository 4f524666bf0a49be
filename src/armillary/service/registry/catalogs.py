# SPDX-License-Identifier: Apache-2.0
"""Catalogs and their products, with Azure Sphere's rules."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, images as image_rows
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP, Catalog, DeviceFilter, Product
from armillary.errors import ConflictError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.groups import GroupRegistry, new_group
from armillary.service.registry.names import (
    CATALOG_NAME,
    PRODUCT_NAME,
    catalog_or_raise,
    check_description,
    check_name,
    checked_tags,
    product_or_raise,
    refuse_hidden,
)


class CatalogRegistry(GroupRegistry):
    """Operations on catalogs and products. Built as part of :class:`armillary.service.registry.registry.Registry`."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        self._context = context
        self._authority = authority
        self._notices = notices

    # -- catalogs -------------------------------------------------------------------------------------------------

    def create_catalog(
        self, name: str, *, actor: str, tags: Mapping[str, str] | None = None, resource_group: str = "default"
    ) -> Catalog:
        """Make a catalog with its certificate authority and the place for unassigned devices.

        Raises:
            InvalidArgumentError: the name or the tags break Azure Sphere's rules.
            ConflictError: the name is taken.
        """
        check_name("catalog", name, CATALOG_NAME, "1 to 50 letters, digits, - and _")
        now = self._context.now()
        catalog = Catalog(
            catalog_id=uuid4(), name=name, resource_group=resource_group, tags=checked_tags(tags or {}), created_at=now
        )
        certificates = self._authority.prepare_catalog(catalog.catalog_id)
        product = Product(
            product_id=uuid4(),
            catalog_id=catalog.catalog_id,
            catalog=name,
            name=DEFAULT_PRODUCT,
            description="Claimed devices that belong to no product yet",
            created_at=now,
        )
        group = new_group(
            product, UNASSIGNED_GROUP, "Claimed devices that belong to no group yet", now, "Retail", "UpdateAll"
        )

        def change(connection: Connection) -> None:
            if catalog_rows.catalog_named(connection, name) is not None:
                raise ConflictError(f"catalog {name!r} exists", remedy="Choose another name.")
            catalog_rows.add_catalog(connection, catalog)
            catalog_rows.add_product(connection, product)
            catalog_rows.add_group(connection, group)
            self._authority.record(connection, certificates)
            self._context.audit(connection, actor, "catalog.create", name, {"catalog_id": str(catalog.catalog_id)})

        self._context.records.write(change)
        return catalog

    def get_catalog(self, name: str) -> Catalog:
        """A catalog by name.

        Raises:
            NotFoundError: there is none.
        """
        return self._context.records.read(lambda c: catalog_or_raise(c, name))

    def get_catalog_by_id(self, catalog_id: UUID) -> Catalog:
        """A catalog by id (Azure's tenant id).

        Raises:
            NotFoundError: there is none.
        """
        found = self._context.records.read(lambda c: catalog_rows.catalog_by_id(c, catalog_id))
        if found is None:
            raise NotFoundError(f"catalog {catalog_id} does not exist", remedy="List them: armillary catalog list.")
        return found

    def list_catalogs(self, *, resource_group: str | None = None) -> tuple[Catalog, ...]:
        """All catalogs, or those of a resource group, by name."""
        return self._context.records.read(lambda c: catalog_rows.catalogs(c, resource_group))

    def update_catalog(self, name: str, *, tags: Mapping[str, str], actor: str) -> Catalog:
        """Replace a catalog's tags."""
        checked = checked_tags(tags)

        def change(connection: Connection) -> Catalog:
            catalog = catalog_or_raise(connection, name)
            catalog_rows.set_tags(connection, catalog.catalog_id, checked)
            self._context.audit(connection, actor, "catalog.update", catalog.name, {"tags": dict(checked)})
            return catalog_or_raise(connection, name)

        return self._context.records.write(change)

    def delete_catalog(self, name: str, *, actor: str) -> None:
        """Delete a catalog that has no devices, images or deployments.

        Raises:
            ConflictError: it has some.
        """

        def change(connection: Connection) -> None:
            catalog = catalog_or_raise(connection, name)
            devices = self._count(connection, DeviceFilter(catalog=name))
            images, _ = image_rows.usage(connection, catalog.catalog_id)
            if devices or images:
                raise ConflictError(
                    f"catalog {catalog.name!r} has {devices} devices and {images} images",
                    remedy="Delete its images first; move its devices with device transfer, or decommission them.",
                )
            catalog_rows.delete_catalog(connection, catalog.catalog_id)
            self._context.audit(connection, actor, "catalog.delete", catalog.name, {})

        self._context.records.write(change)
        self._notices.groups_changed()
        self._notices.catalog_deleted()

    # -- products -------------------------------------------------------------------------------------------------

    def create_product(self, catalog: str, name: str, *, actor: str, description: str = "") -> Product:
        """Make a product without device groups.

        Raises:
            ConflictError: the name is taken in this catalog.
        """
        check_name("product", name, PRODUCT_NAME, "3 to 50 letters, digits, _ and spaces inside")
        check_description(description)

        def change(connection: Connection) -> Product:
            owner = catalog_or_raise(connection, catalog)
            if catalog_rows.product_named(connection, owner.catalog_id, name) is not None:
                raise ConflictError(f"product {name!r} exists in {owner.name}", remedy="Choose another name.")
            product = Product(
                product_id=uuid4(),
                catalog_id=owner.catalog_id,
                catalog=owner.name,
                name=name,
                description=description,
                created_at=self._context.now(),
            )
            catalog_rows.add_product(connection, product)
            self._context.audit(connection, actor, "product.create", f"{owner.name}/{name}", {})
            return product

        return self._context.records.write(change)

    def get_product(self, catalog: str, name: str) -> Product:
        """A product by name."""
        return self._context.records.read(lambda c: product_or_raise(c, catalog, name))

    def list_products(self, catalog: str, *, hidden: bool = False) -> tuple[Product, ...]:
        """A catalog's products by name; ``hidden`` shows ``.default`` too."""
        found = self._context.records.read(lambda c: catalog_rows.products(c, catalog_or_raise(c, catalog).catalog_id))
        return tuple(product for product in found if hidden or not product.name.startswith("."))

    def update_product(self, catalog: str, name: str, *, description: str, actor: str) -> Product:
        """Change a product's description."""
        check_description(description)

        def change(connection: Connection) -> Product:
            product = product_or_raise(connection, catalog, name)
            catalog_rows.set_product_description(connection, product.product_id, description)
            self._context.audit(connection, actor, "product.update", f"{product.catalog}/{product.name}", {})
            return product_or_raise(connection, catalog, name)

        return self._context.records.write(change)

    def delete_product(self, catalog: str, name: str, *, actor: str) -> None:
        """Delete a product and its groups, unless they have devices or deployments.

        Raises:
            ConflictError: they have.
        """

        def change(connection: Connection) -> None:
            product = product_or_raise(connection, catalog, name)
            refuse_hidden(product.name)
            for group in catalog_rows.groups(connection, product.catalog_id, product_id=product.product_id):
                self._refuse_used(connection, group)
            catalog_rows.delete_product(connection, product.product_id)
            self._context.audit(connection, actor, "product.delete", f"{product.catalog}/{product.name}", {})

        self._context.records.write(change)
        self._notices.groups_changed()
