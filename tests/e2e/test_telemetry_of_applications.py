# SPDX-License-Identifier: Apache-2.0
"""What an application hands to its device stands in the hub as the device's: real service, hub, device and sandbox."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, running_service
from tests.attacks.test_device_time import make
from tests.e2e.test_crash_dump import run_until
from tests.e2e.test_directed_update import GROUP, events
from tests.fixtures.application_samples import files_of, manifest_of
from tests.fixtures.images import P256

from armillary.device.process import Device
from armillary.wire.image import application

pytestmark = pytest.mark.e2e


def sample(catalog_id: uuid.UUID) -> bytes:
    """The sample in Python, which may speak for devices of this catalog."""
    described = manifest_of("python")
    described["Capabilities"]["DeviceAuthentication"] = str(catalog_id)
    content = {"app_manifest.json": json.dumps(described).encode(), **files_of("python")}
    return application.pack(
        content, image_id=uuid.uuid4(), built=1_790_000_000, key=P256[0], certificate=P256[1], executables=["bin/app"]
    )


def values(service: RunningService, device: Device) -> dict[str, object]:
    return {each.metric: each.value for each in service.hub.series.last_values(device.device_id)}


def test_an_application_without_mqtt_has_its_readings_in_the_hub(tmp_path: Path) -> None:
    with running_service(tmp_path / "service", check_in_jitter=0.0) as service:
        service.make_catalog(GROUP[0], product=GROUP[1])
        make(service, tmp_path / "device", wall=time.time())  # type: ignore[arg-type]  # it has a service, too
        catalog_id = service.service.registry.catalogs.get(GROUP[0]).catalog_id
        image = service.service.updates.images.upload(GROUP[0], sample(catalog_id), actor="t")
        service.service.updates.deployments.create(*GROUP, [image.image_id], actor="t")
        device = run_until(
            tmp_path / "device", (lambda one: "storage_used_bytes" in values(service, one), lambda: None)
        )
        said = [each["text"] for each in events(device, "output")]
        assert any(text.startswith("telemetry: ") and text.endswith(" waits") for text in said), said
        assert events(device, "telemetry-not-sent") == []
        assert values(service, device)["storage_used_bytes"] >= 0
