# SPDX-License-Identifier: Apache-2.0
"""A real service and a real device: the OS of its group's feed reaches it over the air, and a held device heals itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.test_device_time import factory_of
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rig import FAST
from tests.fixtures.images import manifest, package
from tests.fixtures.waiting import until

from armillary.boot import chain
from armillary.device.boot.provision import provision
from armillary.device.process import Device
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.sim.device.attacker import tamper
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image.application import OsRange

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


@pytest.fixture
def folder(host: ServiceHost, tmp_path: Path) -> Path:
    return claimed_device(host, tmp_path / "device")


def claimed_device(host: ServiceHost, data: Path) -> Path:
    """The folder of a device that was made and claimed."""
    provision(
        DeviceFolder(data),
        chip="mt3620",
        root_of_trust="software",
        sandbox="process",
        operator_api="https://localhost:1",
        factory=factory_of(host),
    )
    host.service.registry.devices.claim(
        "Contoso", [Device(data).device_id], product="Kettle", group="Production", actor="t"
    )
    return data


@contextlib.asynccontextmanager
async def running(folder: Path, boot_rom: Any = chain.boot) -> AsyncIterator[Callable[[], dict[str, Any]]]:
    """The device, running; gives its status."""
    device = Device(folder, settings=FAST, sandbox=FakeSandbox(), boot_rom=boot_rom)
    task = asyncio.create_task(device.run())
    try:
        yield lambda: read_status(folder / "status.json") or {}
    finally:
        device.stop()
        await task


def release(host: ServiceHost, version: str) -> Any:
    return host.service.releases.publish("mt3620", version, actor="t")


def runs(status: Callable[[], dict[str, Any]], version: str, verdict: str = "attested") -> Callable[[], bool]:
    def look() -> bool:
        found = status()
        settled = found.get("installation") == "idle" and (found.get("last_check_in") or {}).get("verdict") == verdict
        return settled and found["os"]["version"] == version and not found["os"]["on_trial"]

    return look


def log_of(folder: Path) -> list[dict[str, Any]]:
    log = folder / "log" / "device.jsonl"
    return [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []


def verdicts(folder: Path) -> list[str]:
    """What the service answered in turn, each once in a row, by the device's own log."""
    found = [entry["verdict"] for entry in log_of(folder) if entry["event"] == "check-in"]
    return [verdict for verdict, _ in itertools.groupby(found)]


async def test_a_release_reaches_a_device_and_its_withdrawal_brings_it_back(host: ServiceHost, folder: Path) -> None:
    async with running(folder) as status:
        await until(lambda: status().get("last_check_in"), "the first check-in", 30)
        first = status()["os"]["version"]
        newest = release(host, "99.1")
        await until(runs(status, "99.1"), "the new OS", 30)
        assert set(status()["os"]["slots"].values()) == {"b"}
        host.service.releases.withdraw(newest.release_id, "a hole in its kernel", actor="t")
        await until(runs(status, first), "the OS of before, by itself", 30)
    assert host.service.registry.devices.get(status()["device_id"]).os_version == first
    assert verdicts(folder) == ["attested", "update-only", "attested"], "positive control: it was held meanwhile"


async def test_an_application_and_the_os_that_it_needs_come_as_one(host: ServiceHost, folder: Path) -> None:
    service = host.service
    application = package(manifest("tap"), os_range=OsRange(5))
    image = service.updates.images.upload("Contoso", application, actor="t")
    draft = service.attestation.drafts.create("mt3620", "99.1", actor="t", feed="Retail", os_abi=5)
    service.attestation.drafts.publish(draft.release_id, actor="t")
    service.updates.deployments.create("Contoso", "Kettle", "Production", [image.image_id], actor="t")
    async with running(folder) as status:
        await until(runs(status, "99.1"), "the new OS", 30)
        await until(lambda: [one["state"] for one in status()["applications"]] == ["running"], "the application", 30)
    assert len([entry for entry in log_of(folder) if entry["event"] == "update-started"]) == 1, "one switch for both"
    assert status()["os"]["abi"] == 5


async def test_a_tampered_device_is_held_and_heals_itself(host: ServiceHost, folder: Path) -> None:
    """Its boot ROM verifies nothing and measures the truth, so what was tampered with boots and is noticed."""
    async with running(folder) as status:
        await until(lambda: verdicts(folder) == ["attested"], "attested", 30)
        version = status()["os_version"]
    tamper(folder, "root-fs")
    async with running(folder, functools.partial(chain.boot, enforce=False)) as status:
        await until(lambda: verdicts(folder)[-1:] == ["update-only"], "positive control: the service holds it", 30)
        await until(runs(status, version), "the genuine component, fetched and booted", 30)
    assert verdicts(folder) == ["attested", "update-only", "attested"]
    assert status()["os"]["slots"]["root-fs"] == "b"
    assert host.service.registry.devices.get(status()["device_id"]).health == "attested"
