# SPDX-License-Identifier: Apache-2.0
"""What holds each application of a device to what it was granted: its manifest against what the device attested.

The device does not say what it granted; that follows from the manifest and the chip, by the rules that the device goes
by. Which mechanisms hold is its attested self-test.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from armillary.capability.grant import PlatformLimits, grant, platform_limits
from armillary.capability.holdings import Holding, holdings
from armillary.engines.records.schema.rows import Device
from armillary.errors import ArmillaryError
from armillary.service.context.chips import Chips
from armillary.service.registry.catalogs import Catalogs
from armillary.service.updates.images import Images
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.image import package as image_package
from armillary.wire.image.application import open_unverified


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldApplication:
    """One installed application; ``held_by`` is None where the service does not have its image."""

    name: str
    component_id: UUID
    image_id: UUID
    held_by: tuple[Holding, ...] | None


def held_applications(catalogs: Catalogs, images: Images, chips: Chips, device: Device) -> tuple[HeldApplication, ...]:
    """The applications that a device said it has, each with what holds it."""
    if device.catalog_id is None:
        return ()
    catalog = catalogs.get_by_id(device.catalog_id).name
    platform = platform_limits(chips.get(device.chip))
    return tuple(
        HeldApplication(
            name=image.name,
            component_id=image.component_id,
            image_id=image.image_id,
            held_by=_held(images, platform, device, catalog, image),
        )
        for image in device.installed
    )


def _held(
    images: Images, platform: PlatformLimits, device: Device, catalog: str, image: InstalledImage
) -> tuple[Holding, ...] | None:
    try:
        manifest = open_unverified(image_package.parse(images.read(image.image_id, catalog))).manifest
        granted = grant(manifest, platform)
    except ArmillaryError:  # sideloaded, deleted, a board configuration: what it was granted is not known here
        return None
    return holdings(image.name, granted, device.enforcement)
