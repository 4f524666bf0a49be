# SPDX-License-Identifier: Apache-2.0
"""What is said of the seven properties of a device, and of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService
    from armillary.service.assessment.properties import Property

Document = dict[str, Any]
_ROOT = "/api/v1"


def of_device(service: SecurityService, device_id: str) -> Document:
    """The ``properties`` of one device, each with ``state``, ``says`` and the routes that show its ``evidence``."""
    found = _assessment(service).of_device(device_id)
    return {
        "device_id": found.device_id,
        "tier": found.tier,
        "health": found.health,
        "properties": [
            {**_named(each), "state": answer.state, "says": answer.says, "evidence": _evidence(each, found.device_id)}
            for each, answer in found.answers
        ],
    }


def of_fleet(service: SecurityService, *, catalog: str | None) -> Document:
    """How many ``devices`` show each of the ``properties``, by state, and the most frequent reasons."""
    found = _assessment(service).of_fleet(catalog)
    return {
        "devices": found.devices,
        "tiers": found.tiers,
        "properties": [
            {
                **_named(count.each),
                "states": count.states,
                "reasons": [
                    {
                        "state": one.answer.state,
                        "says": one.answer.says,
                        "devices": one.devices,
                        "example": one.example,
                        "evidence": _evidence(count.each, one.example),
                    }
                    for one in count.reasons
                ],
            }
            for count in found.properties
        ],
    }


def _assessment(service: SecurityService) -> Any:
    from armillary.service.assessment.assessment import Assessment  # noqa: PLC0415 - a service at rest does without

    return Assessment(service.context)


def _named(each: Property) -> Document:
    return {"name": each.name, "title": each.title, "question": each.question}


def _evidence(each: Property, device_id: str) -> list[str]:
    return [_ROOT + path.format(device=device_id) for path in each.evidence]
