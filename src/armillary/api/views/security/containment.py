# SPDX-License-Identifier: Apache-2.0
"""What is said of what contains the applications of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def of_device(service: SecurityService, device_id: str) -> Document:
    """Mechanisms by the attested self-test, and for each installed application what holds it to what it was granted."""
    from armillary.service.assessment.containment import held_applications  # noqa: PLC0415 - memory: few ask

    device = service.registry.devices.get(device_id)
    return {
        "device_id": device.device_id,
        "sandbox": device.sandbox,
        "mechanisms": [{"name": name, "state": state} for name, state in device.enforcement],
        "applications": [
            {
                "name": each.name,
                "component_id": str(each.component_id),
                "image_id": str(each.image_id),
                "known": each.held_by is not None,
                "held_by": [
                    {
                        "granted": one.granted,
                        "value": one.value,
                        "mechanism": one.mechanism,
                        "held": one.held,
                        "why": one.why,
                    }
                    for one in each.held_by or ()
                ],
            }
            for each in held_applications(service.registry.catalogs, service.updates.images, service.chips, device)
        ],
    }
