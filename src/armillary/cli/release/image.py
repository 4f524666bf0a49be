# SPDX-License-Identifier: Apache-2.0
"""``armillary image``: images of a catalog."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.device_image import attack, build, fetch, flash, package as device_image_package, pin, power_cuts
from armillary.cli.release.development_key import verify_own
from armillary.cli.release.release_life import BILL_FACTS, BillArgument, BillOutput
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.image_reference import ImageOption, resolve_image, resolve_images
from armillary.cli.terminal.output import Shown, adopt, note, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    in_catalog,
    resource_row,
)
from armillary.cli.terminal.short_ids import with_short
from armillary.errors import WireError
from armillary.wire.image import package as image_package
from armillary.wire.image.bill_of_materials import MAX_BYTES, MEDIA_TYPE

app = noun("Images of a catalog.")
adopt(app, build.app, fetch.app, attack.app, power_cuts.app, flash.app, device_image_package.app, pin.app)

# The service's own limit decides; this one only keeps a slip (a disk image) from being read into memory.
MAX_PACKAGE_BYTES = 64 << 20
# The version of an image of which nobody said one.
UNKNOWN = "unknown"
COLUMNS = ("imageName", "version", "imageType", "imageId", "componentId")


def _row(image: dict[str, Any]) -> dict[str, Any]:
    row = resource_row(image)
    row["version"] = row.get("version") or UNKNOWN
    return {name: row.get(name) for name in (*COLUMNS, "description", "regionalDataBoundary", "uri")}


@remote_command(app, "add")
def add(
    remote: RemoteService,
    image_path: Annotated[
        Path, typer.Option("--image-path", "--image", "-img", metavar="FILE", help="Image package file; - is stdin.")
    ],
    catalog: CatalogOption = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="TEXT", help="What people call this build, as 1.4.2.")
    ] = None,
    regional_data_boundary: Annotated[
        str | None, typer.Option("--regional-data-boundary", "-r", metavar="None|EU", help="Data boundary.")
    ] = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """Upload an image package.

    The service checks it and signs it for production. The package's format has no version: give it here.
    """
    package = read_file(image_path, limit=MAX_PACKAGE_BYTES)
    parsed = None
    with contextlib.suppress(WireError):  # what breaks the format is for the service to say
        parsed = image_package.parse(package)
    if parsed is not None:
        verify_own(parsed)  # the service does not know this user's key, and would sign what was damaged since
    properties = {"image": base64.b64encode(package).decode()}
    if version is not None:
        properties["version"] = version
    if regional_data_boundary is not None:
        properties["regionalDataBoundary"] = regional_data_boundary
    path = f"{catalog_path(remote, catalog, resource_group)}/uploadImage"
    return record(remote.management.call("POST", path, {"properties": properties}), row=_row)


@remote_command(app, "list")
def list_images(
    remote: RemoteService,
    base: CatalogPath,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="WORD", help="name, size, uploaded_at...; falling with - before it."),
    ] = None,
) -> Shown:
    """List the images of a catalog, newest first."""
    found = remote.management.pages(f"{base}/images", sort=sort)
    return table(found, COLUMNS, row=_listed, empty="No image. Upload one: armillary image add --image-path FILE")


def _listed(image: dict[str, Any]) -> dict[str, Any]:
    return with_short(_row(image), "imageId")


@remote_command(app, "show")
def show(remote: RemoteService, image: ImageOption, base: CatalogPath) -> Shown:
    """Show an image."""
    return record(
        remote.management.call("GET", f"{base}/images/{segment(*resolve_images(remote, [image], base))}"), row=_row
    )


@remote_command(app, "delete")
def delete(remote: RemoteService, image: ImageOption, base: CatalogPath, yes: YesOption = False) -> None:
    """Delete an image that no deployment uses."""
    image = resolve_images(remote, [image], base)[0]
    path = f"{base}/images/{segment(image)}"
    confirm(f"Delete image {image}?", yes=yes)
    remote.management.call("DELETE", path)
    note(f"image {image} is deleted")


@remote_command(app, "add-sbom")
def add_bill(remote: RemoteService, file: BillArgument, image: ImageOption, catalog: CatalogOption = None) -> Shown:
    """Add the bill of materials of an image.

    It takes the place of the one before.
    """
    data = read_file(file, limit=MAX_BYTES)
    made = remote.upload(
        in_catalog(remote, catalog, "images", resolve_image(remote, image, catalog), "sbom"), data, MEDIA_TYPE
    )
    return record(made, row=readable_of(*BILL_FACTS))


@remote_command(app, "get-sbom")
def get_bill(remote: RemoteService, image: ImageOption, output: BillOutput, catalog: CatalogOption = None) -> None:
    """Write the bill of materials of an image, as it was given."""
    data = b"".join(
        remote.download(in_catalog(remote, catalog, "images", resolve_image(remote, image, catalog), "sbom"))
    )
    write_file(output, data)
    note(f"{len(data)} bytes")
