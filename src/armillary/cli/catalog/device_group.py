# SPDX-License-Identifier: Apache-2.0
"""``armillary device-group``: device groups of a product."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.catalog import crash_collection, update_schedule
from armillary.cli.terminal import remote_names
from armillary.cli.terminal.output import Shown, adopt, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    DescriptionOption,
    ProductOption,
    ReplaceOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    device_group_path,
    product_path,
    with_devices,
)
from armillary.cli.terminal.together import Together

app = noun("Device groups of a product.")

COLUMNS = ("product", "name", "updatePolicy", "osFeedType", "hasDeployment", "description")

UpdatePolicy = Literal["UpdateAll", "No3rdPartyAppUpdates", "AcceptAll", "SystemUpdatesOnly"]
CrashDumps = Literal["Enabled", "Disabled"]
Boundary = Literal["None", "EU"]


# az sphere's older words for the two policies.
_OLDER_POLICIES = {"AcceptAll": "UpdateAll", "SystemUpdatesOnly": "No3rdPartyAppUpdates"}

NameOption = Annotated[str, typer.Option("--device-group", "-dg", "--name", "-n", metavar="NAME", help="Device group.")]
FeedOption = Annotated[
    str | None, typer.Option("--os-feed", "-f", metavar="NAME", help="Retail, RetailEval or one that you made.")
]
PolicyOption = Annotated[UpdatePolicy | None, typer.Option("--update-policy", "-a", help="What is updated.")]
OnOffOption = Annotated[
    Literal["on", "off"] | None, typer.Option("--crash-dumps", help="The same, in short: on or off.")
]
DumpsOption = Annotated[
    CrashDumps | None, typer.Option("--allow-crash-dumps-collection", "-cd", help="Collect crash dumps.")
]
BoundaryOption = Annotated[Boundary | None, typer.Option("--regional-data-boundary", "-r", help="Data boundary.")]


def _row(group: dict[str, Any]) -> dict[str, Any]:
    return {"product": group["id"].split("/")[-3], "name": group["name"], **group["properties"]}


def _change(
    remote: RemoteService, *, catalog: str | None, resource_group: str, **given: Any
) -> tuple[str, dict[str, Any]]:
    policy, dumps = given["updatePolicy"], given.pop("crash_dumps")
    properties = {**given, "updatePolicy": _OLDER_POLICIES.get(policy, policy)}
    if dumps is not None:
        properties["allowCrashDumpsCollection"] = "Enabled" if dumps == "on" else "Disabled"
    given_only = {name: value for name, value in properties.items() if value is not None}
    return catalog_path(remote, catalog, resource_group), {"properties": given_only}


# A group's properties and the catalog that it is in: the catalog's path, and the body of the call.
Change = Annotated[
    tuple[str, dict[str, Any]],
    Together(
        {
            "catalog": (CatalogOption, None),
            "description": (DescriptionOption, None),
            "osFeedType": (FeedOption, None),
            "updatePolicy": (PolicyOption, None),
            "allowCrashDumpsCollection": (DumpsOption, None),
            "crash_dumps": (OnOffOption, None),
            "regionalDataBoundary": (BoundaryOption, None),
            "resource_group": (ResourceGroupOption, DEFAULT_RESOURCE_GROUP),
        },
        _change,
    ),
]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    product: ProductOption,
    device_group: NameOption,
    change: Change,
    replace: ReplaceOption = False,
) -> Shown:
    """Make a device group."""
    base, body = change
    path = device_group_path(base, product, device_group)
    return record(remote_names.create(remote, path, body, f"device group {device_group!r}", replace=replace), row=_row)


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
def update(remote: RemoteService, product: ProductOption, device_group: NameOption, change: Change) -> Shown:
    """Change a group; what is not named stays."""
    base, body = change
    return record(remote.management.call("PATCH", device_group_path(base, product, device_group), body), row=_row)


@remote_command(app, "delete")
def delete(
    remote: RemoteService, product: ProductOption, device_group: NameOption, base: CatalogPath, yes: YesOption = False
) -> None:
    """Delete a device group that has no devices."""
    path = device_group_path(base, product, device_group)
    confirm(f"Delete device group {device_group}?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"device group {device_group} is deleted")


adopt(app, update_schedule.verbs)
adopt(app, crash_collection.verbs)
