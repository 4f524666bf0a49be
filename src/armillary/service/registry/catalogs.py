# SPDX-License-Identifier: Apache-2.0
"""Catalogs, with Azure Sphere's rules."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.bridge import devices as bridge_rows
from armillary.engines.records.notifications import removal as channel_removal
from armillary.engines.records.queries import catalogs as catalog_rows, images as image_rows
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP, Catalog, DeviceFilter, Product
from armillary.errors import ConflictError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.groups import device_count, new_group
from armillary.service.registry.names import CATALOG_NAME, catalog_or_raise, check_name, checked_tags


class Catalogs:
    """Operations on catalogs."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        self._context = context
        self._authority = authority
        self._notices = notices

    def create(
        self, name: str, *, actor: str, tags: Mapping[str, str] | None = None, resource_group: str = "default"
    ) -> Catalog:
        """Make a catalog with its certificate authority, and the device group of unassigned devices.

        Raises:
            InvalidArgumentError: the name or the tags break Azure Sphere's rules.
            ConflictError: the name is taken.
        """
        check_name("catalog", name, CATALOG_NAME, "1 to 50 letters, digits, - and _")
        now = self._context.now()
        catalog = Catalog(
            catalog_id=uuid4(), name=name, resource_group=resource_group, tags=checked_tags(tags or {}), created_at=now
        )
        certificates = self._authority.catalogs.prepare(catalog.catalog_id)
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
            self._authority.issued.record(connection, certificates)
            self._context.audit(connection, actor, "catalog.create", name, {"catalog_id": str(catalog.catalog_id)})

        self._context.records.write(change)
        self._notices.groups_changed()
        return catalog

    def get(self, name: str) -> Catalog:
        """A catalog by name; NotFoundError if there is none."""
        return self._context.records.read(lambda c: catalog_or_raise(c, name))

    def get_by_id(self, catalog_id: UUID) -> Catalog:
        """A catalog by id (Azure's tenant id); NotFoundError if there is none."""
        found = self._context.records.read(lambda c: catalog_rows.catalog_by_id(c, catalog_id))
        if found is None:
            raise NotFoundError(f"catalog {catalog_id} does not exist", remedy="List them: armillary catalog list.")
        return found

    def list(self, *, resource_group: str | None = None) -> tuple[Catalog, ...]:
        """All catalogs, or those of a resource group, by name."""
        return self._context.records.read(lambda c: catalog_rows.catalogs(c, resource_group))

    def update(self, name: str, *, tags: Mapping[str, str], actor: str) -> Catalog:
        """Replace a catalog's tags."""
        checked = checked_tags(tags)

        def change(connection: Connection) -> Catalog:
            catalog = catalog_or_raise(connection, name)
            catalog_rows.set_tags(connection, catalog.catalog_id, checked)
            self._context.audit(connection, actor, "catalog.update", catalog.name, {"tags": dict(checked)})
            return catalog_or_raise(connection, name)

        return self._context.records.write(change)

    def delete(self, name: str, *, actor: str) -> None:
        """Delete a catalog; ConflictError if it has devices, images or deployments."""
        from armillary.engines.records.crashes import groups as crash_rows  # noqa: PLC0415 - memory: hardly ever used

        def change(connection: Connection) -> None:
            catalog = catalog_or_raise(connection, name)
            devices = device_count(self._context, connection, DeviceFilter(catalog=name))
            images, _ = image_rows.usage(connection, catalog.catalog_id)
            if devices or images:
                raise ConflictError(
                    f"catalog {catalog.name!r} has {devices} devices and {images} images",
                    remedy="Delete its images first; move its devices with device transfer, or decommission them.",
                )
            bridge_rows.remove_catalog(connection, catalog.catalog_id)
            crash_rows.remove_catalog(connection, catalog.catalog_id)
            channel_removal.remove_of_catalog(connection, catalog.catalog_id)
            catalog_rows.delete_catalog(connection, catalog.catalog_id)
            self._context.audit(connection, actor, "catalog.delete", catalog.name, {})

        self._context.records.write(change)
        self._notices.groups_changed()
        self._notices.hub_trust_changed()
        self._notices.bridge_trust_changed()
        self._notices.catalog_deleted()
