# SPDX-License-Identifier: Apache-2.0
"""``armillary device-group``: device groups of a product."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    DescriptionOption,
    ProductOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    device_group_path,
    product_path,
    with_devices,
)

app = noun("Device groups of a product.")

COLUMNS = ("product", "name", "updatePolicy", "osFeedType", "hasDeployment", "description")


class OsFeed(StrEnum):
    """Which OS releases a group gets."""

    RETAIL = "Retail"
    RETAIL_EVAL = "RetailEval"


class UpdatePolicy(StrEnum):
    """What is updated."""

    UPDATE_ALL = "UpdateAll"
    NO_APP_UPDATES = "No3rdPartyAppUpdates"
    ACCEPT_ALL = "AcceptAll"  # az sphere's older words for the two above
    SYSTEM_ONLY = "SystemUpdatesOnly"


class CrashDumps(StrEnum):
    """Whether crash dumps are collected."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class Boundary(StrEnum):
    """Where data may be kept."""

    NONE = "None"
    EU = "EU"


_OLDER_POLICIES = {UpdatePolicy.ACCEPT_ALL: "UpdateAll", UpdatePolicy.SYSTEM_ONLY: "No3rdPartyAppUpdates"}

NameOption = Annotated[str, typer.Option("--device-group", "-dg", "--name", "-n", metavar="NAME", help="Device group.")]
FeedOption = Annotated[OsFeed | None, typer.Option("--os-feed", "-f", help="OS feed.")]
PolicyOption = Annotated[UpdatePolicy | None, typer.Option("--update-policy", "-a", help="What is updated.")]
DumpsOption = Annotated[
    CrashDumps | None, typer.Option("--allow-crash-dumps-collection", "-cd", help="Collect crash dumps.")
]
BoundaryOption = Annotated[Boundary | None, typer.Option("--regional-data-boundary", "-r", help="Data boundary.")]


def _row(group: dict[str, Any]) -> dict[str, Any]:
    return {"product": group["id"].split("/")[-3], "name": group["name"], **group["properties"]}


def _properties(
    description: str | None,
    os_feed: OsFeed | None,
    policy: UpdatePolicy | None,
    dumps: CrashDumps | None,
    boundary: Boundary | None,
) -> dict[str, str]:
    given = {
        "description": description,
        "osFeedType": os_feed.value if os_feed else None,
        "updatePolicy": _OLDER_POLICIES.get(policy, policy.value) if policy else None,
        "allowCrashDumpsCollection": dumps.value if dumps else None,
        "regionalDataBoundary": boundary.value if boundary else None,
    }
    return {name: value for name, value in given.items() if value is not None}


@remote_command(app, "create")
def create(
    remote: RemoteService,
    product: ProductOption,
    device_group: NameOption,
    catalog: CatalogOption = None,
    description: DescriptionOption = None,
    os_feed: FeedOption = None,
    update_policy: PolicyOption = None,
    allow_crash_dumps_collection: DumpsOption = None,
    regional_data_boundary: BoundaryOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """Make a device group."""
    path = device_group_path(catalog_path(remote, catalog, resource_group), product, device_group)
    properties = _properties(description, os_feed, update_policy, allow_crash_dumps_collection, regional_data_boundary)
    return record(remote.management.call("PUT", path, {"properties": properties}), row=_row)


@remote_command(app, "create-defaults")
def create_defaults(remote: RemoteService, product: ProductOption, base: CatalogPath) -> Shown:
    """Make the five usual device groups of a product."""
    path = product_path(base, product)
    found = remote.management.pages(f"{path}/generateDefaultDeviceGroups", method="POST")
    return table(found, COLUMNS, row=_row, empty="The service made no device groups.")


@remote_command(app, "list")
def list_device_groups(
    remote: RemoteService,
    catalog: CatalogOption = None,
    product: Annotated[
        str | None, typer.Option("--product", "-p", metavar="NAME", help="Only of this product.")
    ] = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """List the device groups of a catalog or of one product."""
    path = catalog_path(remote, catalog, resource_group)
    if product is None:
        found = remote.management.pages(f"{path}/listDeviceGroups", method="POST")
    else:
        found = remote.management.pages(f"{product_path(path, product)}/deviceGroups")
    empty = "No device group. Make the usual ones: armillary device-group create-defaults --product NAME"
    return table(found, COLUMNS, row=_row, empty=empty)


@remote_command(app, "show")
def show(remote: RemoteService, product: ProductOption, device_group: NameOption, base: CatalogPath) -> Shown:
    """Show a device group."""
    path = device_group_path(base, product, device_group)
    return with_devices(remote, path, _row)


@remote_command(app, "update")
def update(
    remote: RemoteService,
    product: ProductOption,
    device_group: NameOption,
    catalog: CatalogOption = None,
    description: DescriptionOption = None,
    os_feed: FeedOption = None,
    update_policy: PolicyOption = None,
    allow_crash_dumps_collection: DumpsOption = None,
    regional_data_boundary: BoundaryOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """Change a device group; what is not named stays as it is."""
    path = device_group_path(catalog_path(remote, catalog, resource_group), product, device_group)
    properties = _properties(description, os_feed, update_policy, allow_crash_dumps_collection, regional_data_boundary)
    return record(remote.management.call("PATCH", path, {"properties": properties}), row=_row)


@remote_command(app, "delete")
def delete(
    remote: RemoteService, product: ProductOption, device_group: NameOption, base: CatalogPath, yes: YesOption = False
) -> None:
    """Delete a device group that has no devices."""
    path = device_group_path(base, product, device_group)
    confirm(f"Delete device group {device_group}?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"device group {device_group} is deleted")
