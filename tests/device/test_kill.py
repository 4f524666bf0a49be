# SPDX-License-Identifier: Apache-2.0
"""A real device process that is killed with SIGKILL at random moments while it is offered one OS with applications after
another."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import crun
from tests.fixtures.effort import effort
from tests.fixtures.waiting import until

from armillary.device.install.installer import Installer
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.wire.image.section import APPLICATIONS

KILLS = effort(3, 6)


async def boot(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "armillary",
        "device",
        "boot",
        "--data",
        str(folder),
        "--trial",
        "0.3",
        "--json",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


def whole_and_known(folder: Path, published: dict[str, bytes]) -> list[uuid.UUID]:
    """Every image the record names is in flash, byte for byte as published."""
    record = Installer(FileFlash(folder / "flash"), lambda: 0).record
    flash = FileFlash(folder / "flash")
    kept = record.active if record.trial is None else record.active + record.trial.previous
    for image in kept:
        assert flash.read(image.region) == published[str(image.image_id)], f"{image.name} is not whole"
    return [image.image_id for image in record.active]


def marked_processes(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_killed_at_any_moment_the_device_comes_back_and_converges(tiny_service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    rng = random.Random(20261124)  # noqa: S311 - moments, not secrets

    async def play() -> None:
        service = tiny_service
        await service.start()
        service.next_check_in_s = 1
        service.provision(folder)
        boots = []
        try:
            for number in range(KILLS):
                service.deploy_os(f"26.{12 + number}", service.application(), service.application(component=2))
                process = await boot(folder)
                boots.append(process)
                checks = len(service.checks)
                await until(lambda c=checks: len(service.checks) > c, "check-in")
                await asyncio.sleep(rng.uniform(0, 0.6))
                process.send_signal(signal.SIGKILL)
                await process.wait()
                whole_and_known(folder, service.images)
            wanted = [image.image_id for image in service.offer.images if image.image_type == APPLICATIONS]
            process = await boot(folder)
            boots.append(process)
            await until(
                lambda: (
                    status(folder).get("pid") == process.pid
                    and status(folder).get("installation") == "idle"
                    and status(folder).get("os_version") == service.offer.os_version
                    and [a["image_id"] for a in status(folder).get("applications", []) if a["state"] == "running"]
                    == [str(i) for i in wanted]
                ),
                "the wanted set runs",
            )
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
            assert set(whole_and_known(folder, service.images)) == {image.image_id for image in service.offer.images}
        finally:
            for process in boots:
                if process.returncode is None:
                    process.kill()
            await service.close()
        counts = [judged.evidence.boot_count for _, judged in service.checks]
        assert counts == sorted(counts), "the boot count never runs backwards"
        assert len(set(counts)) > KILLS, "each process boots, and boots again into a new OS"
        assert DeviceFolder(folder).holder() is None

    asyncio.run(play())


def status(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "status.json").read_bytes())
    except FileNotFoundError:
        return {}


@pytest.mark.parametrize("sandbox", ["process", "crun"])
def test_applications_do_not_outlive_a_killed_device(tiny_service: Any, tmp_path: Path, sandbox: str) -> None:
    if sandbox == "crun":
        crun()
    folder = tmp_path / "device"
    mark = f"31{os.getpid()}"

    async def play() -> None:
        service = tiny_service
        await service.start()
        service.provision(folder, sandbox=sandbox)
        service.deploy(service.application(f"#!/usr/bin/env sh\nexec sleep {mark}\n".encode()))
        process = await boot(folder)
        try:
            await until(lambda: marked_processes(mark), "positive control: the application runs")
            assert status(folder)["sandbox"]["name"] == sandbox
            assert {judged.evidence.sandbox for _, judged in service.checks} == {sandbox}
        finally:
            process.kill()
            await process.wait()
            await service.close()
        await until(lambda: not marked_processes(mark), "the application is gone with its device", 5.0)

    asyncio.run(play())
    assert [path.name for path in (folder / "run").glob("armillary-app-*")], "what it leaves is in its own folder"
    DeviceFolder(folder).clear_run()  # what a start does first
    assert list((folder / "run").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stops_its_applications_and_says_so(tiny_service: Any, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "device"
    mark = f"32{os.getpid()}{int(number)}"

    async def play() -> None:
        service = tiny_service
        await service.start()
        service.provision(folder)
        service.deploy(service.application(f"#!/bin/sh\nexec sleep {mark}\n".encode()))
        process = await boot(folder)
        try:
            await until(lambda: marked_processes(mark), "the application runs")
            process.send_signal(number)
            await asyncio.wait_for(process.wait(), 20)
        finally:
            if process.returncode is None:
                process.kill()
            await service.close()
        assert process.returncode == 0
        assert marked_processes(mark) == []
        assert status(folder)["state"] == "stopped"

    asyncio.run(play())
