# SPDX-License-Identifier: Apache-2.0
"""``armillary deployment``: the images that a device group's devices run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from armillary.cli.terminal.image_reference import ImagesOption, resolve_images
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    CatalogPath,
    DeviceGroupOption,
    ProductOption,
    device_group_path,
    split_ids,
)
from armillary.cli.terminal.short_ids import resolve_ids, with_short
from armillary.errors import InvalidArgumentError
from armillary.wire.image.naming import image_label

app = noun("Deployments of a device group.")


def _row(deployment: dict[str, Any]) -> dict[str, Any]:
    properties = deployment["properties"]
    images = properties.get("deployedImages") or []
    return {
        "deploymentId": properties["deploymentId"],
        "deploymentDateUtc": properties.get("deploymentDateUtc"),
        "images": [
            image_label(image["properties"].get("imageName") or image["name"], image["properties"].get("version"))
            for image in images
        ],
    }


@remote_command(app, "create")
def create(
    remote: RemoteService,
    product: ProductOption,
    device_group: DeviceGroupOption,
    images: ImagesOption,
    base: CatalogPath,
) -> Shown:
    """Put images on every device of a group at once.

    armillary rollout create does the same step by step.
    """
    ids = resolve_images(remote, split_ids(images), base)
    if not ids:
        raise InvalidArgumentError("--images: expected at least one image id", remedy="List them: armillary image list")
    path = f"{device_group_path(base, product, device_group)}/deployments/.default"
    deployed = [{"name": image, "properties": {"imageId": image}} for image in ids]
    return record(remote.management.call("PUT", path, {"properties": {"deployedImages": deployed}}), row=_row)


@remote_command(app, "list")
def list_deployments(
    remote: RemoteService, product: ProductOption, device_group: DeviceGroupOption, base: CatalogPath
) -> Shown:
    """List a group's deployments, newest first."""
    path = device_group_path(base, product, device_group)
    found = remote.management.pages(f"{path}/deployments")
    empty = "No deployment. Make one: armillary deployment create --images ID"
    return table(found, ("deploymentId", "deploymentDateUtc", "images"), row=_listed, empty=empty)


def _listed(deployment: dict[str, Any]) -> dict[str, Any]:
    return with_short(_row(deployment), "deploymentId")


@remote_command(app, "show")
def show(
    remote: RemoteService,
    *,
    product: ProductOption,
    device_group: DeviceGroupOption,
    deployment: Annotated[
        str,
        typer.Option(
            "--deployment", metavar="ID", help="Deployment: its id, or first digits; without it the one in force."
        ),
    ] = ".default",
    base: CatalogPath,
) -> Shown:
    """Show a deployment."""
    path = f"{device_group_path(base, product, device_group)}/deployments"

    def listed() -> Iterable[tuple[str, str]]:
        rows = map(_row, remote.management.pages(path))
        return ((row["deploymentId"], row["deploymentDateUtc"]) for row in rows)

    meant = resolve_ids([deployment], listed, "deployment")[0]
    return record(remote.management.call("GET", f"{path}/{segment(meant)}"), row=_row)
