# SPDX-License-Identifier: Apache-2.0
"""What a device should run and why it does not, in words: every cause that the route tells."""

from __future__ import annotations

import time
import uuid

from tests.api.running_service import RunningService, application
from tests.fixtures.reports import reverted


def test_a_device_that_took_images_back_says_why(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    images, deployments = service.service.updates.images, service.service.updates.deployments
    component = uuid.uuid4()
    image = images.upload(catalog, application(component=component)[1], actor="test")
    made = deployments.create(catalog, "Coffee", "Production", [image.image_id], actor="test")
    path = f"/api/v1/devices/{device.device_id}/deployment"

    def status() -> tuple[str, str]:
        answer = service.call("GET", path).body
        return answer["status"], answer["reason"]

    assert status()[0] == "unknown"
    with device:
        offer = device.check_in().offer
        assert offer is not None
        assert offer.deployment_id == made.deployment_id
        assert status() == (
            "waiting",
            "The device was offered the images; it reports them when their trial has ended.",
        )
        tried = reverted(image, offer_id=offer.offer_id, reason="Blink ended 3 times", at=int(time.time()))
        device.check_in(outcomes=(tried,))
        assert status() == (
            "failed",
            "The device tried and took them back; it does not try them again: Blink ended 3 times",
        )
        anew = images.upload(catalog, application(component=component)[1], actor="test")
        deployments.create(catalog, "Coffee", "Production", [anew.image_id], actor="test")
        assert status() == ("waiting", "The device gets the images at its next check-in.")
