# SPDX-License-Identifier: Apache-2.0
"""Options that name things in the service, spelt as in ``az sphere``, and the API paths made from them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.management import SUBSCRIPTION
from armillary.cli.terminal.output import Row, Shown, record
from armillary.cli.terminal.remote import CATALOG_VARIABLE, RemoteService, segment
from armillary.cli.terminal.together import Together
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

PROVIDER = "Microsoft.AzureSphere"
# What az sphere does without a resource group of your own; the service keeps it for the paths only.
DEFAULT_RESOURCE_GROUP = "default"

CatalogOption = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        "-c",
        metavar="NAME",
        help=f"Catalog; not needed after context use, or when there is only one. [env: {CATALOG_VARIABLE}]",
    ),
]
ResourceGroupOption = Annotated[
    str, typer.Option("--resource-group", "-g", metavar="NAME", help="Resource group, kept for Azure's clients.")
]
ProductOption = Annotated[str, typer.Option("--product", "-p", metavar="NAME", help="Product.")]
DeviceGroupOption = Annotated[str, typer.Option("--device-group", "-dg", metavar="NAME", help="Device group.")]
DescriptionOption = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Change the one of this name, where there is one.")]
# Narrow a list.
OnlyCatalogOption = Annotated[
    str | None, typer.Option("--catalog", "-c", metavar="NAME", help="Only of a catalog; empty: of all.")
]
OnlyProductOption = Annotated[str | None, typer.Option("--product", "-p", metavar="NAME", help="Only of a product.")]
OnlyGroupOption = Annotated[
    str | None, typer.Option("--device-group", "-dg", metavar="NAME", help="Only of a device group.")
]
OnlyChipOption = Annotated[str | None, typer.Option("--chip", metavar="NAME", help="Only for a chip.")]
OnlySupportOption = Annotated[
    Literal["undeclared", "supported", "ending", "ended"] | None,
    typer.Option("--support", help="Only where the product's support stands so; ending: within 180 days."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Print at most so many.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]
TokenIdOption = Annotated[str, typer.Option("--token-id", "--id", metavar="ID", help="Token id.")]
OutputFileOption = Annotated[
    Path, typer.Option("--output-file", "-o", metavar="FILE", help="File to write; - is stdout.")
]


def catalog_path(remote: RemoteService, catalog: str | None, resource_group: str = DEFAULT_RESOURCE_GROUP) -> str:
    """Management path of a catalog, found as :func:`catalog_name` does."""
    name = catalog_name(remote, catalog)
    return f"{group_path(resource_group)}/providers/{PROVIDER}/catalogs/{segment(name)}"


# Of commands that take --catalog and --resource-group: the management path of the catalog.
CatalogPath = Annotated[
    str,
    Together(
        {"catalog": (CatalogOption, None), "resource_group": (ResourceGroupOption, DEFAULT_RESOURCE_GROUP)},
        catalog_path,
    ),
]


def group_path(resource_group: str) -> str:
    """Management path of a resource group."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{segment(resource_group)}"


def catalog_name(remote: RemoteService, catalog: str | None) -> str:
    """The named catalog, else ``ARMILLARY_CATALOG``, else what ``context use`` remembered, else the only one there is.

    Raises:
        InvalidArgumentError: none of these, and there is not exactly one.
    """
    return catalog or os.environ.get(CATALOG_VARIABLE) or remote.catalog or _only_catalog(remote)


def in_catalog(remote: RemoteService, catalog: str | None, *parts: str) -> str:
    """Native path of what a catalog has, such as ``transfers``; the catalog is found as :func:`catalog_name` does."""
    return "/".join(("/catalogs", *map(segment, (catalog_name(remote, catalog), *parts))))


def product_path(catalog: str, product: str) -> str:
    """Path of a product below a catalog's path."""
    return f"{catalog}/products/{segment(product)}"


def device_group_path(catalog: str, product: str, device_group: str) -> str:
    """Path of a device group below a catalog's path."""
    return f"{product_path(catalog, product)}/deviceGroups/{segment(device_group)}"


def device_place(remote: RemoteService, catalog: str, device: str) -> str:
    """Management path of a device in the group it is in now, found by asking the service.

    Raises:
        NotFoundError: no such device.
        InvalidArgumentError: the device is in no catalog, or in another one.
    """
    found = remote.get(f"/devices/{segment(device)}")
    name = catalog.rsplit("/", 1)[-1]
    if (found.get("catalog") or "").lower() != name.lower():
        owner = f"belongs to catalog {found['catalog']!r}" if found.get("catalog") else "is not claimed"
        raise InvalidArgumentError(
            f"device {device[:12]}... {owner}", remedy="Claim it first: armillary device claim, or name its catalog."
        )
    return f"{device_group_path(catalog, found['product'], found['group'])}/devices/{segment(device)}"


def resource_row(resource: dict[str, Any]) -> dict[str, Any]:
    """A management resource flattened for people: its name, then its properties."""
    return {"name": resource["name"], **(resource.get("properties") or {})}


def with_devices(remote: RemoteService, path: str, row: Row) -> Shown:
    """A management resource; people see the number of its devices too."""

    def counted(found: dict[str, Any]) -> dict[str, Any]:
        return {**row(found), "devices": remote.management.call("POST", f"{path}/countDevices")["value"]}

    return record(remote.management.call("GET", path), row=counted)


def create(remote: RemoteService, path: str, body: object, what: str, *, replace: bool) -> Any:
    """Make ``what`` at a management path, whose PUT would also change what is there.

    Asked first, as the management API knows no condition: of two people who make the same at once, the later one wins.

    Raises:
        ConflictError: it is there already, and ``replace`` is not given; nothing was changed.
    """
    if not replace:
        with contextlib.suppress(NotFoundError):
            remote.management.call("GET", path)
            raise ConflictError(
                f"there is a {what} already: nothing was changed",
                remedy="Give --replace to change it, or another name.",
            )
    return remote.management.call("PUT", path, body)


def split_ids(values: list[str]) -> list[str]:
    """Ids given as repeated options, comma-separated or space-separated, in order and without repeats."""
    found = [part for value in values for part in value.replace(",", " ").split()]
    return list(dict.fromkeys(found))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; ``--yes`` answers for scripts."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _only_catalog(remote: RemoteService) -> str:
    listed = remote.management.pages(f"/subscriptions/{SUBSCRIPTION}/providers/{PROVIDER}/catalogs")
    names = [catalog["name"] for catalog in listed]
    if len(names) == 1:
        return str(names[0])
    if not names:
        raise InvalidArgumentError(
            "there is no catalog yet", remedy="Make one: armillary catalog create --catalog NAME."
        )
    raise InvalidArgumentError(
        f"--catalog is needed: there are {len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})",
        remedy=f"Add --catalog NAME, or choose one for all commands: armillary context use --catalog {names[0]}.",
    )
