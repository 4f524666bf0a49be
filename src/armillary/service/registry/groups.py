# SPDX-License-Identifier: Apache-2.0
"""Device groups: devices of a product that get the same images and the same OS feed."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, device_lists, rollouts as rollout_rows
from armillary.engines.records.schema.rows import (
    CRASH_DUMP_COLLECTION,
    REGIONAL_DATA_BOUNDARIES,
    UPDATE_POLICIES,
    DeviceFilter,
    DeviceGroup,
    Product,
)
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.crash_consent import check_region
from armillary.service.registry.names import (
    GROUP_NAME,
    catalog_or_raise,
    check_description,
    check_name,
    group_or_raise,
    product_or_raise,
    refuse_hidden,
)
from armillary.service.registry.os_feeds import check_feed

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

_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)


class Groups:
    """Operations on device groups."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def create_defaults(self, catalog: str, product: str, *, actor: str) -> tuple[DeviceGroup, ...]:
        """Make those of Azure Sphere's five default groups that the product does not have yet."""

        def change(connection: Connection) -> tuple[DeviceGroup, ...]:
            owner = product_or_raise(connection, catalog, product)
            made = []
            for name, feed, policy, description in DEFAULT_GROUPS:
                group = catalog_rows.group_named(connection, owner.product_id, name)
                if group is None:
                    group = new_group(owner, name, description, self._context.now(), feed, policy)
                    catalog_rows.add_group(connection, group)
                made.append(group)
            self._context.audit(connection, actor, "device-group.create-defaults", f"{owner.catalog}/{owner.name}", {})
            return tuple(made)

        groups = self._context.records.write(change)
        self._notices.groups_changed()
        return groups

    def create(
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
        check_name("device group", name, GROUP_NAME, "1 to 50 letters, digits and spaces inside")
        values = _checked_group(description, os_feed, update_policy, allow_crash_dumps, regional_data_boundary)

        def change(connection: Connection) -> DeviceGroup:
            owner = product_or_raise(connection, catalog, product)
            check_feed(connection, os_feed)
            if catalog_rows.group_named(connection, owner.product_id, name) is not None:
                raise ConflictError(f"device group {name!r} exists in {owner.name}", remedy="Choose another name.")
            group = new_group(owner, name, description, self._context.now(), os_feed, update_policy)
            catalog_rows.add_group(connection, group)
            catalog_rows.change_group(connection, group.group_id, values)
            self._context.audit(
                connection, actor, "device-group.create", f"{owner.catalog}/{owner.name}/{name}", values
            )
            made = group_or_raise(connection, catalog, product, name)
            check_region(made, self._context.settings.data_region)
            return made

        made = self._context.records.write(change)
        self._notices.groups_changed()
        return made

    def get(self, catalog: str, product: str, name: str) -> DeviceGroup:
        """A device group by name."""
        return self._context.records.read(lambda c: group_or_raise(c, catalog, product, name))

    def get_by_id(self, group_id: UUID) -> DeviceGroup:
        """A device group by id; NotFoundError if there is none."""
        found = self._context.records.read(lambda c: catalog_rows.group_by_id(c, group_id))
        if found is None:
            raise NotFoundError(f"device group {group_id} does not exist", remedy="List them: device-group list.")
        return found

    def find(self, group_id: UUID) -> DeviceGroup | None:
        """A device group by id; None if there is none."""
        return self._context.records.read(lambda c: catalog_rows.group_by_id(c, group_id))

    def list(
        self, catalog: str, product: str | None = None, *, name: str | None = None, hidden: bool = False
    ) -> tuple[DeviceGroup, ...]:
        """Device groups of a catalog or of one product; ``hidden`` shows ``.unassigned`` too."""

        def query(connection: Connection) -> tuple[DeviceGroup, ...]:
            owner = catalog_or_raise(connection, catalog)
            product_id = None if product is None else product_or_raise(connection, catalog, product).product_id
            return catalog_rows.groups(connection, owner.catalog_id, product_id=product_id, name=name)

        found = self._context.records.read(query)
        return tuple(group for group in found if hidden or not group.name.startswith("."))

    def devices(self, catalog: str, product: str, name: str) -> int:
        """How many devices a group has."""
        chosen = DeviceFilter(catalog=catalog, product=product, group=name)
        return self._context.records.read(lambda c: device_count(self._context, c, chosen))

    def update(
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
        country: str | None = None,
    ) -> DeviceGroup:
        """Change a device group; None leaves a value as it is. Devices see it at their next check-in."""
        values = _checked_group(description, os_feed, update_policy, allow_crash_dumps, regional_data_boundary)
        if country is not None:
            values["country"] = _checked_country(country)

        def change(connection: Connection) -> DeviceGroup:
            group = group_or_raise(connection, catalog, product, name)
            if os_feed is not None:
                check_feed(connection, os_feed)
            catalog_rows.change_group(connection, group.group_id, values)
            target = f"{group.catalog}/{group.product}/{group.name}"
            self._context.audit(connection, actor, "device-group.update", target, values)
            changed = group_or_raise(connection, catalog, product, name)
            if allow_crash_dumps is not None or regional_data_boundary is not None:
                check_region(changed, self._context.settings.data_region)
            return changed

        group = self._context.records.write(change)
        self._notices.groups_changed()
        return group

    def delete(self, catalog: str, product: str, name: str, *, actor: str) -> None:
        """Delete a device group; ConflictError if it has devices or deployments."""

        def change(connection: Connection) -> None:
            group = group_or_raise(connection, catalog, product, name)
            refuse_hidden(group.name)
            refuse_used(self._context, connection, group)
            catalog_rows.delete_group(connection, group.group_id)
            target = f"{group.catalog}/{group.product}/{group.name}"
            self._context.audit(connection, actor, "device-group.delete", target, {})

        self._context.records.write(change)
        self._notices.groups_changed()


def device_count(context: Context, connection: Connection, chosen: DeviceFilter) -> int:
    """How many devices a filter chooses, in the caller's transaction."""
    return device_lists.count(connection, chosen, **context.as_of)


def refuse_used(context: Context, connection: Connection, group: DeviceGroup) -> None:
    """Raise ConflictError for a device group that has devices, a roll-out or a deployment."""
    chosen = DeviceFilter(catalog=group.catalog, product=group.product, group=group.name)
    devices = device_count(context, connection, chosen)
    if devices:
        raise ConflictError(
            f"device group {group.name!r} has {devices} devices", remedy="Move its devices to another group first."
        )
    if rollout_rows.living_of_group(connection, group.group_id) is not None:
        raise ConflictError(f"device group {group.name!r} has a roll-out", remedy="Cancel the roll-out first.")
    if group.has_deployment:
        raise ConflictError(f"device group {group.name!r} has a deployment", remedy="Delete its deployments first.")


def new_group(product: Product, name: str, description: str, now: int, os_feed: str, update_policy: str) -> DeviceGroup:
    """A device group with Azure's defaults, not recorded yet."""
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


def _checked_country(country: str) -> str:
    if country and _COUNTRY.fullmatch(country) is None:
        raise InvalidArgumentError(
            f"country: expected two capital letters (ISO 3166-1) or nothing, got {country!r:.40}",
            remedy="Such as DE; reports to authorities name the countries where devices are.",
        )
    return country


def _checked_group(
    description: str | None,
    os_feed: str | None,
    update_policy: str | None,
    crash_dumps: str | None,
    boundary: str | None,
) -> dict[str, object]:
    if description is not None:
        check_description(description)
    values: dict[str, object] = {}
    for name, value, allowed in (
        ("description", description, None),
        ("os_feed", os_feed, None),
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
