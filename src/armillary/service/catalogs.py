# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products and device groups: Azure Sphere's nouns with its names, defaults and rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records import catalog_rows, device_rows, image_rows, rollout_rows
from armillary.engines.records.rows import (
    CRASH_DUMP_COLLECTION,
    DEFAULT_PRODUCT,
    OS_FEEDS,
    REGIONAL_DATA_BOUNDARIES,
    UNASSIGNED_GROUP,
    UPDATE_POLICIES,
    Catalog,
    DeviceFilter,
    DeviceGroup,
    Product,
)
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.authority import Authority
from armillary.service.context import Context
from armillary.service.notices import Notices

# Azure Sphere's name rules (management API 2024-04-01).
CATALOG_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,50}")
PRODUCT_NAME: Final = re.compile(r"\w[\w\s]{1,48}\w")
GROUP_NAME: Final = re.compile(r"[A-Za-z0-9]{1,2}|[A-Za-z0-9][A-Za-z0-9\s]{1,48}[A-Za-z0-9]")

# Azure Sphere's five default groups: name, OS feed, update policy, description.
DEFAULT_GROUPS: Final = (
    ("Development", "Retail", "No3rdPartyAppUpdates", "Default development device group"),
    ("Field Test", "Retail", "UpdateAll", "Default test device group"),
    ("Production", "Retail", "UpdateAll", "Default production device group"),
    ("Field Test OS Evaluation", "RetailEval", "UpdateAll", "Default test device group with the evaluation OS feed"),
    (
        "Production OS Evaluation",
        "RetailEval",
        "UpdateAll",
        "Default production device group with the evaluation OS feed",
    ),
)

MAX_DESCRIPTION_LENGTH: Final = 100
MAX_TAGS: Final = 50  # Azure's limit


class CatalogRegistry:
    """Operations on catalogs, products and groups. Built as part of :class:`armillary.service.registry.Registry`."""

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
        _check_name("catalog", name, CATALOG_NAME, "1 to 50 letters, digits, - and _")
        now = self._context.now()
        catalog = Catalog(
            catalog_id=uuid4(), name=name, resource_group=resource_group, tags=_checked_tags(tags or {}), created_at=now
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
        group = _group(
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
        checked = _checked_tags(tags)

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
                    remedy="Delete its images first; a claimed device keeps its catalog for good.",
                )
            catalog_rows.delete_catalog(connection, catalog.catalog_id)
            self._context.audit(connection, actor, "catalog.delete", catalog.name, {})

        self._context.records.write(change)
        self._notices.groups_changed()

    # -- products -------------------------------------------------------------------------------------------------

    def create_product(self, catalog: str, name: str, *, actor: str, description: str = "") -> Product:
        """Make a product without device groups.

        Raises:
            ConflictError: the name is taken in this catalog.
        """
        _check_name("product", name, PRODUCT_NAME, "3 to 50 letters, digits, _ and spaces inside")
        _check_description(description)

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
        _check_description(description)

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
            _refuse_hidden(product.name)
            for group in catalog_rows.groups(connection, product.catalog_id, product_id=product.product_id):
                self._refuse_used(connection, group)
            catalog_rows.delete_product(connection, product.product_id)
            self._context.audit(connection, actor, "product.delete", f"{product.catalog}/{product.name}", {})

        self._context.records.write(change)
        self._notices.groups_changed()

    # -- device groups --------------------------------------------------------------------------------------------

    def create_default_groups(self, catalog: str, product: str, *, actor: str) -> tuple[DeviceGroup, ...]:
        """Make those of Azure Sphere's five default groups that the product does not have yet."""

        def change(connection: Connection) -> tuple[DeviceGroup, ...]:
            owner = product_or_raise(connection, catalog, product)
            made = []
            for name, feed, policy, description in DEFAULT_GROUPS:
                group = catalog_rows.group_named(connection, owner.product_id, name)
                if group is None:
                    group = _group(owner, name, description, self._context.now(), feed, policy)
                    catalog_rows.add_group(connection, group)
                made.append(group)
            self._context.audit(connection, actor, "device-group.create-defaults", f"{owner.catalog}/{owner.name}", {})
            return tuple(made)

        return self._context.records.write(change)

    def create_group(
        self,
        catalog: str,
        product: str,
        name: str,
        *,
        actor: str,
        description: str = "",
        os_feed: str = "Retail",
        update_policy: str = "UpdateAll",
        allow_crash_dumps: str = "Disabled",
        regional_data_boundary: str = "None",
    ) -> DeviceGroup:
        """Make a device group.

        Raises:
            InvalidArgumentError: a name or value that is not allowed.
            ConflictError: the name is taken in this product.
        """
        _check_name("device group", name, GROUP_NAME, "1 to 50 letters, digits and spaces inside")
        values = _checked_group(description, os_feed, update_policy, allow_crash_dumps, regional_data_boundary)

        def change(connection: Connection) -> DeviceGroup:
            owner = product_or_raise(connection, catalog, product)
            if catalog_rows.group_named(connection, owner.product_id, name) is not None:
                raise ConflictError(f"device group {name!r} exists in {owner.name}", remedy="Choose another name.")
            group = _group(owner, name, description, self._context.now(), os_feed, update_policy)
            catalog_rows.add_group(connection, group)
            catalog_rows.change_group(connection, group.group_id, values)
            self._context.audit(
                connection, actor, "device-group.create", f"{owner.catalog}/{owner.name}/{name}", values
            )
            return group_or_raise(connection, catalog, product, name)

        return self._context.records.write(change)

    def get_group(self, catalog: str, product: str, name: str) -> DeviceGroup:
        """A device group by name."""
        return self._context.records.read(lambda c: group_or_raise(c, catalog, product, name))

    def get_group_by_id(self, group_id: UUID) -> DeviceGroup:
        """A device group by id.

        Raises:
            NotFoundError: there is none.
        """
        found = self._context.records.read(lambda c: catalog_rows.group_by_id(c, group_id))
        if found is None:
            raise NotFoundError(f"device group {group_id} does not exist", remedy="List them: device-group list.")
        return found

    def list_groups(
        self, catalog: str, product: str | None = None, *, name: str | None = None, hidden: bool = False
    ) -> tuple[DeviceGroup, ...]:
        """Device groups of a catalog or of one product; ``hidden`` shows ``.unassigned`` too."""

        def query(connection: Connection) -> tuple[DeviceGroup, ...]:
            owner = catalog_or_raise(connection, catalog)
            product_id = None if product is None else product_or_raise(connection, catalog, product).product_id
            return catalog_rows.groups(connection, owner.catalog_id, product_id=product_id, name=name)

        found = self._context.records.read(query)
        return tuple(group for group in found if hidden or not group.name.startswith("."))

    def update_group(
        self,
        catalog: str,
        product: str,
        name: str,
        *,
        actor: str,
        description: str | None = None,
        os_feed: str | None = None,
        update_policy: str | None = None,
        allow_crash_dumps: str | None = None,
        regional_data_boundary: str | None = None,
    ) -> DeviceGroup:
        """Change a device group; None leaves a value as it is. Devices see it at their next check-in."""
        values = _checked_group(description, os_feed, update_policy, allow_crash_dumps, regional_data_boundary)

        def change(connection: Connection) -> DeviceGroup:
            group = group_or_raise(connection, catalog, product, name)
            catalog_rows.change_group(connection, group.group_id, values)
            target = f"{group.catalog}/{group.product}/{group.name}"
            self._context.audit(connection, actor, "device-group.update", target, values)
            return group_or_raise(connection, catalog, product, name)

        group = self._context.records.write(change)
        self._notices.groups_changed()
        return group

    def delete_group(self, catalog: str, product: str, name: str, *, actor: str) -> None:
        """Delete a device group without devices and deployments.

        Raises:
            ConflictError: it has some.
        """

        def change(connection: Connection) -> None:
            group = group_or_raise(connection, catalog, product, name)
            _refuse_hidden(group.name)
            self._refuse_used(connection, group)
            catalog_rows.delete_group(connection, group.group_id)
            target = f"{group.catalog}/{group.product}/{group.name}"
            self._context.audit(connection, actor, "device-group.delete", target, {})

        self._context.records.write(change)
        self._notices.groups_changed()

    def _count(self, connection: Connection, chosen: DeviceFilter) -> int:
        context = self._context
        return device_rows.count(connection, chosen, now=context.now(), silent_after_s=context.silent_after_s)

    def _refuse_used(self, connection: Connection, group: DeviceGroup) -> None:
        devices = self._count(connection, DeviceFilter(catalog=group.catalog, product=group.product, group=group.name))
        if devices:
            raise ConflictError(
                f"device group {group.name!r} has {devices} devices", remedy="Move its devices to another group first."
            )
        if rollout_rows.living_of_group(connection, group.group_id) is not None:
            raise ConflictError(f"device group {group.name!r} has a roll-out", remedy="Cancel the roll-out first.")
        if group.has_deployment:
            raise ConflictError(f"device group {group.name!r} has a deployment", remedy="Delete its deployments first.")


def catalog_or_raise(connection: Connection, name: str) -> Catalog:
    """The catalog of a name.

    Raises:
        NotFoundError: there is none.
    """
    found = catalog_rows.catalog_named(connection, name)
    if found is None:
        raise NotFoundError(f"catalog {name!r} does not exist", remedy="List them: armillary catalog list.")
    return found


def product_or_raise(connection: Connection, catalog: str, name: str) -> Product:
    """The product of a name in a catalog.

    Raises:
        NotFoundError: the catalog or the product does not exist.
    """
    owner = catalog_or_raise(connection, catalog)
    found = catalog_rows.product_named(connection, owner.catalog_id, name)
    if found is None:
        raise NotFoundError(
            f"product {name!r} does not exist in catalog {owner.name}", remedy="List them: armillary product list."
        )
    return found


def group_or_raise(connection: Connection, catalog: str, product: str, name: str) -> DeviceGroup:
    """The device group of a name in a product.

    Raises:
        NotFoundError: the catalog, the product or the group does not exist.
    """
    owner = product_or_raise(connection, catalog, product)
    found = catalog_rows.group_named(connection, owner.product_id, name)
    if found is None:
        raise NotFoundError(
            f"device group {name!r} does not exist in product {owner.name}",
            remedy="List them: armillary device-group list.",
        )
    return found


def _group(product: Product, name: str, description: str, now: int, os_feed: str, update_policy: str) -> DeviceGroup:
    return DeviceGroup(
        group_id=uuid4(),
        product_id=product.product_id,
        catalog_id=product.catalog_id,
        catalog=product.catalog,
        product=product.name,
        name=name,
        description=description,
        os_feed=os_feed,
        update_policy=update_policy,
        allow_crash_dumps="Disabled",
        regional_data_boundary="None",
        deployment_id=None,
        created_at=now,
    )


def _checked_group(
    description: str | None,
    os_feed: str | None,
    update_policy: str | None,
    crash_dumps: str | None,
    boundary: str | None,
) -> dict[str, object]:
    if description is not None:
        _check_description(description)
    values: dict[str, object] = {}
    for name, value, allowed in (
        ("description", description, None),
        ("os_feed", os_feed, OS_FEEDS),
        ("update_policy", update_policy, UPDATE_POLICIES),
        ("allow_crash_dumps", crash_dumps, CRASH_DUMP_COLLECTION),
        ("regional_data_boundary", boundary, REGIONAL_DATA_BOUNDARIES),
    ):
        if value is None:
            continue
        if allowed is not None and value not in allowed:
            raise InvalidArgumentError(
                f"{name}: expected {' or '.join(allowed)}, got {value!r:.40}", remedy="Use one of the named values."
            )
        values[name] = value
    return values


def _check_name(noun: str, name: str, pattern: re.Pattern[str], rule: str) -> None:
    if not pattern.fullmatch(name):
        raise InvalidArgumentError(f"{noun} name: expected {rule}, got {name!r:.80}", remedy="Choose such a name.")


def _check_description(text: str) -> None:
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise InvalidArgumentError(
            f"description: expected at most {MAX_DESCRIPTION_LENGTH} characters, got {len(text)}", remedy="Shorten it."
        )


def _checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS or any(len(name) > 512 or len(value) > 256 for name, value in tags.items()):
        raise InvalidArgumentError(
            f"tags: expected at most {MAX_TAGS} with names up to 512 and values up to 256 characters",
            remedy="Use fewer or shorter tags.",
        )
    return dict(tags)


def _refuse_hidden(name: str) -> None:
    if name.startswith("."):
        raise ConflictError(f"{name!r} belongs to the catalog itself", remedy="It goes when the catalog goes.")
