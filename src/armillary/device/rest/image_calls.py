# SPDX-License-Identifier: Apache-2.0
"""Images: what is installed, and for which components another image is staged."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Call, Need, Route
from armillary.engines.flash.port import Flash
from armillary.errors import WireError
from armillary.update.install.component import Kind, OsPlace, os_region
from armillary.update.install.record import SlotImage
from armillary.update.install.transaction import InstallState
from armillary.wire.image import package as image_package

_REPLICA: Final = 0  # the one that is in force


async def images(call: Call) -> object:
    """The components of the device and their images: applications, board configuration, trust stores and the OS."""
    device = call.device
    record = device.installer.record
    system = await asyncio.to_thread(_system_images, device)
    staged = {str(each.component_id) for each in device.staging.staged}
    components = [*(_component(each) for each in record.active if each.kind is not Kind.OS), *system]
    return {
        "components": [{**each, "is_update_staged": each["uid"] in staged} for each in components],
        "is_ota_update_in_progress": device.installer.state is not InstallState.IDLE,
        "has_staged_updates": bool(staged),
        "restart_required": device.startup.is_behind(record),
    }


ROUTES: Final = (Route(method="GET", path="images", answer=images, needs=Need.OPEN),)


def _component(image: SlotImage) -> dict[str, Any]:
    return _shown(
        component_id=str(image.component_id),
        image_type=image.image_type,
        name=image.name,
        image_id=str(image.image_id),
        size=image.size,
        needs_restart=image.kind.is_system,
    )


def _system_images(device: AttachedDevice) -> list[dict[str, Any]]:
    """The boot components as they stand in flash; one that is unreadable is left out, the next boot says why."""
    found: list[dict[str, Any]] = []
    for place in device.startup.places:
        data = _package(device.flash, place, device.installer.record.os_slot(place.name))
        try:
            package = image_package.parse(data)
        except WireError:
            continue
        found.append(
            _shown(
                component_id=str(place.component_id),
                image_type=place.image_type,
                name=place.name,
                image_id=str(package.image_id),
                size=len(data),
                needs_restart=True,
            )
        )
    return found


def _package(flash: Flash, place: OsPlace, slot: str) -> bytes:
    return flash.read(os_region(place.name, slot)) or b""


def _shown(
    *, component_id: str, image_type: int, name: str, image_id: str, size: int, needs_restart: bool
) -> dict[str, Any]:
    image = {
        "uid": image_id,
        "length_in_bytes": size,
        "uncompressed_length_in_bytes": size,
        "replica_type": _REPLICA,
    }
    return {
        "uid": component_id,
        "image_type": image_type,
        "does_image_type_require_restart": needs_restart,
        "name": name,
        "images": [image],
    }
