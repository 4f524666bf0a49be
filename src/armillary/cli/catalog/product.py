# SPDX-License-Identifier: Apache-2.0
"""``armillary product``: products of a catalog."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import JsonOption, note, noun, print_record, print_table
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
    print_with_devices,
    product_path,
    resource_row,
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
    as_json: JsonOption = False,
) -> None:
    """Make a product."""
    path = product_path(catalog_path(remote, catalog, resource_group), product)
    made = remote.management.call("PUT", path, {"properties": {"description": description or ""}})
    print_record(made, row=_row, as_json=as_json)


@remote_command(app, "list")
def list_products(remote: RemoteService, base: CatalogPath, as_json: JsonOption = False) -> None:
    """List the products of a catalog."""
    found = remote.management.pages(f"{base}/products")
    empty = "No product. Make one: armillary product create --product NAME"
    print_table(found, ("name", "description"), row=_row, as_json=as_json, empty=empty)


@remote_command(app, "show")
def show(remote: RemoteService, product: NameOption, base: CatalogPath, as_json: JsonOption = False) -> None:
    """Show a product."""
    path = product_path(base, product)
    print_with_devices(remote, path, _row, as_json=as_json)


@remote_command(app, "update")
def update(
    remote: RemoteService,
    product: NameOption,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")],
    base: CatalogPath,
    as_json: JsonOption = False,
) -> None:
    """Change a product's description."""
    path = product_path(base, product)
    changed = remote.management.call("PATCH", path, {"properties": {"description": description}})
    print_record(changed, row=_row, as_json=as_json)


@remote_command(app, "delete")
def delete(remote: RemoteService, product: NameOption, base: CatalogPath, yes: YesOption = False) -> None:
    """Delete a product whose groups have no devices."""
    path = product_path(base, product)
    confirm(f"Delete product {product} with its device groups?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"product {product} is deleted")
