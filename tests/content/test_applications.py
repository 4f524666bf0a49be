# SPDX-License-Identifier: Apache-2.0
"""The example applications: packed as image packages, run from real images in real sandboxes, with a real hub."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.engines.sandbox.sandbox_stage import crun, linux, publish_credentials, reduced
from tests.fixtures.waiting import until
from tests.hub.running_hub import DEVICE, Authority, RunningHub

from armillary import content
from armillary.boot import profile
from armillary.capability.grant import grant, platform_limits
from armillary.content import applications
from armillary.engines.sandbox.port import (
    ConnectionAttempt,
    ExitStatus,
    Launch,
    OutputLine,
    RunningApplication,
    Sandbox,
)
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.errors import NotFoundError
from armillary.wire.image import app_manifest, asxipfs

CATALOG = UUID("6a1f0b1e-5b7d-4a06-9d1d-0f6f1c2d3e4f")
IMAGE_LIMIT_BYTES = 1024 * 1024
CHIP = platform_limits(profile.parse(content.chip_document("mt3620")))


def image(name: str, *, allowed_host: str = "localhost") -> bytes:
    """The payload of an application's image package."""
    return asxipfs.build(applications.load(name, allowed_host=allowed_host, catalog_id=CATALOG), {"bin/app"})


@pytest.mark.parametrize("name", applications.names())
def test_an_image_is_small_and_its_manifest_is_granted(name: str) -> None:
    payload = image(name)
    assert len(payload) <= IMAGE_LIMIT_BYTES - 4096  # room for the package's metadata
    filesystem = asxipfs.read(payload)
    manifest = app_manifest.parse(filesystem.files["app_manifest.json"].content)
    granted = grant(manifest, CHIP)
    assert filesystem.files["bin/app"].executable
    assert filesystem.files["bin/app"].content.startswith(b"#!/usr/bin/env python3\n")
    if name == "phone_home":
        assert not granted.hosts.names
        assert granted.device_authentication is None
    else:
        assert granted.hosts.names == {"localhost"}
        assert granted.device_authentication == CATALOG
        assert "lib/paho/LICENSE" in filesystem.files


def test_the_applications_fit_on_one_device() -> None:
    granted: list[Any] = []
    for name in applications.names():
        files = applications.load(name, allowed_host="192.0.2.1", catalog_id=CATALOG)
        granted.append(grant(app_manifest.parse(files["app_manifest.json"]), CHIP, others=granted))


def test_an_unknown_application() -> None:
    with pytest.raises(NotFoundError, match="toaster") as caught:
        applications.load("toaster", allowed_host="h.example", catalog_id=CATALOG)
    assert "smart_cable" in caught.value.remedy


class Device:
    """An application from an image, with a hub beside it. Its loop runs while :meth:`run` runs."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.daa = folder / "daa"
        self.daa.mkdir()
        self.events: list[Any] = []

    def launch(self, name: str, hub_port: int) -> Launch:
        filesystem = asxipfs.read(image(name))
        manifest = app_manifest.parse(filesystem.files["app_manifest.json"].content)
        root = extract_image(
            {path: file.content for path, file in filesystem.files.items()},
            {path for path, file in filesystem.files.items() if file.executable},
            self.folder / name,
        )
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        granted = grant(manifest, CHIP)
        return Launch(
            image_root=root,
            manifest=manifest,
            grant=granted,
            data=data if granted.mutable_storage_kb else None,
            device_authentication=self.daa if granted.device_authentication else None,
            environment={
                "ARMILLARY_DEVICE_ID": DEVICE,
                "ARMILLARY_HUB_HOST": "localhost",
                "ARMILLARY_HUB_PORT": str(hub_port),
            },
        )

    async def start(self, name: str, hub_port: int = 1) -> RunningApplication:
        return await self.sandbox.start(self.launch(name, hub_port), self.events.append)

    def lines(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, OutputLine)]

    def certify(self, authority: Authority, *, lifetime_s: float = 3600.0) -> None:
        pem = authority.device(DEVICE, lifetime_s=lifetime_s).read_bytes()
        publish_credentials(self.daa, {"ca.pem": authority.trusted.encode(), "key.pem": pem, "certificate.pem": pem})


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    (tmp_path / "authority").mkdir()
    running = RunningHub(tmp_path / "hub", Authority(tmp_path / "authority"))
    yield running
    running.close()


@pytest.fixture(params=[linux, crun, reduced], ids=["linux", "crun", "reduced"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Device:
    return Device(tmp_path, request.param())


METRICS = {"current", "temperature", "plugged", "relayClosed", "energy"}


def test_an_application_at_work(device: Device, hub: RunningHub) -> None:
    """Waits for its certificate, sends telemetry, follows its twin, answers methods, says goodbye."""

    async def play() -> ExitStatus:
        running = await device.start("smart_cable", hub.port)
        await until(device.lines, "its first line")
        device.certify(hub.authority)  # not there when it started
        latest = await until(
            lambda: {each.metric: each.value for each in hub.hub.series.last_values(DEVICE)}, "telemetry"
        )
        assert set(latest) == METRICS
        await asyncio.to_thread(
            lambda: hub.hub.twins.change(DEVICE, desired={"currentLimit": 10, "telemetryIntervalSeconds": 0.5})
        )
        await until(lambda: reported(hub).get("currentLimit") == 10, "currentLimit reported")
        assert reported(hub)["telemetryIntervalSeconds"] == 0.5
        assert reported(hub)["firmware"] == "1.0.0"
        switch = hub.hub.invoke_method(DEVICE, "switch", {"closed": False}, 10.0)
        assert (await asyncio.to_thread(lambda: hub.run(switch))).status == 200
        identified = await asyncio.to_thread(lambda: hub.run(hub.hub.invoke_method(DEVICE, "identify", {}, 10.0)))
        assert identified.status == 200
        return await running.stop(10)

    status = asyncio.run(play())
    assert status.exit_code == 0, device.lines()
    assert device.lines()[-1] == "stopped"
    attempts = [event for event in device.events if isinstance(event, ConnectionAttempt)]
    assert attempts
    assert all(attempt.allowed for attempt in attempts)


def reported(hub: RunningHub) -> dict[str, Any]:
    return dict(hub.hub.twins.get(DEVICE).reported.properties)


def test_a_replaced_certificate_is_used(device: Device, hub: RunningHub) -> None:
    async def play() -> None:
        device.certify(hub.authority)
        running = await device.start("smart_cable", hub.port)
        await until(lambda: DEVICE in hub.hub.connected(), "connected")
        await asyncio.to_thread(device.certify, hub.authority, lifetime_s=7200.0)
        await until(
            lambda: device.lines().count("connected to the hub") >= 2, "connected again with the new certificate"
        )
        await running.stop(10)

    asyncio.run(play())
    assert "the certificate was replaced, connecting again" in device.lines()


def test_phoning_home_is_refused_and_seen(device: Device) -> None:
    async def play() -> None:
        running = await device.start("phone_home")
        await until(lambda: len(device.lines()) >= 2, "both attempts")
        await running.stop(5)

    asyncio.run(play())
    assert all(" refused: " in line for line in device.lines())
    seen = {(event.host, event.protocol) for event in device.events if isinstance(event, ConnectionAttempt)}
    assert seen == {("collector.phone-home.example", "lookup"), ("203.0.113.66", "tcp")}


def test_nothing_is_left_in_the_source_folders() -> None:
    """An application's folder holds what its image is made of, nothing that a run wrote."""
    for name in applications.names():
        root = Path(str(content.folder("applications"))) / name
        found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        assert found == {"app_manifest.json", "README.md", "bin/app"}
        assert shutil.which(str(root / "bin" / "app"))
