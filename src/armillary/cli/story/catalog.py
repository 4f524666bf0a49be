# SPDX-License-Identifier: Apache-2.0
"""What scenes do with the catalog of a story: claim devices into it, upload and deploy images, see what runs."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable
from typing import Any

from armillary.cli.story.stage import DeviceOnStage, Stage
from armillary.cli.terminal.management import SUBSCRIPTION
from armillary.cli.terminal.remote import segment

CATALOG = "Northwind"
CATALOG_PATH = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/default/providers/Microsoft.AzureSphere/catalogs/{CATALOG}"
)
GROUP = "Production"


def group_path(product: str) -> str:
    """Management path of a product's Production group."""
    return f"{CATALOG_PATH}/products/{segment(product)}/deviceGroups/{GROUP}"


def make_catalog(stage: Stage, products: Iterable[tuple[str, str]]) -> int:
    """Make the catalog and its products, each a name and a description; returns how many device groups they have.

    The catalog's id is left in ``stage.notes["catalog_id"]``.
    """
    catalog = stage.client.management.call("PUT", CATALOG_PATH, {"location": "Global"})
    stage.notes["catalog_id"] = uuid.UUID(catalog["properties"]["tenantId"])
    groups = 0
    for product, description in products:
        path = f"{CATALOG_PATH}/products/{segment(product)}"
        stage.client.management.call("PUT", path, {"properties": {"description": description}})
        groups += len(stage.client.management.call("POST", f"{path}/generateDefaultDeviceGroups")["value"])
    return groups


def claim(stage: Stage, device: DeviceOnStage, product: str) -> None:
    """Claim one device into a product's Production group."""
    stage.client.management.call(
        "POST", f"{group_path(product)}/claimDevices", {"deviceIdentifiers": [device.device_id]}
    )


def upload(stage: Stage, package: bytes) -> None:
    """Upload a package to the catalog."""
    body = {"properties": {"image": base64.b64encode(package).decode("ascii")}}
    stage.client.management.call("POST", f"{CATALOG_PATH}/uploadImage", body)


def deploy(stage: Stage, product: str, images: list[uuid.UUID]) -> None:
    """Make a set of images the deployment of a product's Production group."""
    body = {"properties": {"deployedImages": [{"properties": {"imageId": str(image)}} for image in images]}}
    stage.client.management.call("PUT", f"{group_path(product)}/deployments/.default", body)


def attested(stage: Stage, device: DeviceOnStage) -> dict[str, Any] | None:
    """What the service knows of a device once it has attested it; None before."""
    shown = stage.show(device)
    return shown if shown["verdict"] == "attested" else None


def confirmed(stage: Stage, device: DeviceOnStage, image_id: uuid.UUID) -> bool:
    """Whether the device runs this image and no trial is under way."""
    installed = stage.show(device)["installed"]
    return any(image["image_id"] == str(image_id) and image["state"] == "running" for image in installed)


def in_state(stage: Stage, path: str, state: str) -> dict[str, Any] | None:
    """The roll-out of a path once it is in a state; None before."""
    rollout: dict[str, Any] = stage.client.get(path)
    return rollout if rollout["state"] == state else None
