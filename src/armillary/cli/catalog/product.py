# SPDX-License-Identifier: Apache-2.0
"""``armillary product``: products of a catalog."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, Final, cast
from urllib.parse import unquote

import typer

from armillary.cli.terminal import remote_names
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable, readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    DescriptionOption,
    OnlySupportOption,
    ReplaceOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    product_path,
    resource_row,
    with_devices,
)
from armillary.cli.terminal.times import moment
from armillary.cli.terminal.together import Together
from armillary.wire.text.duration import UNITS

app = noun("Products of a catalog.")

DAY_S: Final = UNITS["d"]
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

NameOption = Annotated[str, typer.Option("--product", "-p", "--name", "-n", metavar="NAME", help="Product.")]


# What can be declared of a product beside its description.
FACTS = ("support_ends", "placed_on_market", "manufacturer", "contact", "intended_use")
_SUPPORT = ("name", "support", "support_ends", "days_left", "devices")


def _changed(
    _: RemoteService,
    *,
    support_ends: str | None,
    placed_on_market: str | None,
    **texts: str | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    if support_ends is not None:
        found["support_ends"] = _end_of_day("--support-ends", support_ends)
    if placed_on_market is not None:
        found["placed_on_market"] = moment("--placed-on-market", placed_on_market) if placed_on_market else None
    return found


def _end_of_day(option: str, text: str) -> int | None:
    """The last second of a date, which is part of the support period; of a time, itself; None for nothing."""
    if not text:
        return None
    found = moment(option, text)
    return found + DAY_S - 1 if _DATE.fullmatch(text) else found


def _text(option: str, text: str) -> Any:
    return Annotated[str | None, typer.Option(option, metavar="TEXT", help=f"{text}; '' for nothing.")]


# Those facts of a product that are to be changed.
Facts = Annotated[
    dict[str, Any],
    Together(
        {
            "support_ends": (
                Annotated[
                    str | None,
                    typer.Option(
                        "--support-ends", metavar="DATE", help="Last day of security updates; '' for not declared."
                    ),
                ],
                None,
            ),
            "placed_on_market": (
                Annotated[
                    str | None, typer.Option("--placed-on-market", metavar="DATE", help="Sold since; '' for nothing.")
                ],
                None,
            ),
            "manufacturer": (_text("--manufacturer", "Who makes it"), None),
            "contact": (_text("--contact", "Where its maker is reached about its security"), None),
            "intended_use": (_text("--intended-use", "What it is made for"), None),
        },
        _changed,
    ),
]


def _name_of(base: str) -> str:
    """The catalog's name, from its management path."""
    return unquote(base.rsplit("/", 1)[-1])


def _facts_path(base: str, product: str) -> str:
    return f"/catalogs/{segment(_name_of(base))}/products/{segment(product)}"


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
    replace: ReplaceOption = False,
) -> Shown:
    """Make a product."""
    path = product_path(catalog_path(remote, catalog, resource_group), product)
    body = {"properties": {"description": description or ""}}
    return record(remote_names.create(remote, path, body, f"product {product!r}", replace=replace), row=_row)


@remote_command(app, "list")
def list_products(
    remote: RemoteService,
    base: CatalogPath,
    support: OnlySupportOption = None,
) -> Shown:
    """List the products of a catalog."""
    empty = "No product. Make one: armillary product create --product NAME"
    if support is None:
        return table(remote.management.pages(f"{base}/products"), ("name", "description"), row=_row, empty=empty)
    found = remote.get("/products", catalog=_name_of(base), support=support)["items"]
    return table(found, _SUPPORT, row=readable, empty=f"No product whose support is {support}.")


@remote_command(app, "show")
def show(remote: RemoteService, product: NameOption, base: CatalogPath) -> Shown:
    """Show a product, with what is declared of it."""
    facts = remote.get(_facts_path(base, product))
    shown = with_devices(remote, product_path(base, product), _row)
    found = {**cast("dict[str, Any]", shown.found), "facts": {name: facts[name] for name in FACTS}}
    return replace(shown, found=found).then(record(found["facts"], row=readable))


@remote_command(app, "update")
def update(
    remote: RemoteService,
    product: NameOption,
    base: CatalogPath,
    facts: Facts,
    description: DescriptionOption = None,
) -> Shown:
    """Change a product; what is not named stays.

    Reports to authorities and dossiers name these facts, and alerts come before the support ends.
    """
    if description is None and not facts:
        raise typer.BadParameter("name what to change, such as --support-ends 2031-12-31 or --description TEXT")
    path = product_path(base, product)
    if not facts:
        return record(remote.management.call("PATCH", path, {"properties": {"description": description}}), row=_row)
    if description is not None:
        remote.management.call("PATCH", path, {"properties": {"description": description}})
    found = remote.patch(_facts_path(base, product), facts)
    return record(found, row=readable_of("name", "description", *FACTS))


@remote_command(app, "delete")
def delete(remote: RemoteService, product: NameOption, base: CatalogPath, yes: YesOption = False) -> None:
    """Delete a product whose groups have no devices."""
    path = product_path(base, product)
    confirm(f"Delete product {product} with its device groups?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"product {product} is deleted")
