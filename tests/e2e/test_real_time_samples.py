# SPDX-License-Identifier: Apache-2.0
"""Firmware and the application that talks to it in one deployment: a real service, a real device, real sandboxes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.e2e.test_crash_dump import run_until
from tests.e2e.test_directed_update import GROUP, events
from tests.fixtures.core_firmware import SAMPLE, partner_files, sample
from tests.fixtures.images import P256

from armillary.device.process import Device
from armillary.service.updates.images import ANY_ARCHITECTURE
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import application

pytestmark = pytest.mark.e2e


def packed(files: Mapping[str, bytes]) -> bytes:
    return application.pack(
        dict(files),
        image_id=uuid.uuid4(),
        built=1_790_000_000,
        key=P256[0],
        certificate=P256[1],
        executables=["bin/app"],
    )


def said(device: Device, name: str) -> list[str]:
    return [each["text"] for each in events(device, "output") if each["name"] == name]


def test_firmware_is_uploaded_deployed_and_talks_to_its_partner(tmp_path: Path) -> None:
    core = packed({"app_manifest.json": (SAMPLE / "app_manifest.json").read_bytes(), "bin/app": sample()})
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time())
        updates = host.service.updates

        def deploy() -> None:
            made = [updates.images.upload("Contoso", each, actor="t") for each in (core, packed(partner_files()))]
            assert {each.architecture for each in made} == {ANY_ARCHITECTURE}, "a core is not the chip's processor"
            updates.deployments.create(*GROUP, [each.image_id for each in made], actor="t")

        device = run_until(
            tmp_path / "device",
            (lambda one: bool(events(one, "check-in")), deploy),
            (lambda one: "PULSE 2" in said(one, "pulse_panel"), lambda: None),
        )
        assert said(device, "pulse_core")[:2] == ["pulse: started", "pulse: the timer ticks"]
        cores = {each["name"]: each.get("core", "") for each in events(device, "application-started")}
        assert cores == {"pulse_core": "emulated Cortex-M4, not silicon", "pulse_panel": ""}
        assert not events(device, "application-exited")
