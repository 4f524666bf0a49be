# SPDX-License-Identifier: Apache-2.0
"""A real service directs a real device over real TLS: what it installs is signed twice, and comes from a mirror."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.attacks.test_device_time import make
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rig import FAST
from tests.fixtures.images import manifest, package
from tests.fixtures.static_server import Request, StaticServer
from tests.fixtures.waiting import until

from armillary.device.process import Device
from armillary.device.repository import opening, partial
from armillary.sim.device.service_host import ServiceHost

DEADLINE_S = 40.0
GROUP = ("Contoso", "Kettle", "Production")
PIECE_BYTES = 8192  # small, so that pieces of an application are kept while it comes


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


def deploy(host: ServiceHost, name: str) -> Any:
    large = os.urandom(PIECE_BYTES // 2) * 6
    image = host.service.updates.images.upload("Contoso", package(manifest(name), large), actor="t")
    host.service.updates.deployments.create(*GROUP, [image.image_id], actor="t")
    return image


def events(device: Device, kind: str) -> list[dict[str, Any]]:
    lines = [line for file in device.folder.log.glob("*.jsonl*") for line in file.read_bytes().splitlines()]
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def run_until(
    folder: Path, condition: Callable[[Device], bool], *mirrors: StaticServer, sandbox: FakeSandbox | None = None
) -> Device:
    """Be the device, with mirrors, until something is so."""

    async def play() -> Device:
        async with AsyncExitStack() as stack:
            for mirror in mirrors:
                await stack.enter_async_context(mirror.serving())
            settings = replace(FAST, mirrors=tuple(mirror.url for mirror in mirrors))
            device = Device(folder, settings=settings, sandbox=sandbox or FakeSandbox())
            running = asyncio.create_task(device.run())
            try:
                await until(lambda: condition(device) or running.done(), "the device has come so far", DEADLINE_S)
            finally:
                device.stop()
                await running
            return device

    return asyncio.run(play())


def pieces(folder: Path) -> list[Path]:
    """What a device keeps of downloads."""
    return [path for path in (folder / "flash" / "downloads").rglob("*") if path.is_file()]


def served(host: ServiceHost) -> dict[str, bytes]:
    """What a mirror copies from the service's folder."""
    folder = host.service.repository.files.folder
    found = [path for name in ("metadata", "targets") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def packing(files: Mapping[str, bytes]) -> StaticServer:
    """Gives the right bytes packed though nobody asked for that: what is small on the way could unpack to any size."""

    async def packed(request: Request) -> bool:
        if request.path not in files or not request.path.startswith("targets/"):
            return False
        await request.answer(200, gzip.compress(files[request.path]), headers="Content-Encoding: gzip\r\n")
        return True

    return StaticServer(files, packed)


@pytest.mark.e2e
def test_a_device_installs_what_director_and_repository_both_signed(
    tmp_path: Path, host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "PIECE_BYTES", PIECE_BYTES)
    folder = tmp_path / "device"
    make(host, folder, wall=time.time())
    flash = folder / "flash" / "repository"
    assert (flash / "root.json").read_bytes() == host.service.repository.root()  # from its manufacture
    deploy(host, "first")
    confirmed = lambda device: bool(events(device, "update-confirmed"))  # noqa: E731
    first = run_until(folder, confirmed)
    assert [event["images"] for event in events(first, "update-confirmed")] == [["first"]]
    assert events(first, "offer-refused") == []
    assert (flash / "directive-version").read_bytes() == (1).to_bytes(8, "big")

    second = deploy(host, "second")
    with monkeypatch.context() as full:  # a set without room is refused before its first byte
        full.setattr(opening.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
        device = run_until(folder, lambda device: bool(events(device, "update-postponed")))
    assert all("bytes of flash" in event["reason"] for event in events(device, "update-postponed"))
    assert pieces(folder) == []
    files = served(host)
    spoilt = {path: data[:-1] + b"!" if path.startswith("targets/") else data for path, data in files.items()}
    evil, packer, good = StaticServer(spoilt), packing(files), StaticServer(files)
    twice = lambda device: len(events(device, "update-confirmed")) == 2  # noqa: E731
    device = run_until(folder, twice, evil, packer, good)
    assert events(device, "update-confirmed")[1]["images"] == ["second"]
    assert [event["source"] for event in events(device, "source-refused")] == [evil.url]
    address = next(path for path in files if path.endswith(str(second.image_id)))
    assert address in [path for path, _ in good.asked]
    assert (flash / "directive-version").read_bytes() == (2).to_bytes(8, "big")
    assert pieces(folder) == [], "it is installed"
