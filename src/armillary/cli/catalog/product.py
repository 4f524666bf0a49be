# SPDX-License-Identifier: Apache-2.0
"""``armillary product``: products of a catalog."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    DescriptionOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    product_path,
    resource_row,
    with_devices,
)

app = noun("Products of a catalog.")

NameOption = Annotated[str, typer.Option("--product", "-p", "--name", "-n", metavar="NAME", help="Product.")]


def _row(product: dict[str, Any]) -> dict[str, Any]:
    row = resource_row(product)
    return {"name": row["name"], "description": row.get("description")}


@remote_command(app, "create")
def create(
    remote: RemoteService,
    product: NameOption,
    catalog: CatalogOption = None,
    description: DescriptionOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """Make a product."""
    path = product_path(catalog_path(remote, catalog, resource_group), product)
    return record(remote.management.call("PUT", path, {"properties": {"description": description or ""}}), row=_row)


@remote_command(app, "list")
def list_products(remote: RemoteService, base: CatalogPath) -> Shown:
    """List the products of a catalog."""
    found = remote.management.pages(f"{base}/products")
    empty = "No product. Make one: armillary product create --product NAME"
    return table(found, ("name", "description"), row=_row, empty=empty)


@remote_command(app, "show")
def show(remote: RemoteService, product: NameOption, base: CatalogPath) -> Shown:
    """Show a product."""
    path = product_path(base, product)
    return with_devices(remote, path, _row)


@remote_command(app, "update")
def update(
    remote: RemoteService,
    product: NameOption,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")],
    base: CatalogPath,
) -> Shown:
    """Change a product's description."""
    path = product_path(base, product)
    return record(remote.management.call("PATCH", path, {"properties": {"description": description}}), row=_row)


@remote_command(app, "delete")
def delete(remote: RemoteService, product: NameOption, base: CatalogPath, yes: YesOption = False) -> None:
    """Delete a product whose groups have no devices."""
    path = product_path(base, product)
    confirm(f"Delete product {product} with its device groups?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"product {product} is deleted")
