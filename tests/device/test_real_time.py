# SPDX-License-Identifier: Apache-2.0
"""Real-time applications on a device, in the sandbox of this host: compiled firmware, deployed as any application is."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.rig import Rig, provisioned
from tests.device.test_process_sandbox import SETTINGS, WAIT_S
from tests.fixtures.core_firmware import firmware, sample
from tests.fixtures.waiting import until

from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError
from armillary.update.install.trial import TrialRules
from armillary.wire.image.elf_symbols import read_build_id, read_elf

pytestmark = pytest.mark.anyio

CORE = "emulated Cortex-M4, not silicon"
BEATS = b"#!/usr/bin/env python3\nimport time\nwhile True:\n    print('beat', flush=True)\n    time.sleep(0.2)\n"


@pytest.fixture(params=["linux", "process"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    try:
        return open_sandbox(request.param)
    except SandboxUnavailableError as error:
        pytest.skip(f"this host contains no application: {error.message}; to enable: sudo apt-get install bubblewrap")


# A crash is watched, not the trial of an update.
PATIENT = replace(SETTINGS, trial=TrialRules(healthy_s=3.0, exits_allowed=1000, deadline_s=600.0))


def said(rig: Rig, component: int) -> list[str]:
    return [each["text"] for each in rig.events("output") if each["name"] == f"app{component}"]


def state_of(rig: Rig, component: int) -> tuple[str, str]:
    found = {each["component_id"]: each for each in rig.status().get("applications", [])}
    one = found.get(str(uuid.UUID(int=component)), {"state": "", "core": ""})
    return one["state"], one["core"]


async def test_firmware_runs_beside_a_high_level_application_and_crashes_alone(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    broken = firmware(
        "static volatile uint32_t ticks; void core_tick(void) { ticks++; }\n"
        "__attribute__((noinline)) void pump(void) { CORE_REGISTER(0x60000000) = 1; core_put('x'); }\n"
        'void core_main(void) { core_print("about to fail"); core_start_tick(100); while (ticks < 2) core_wait(); pump(); }'
    )
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        service = rig.service
        service.deploy(
            service.application(BEATS, component=1),
            service.application(sample(), component=2, real_time=True),
            service.application(broken, component=3, real_time=True),
        )
        await rig.start(PATIENT)
        await until(lambda: rig.status().get("state") == "running", "the device", WAIT_S)
        await until(lambda: "pulse: the timer ticks" in said(rig, 2), "the sample", WAIT_S)
        await until(lambda: state_of(rig, 2) == ("running", CORE), "its state", WAIT_S)
        assert state_of(rig, 1)[1] == ""
        await until(lambda: said(rig, 3).count("about to fail") >= 2, "started again after its fault", WAIT_S)
        beats = len(said(rig, 1))
        await until(lambda: len(said(rig, 1)) > beats, "the high-level application goes on", WAIT_S)
        await until(lambda: service.reports_seen, "a report", WAIT_S)
        report = next(iter(service.reports_seen.values()))
        assert report.event_type == "AppCrash"
        assert "fault=BusFault; reason=write to an address where nothing is 0x60000000; pc=0x0010" in report.description
        assert f"core={CORE}" in report.description
        assert report.crash is not None
        assert [name for name, _ in report.crash.registers] == ["pc", "lr", "sp"]
        assert report.crash.build_id == read_build_id(broken)
        assert [read_elf(broken).name_at(one.offset) for one in report.crash.frames][:1] == ["pump"]
        names = {each["name"] for each in rig.events("application-exited")}
        assert names == {"app3"}
        await rig.stop()
        assert not list((tmp_path / "d").rglob("*.core"))


async def test_what_is_no_firmware_or_one_too_many_leaves_the_version_before(
    tiny_service: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        service = rig.service
        good = [service.application(sample(), component=each, real_time=True) for each in (1, 2)]
        service.deploy(*good)
        await rig.start(SETTINGS)
        await until(lambda: len(rig.outcomes()) == 2, "both cores", WAIT_S)
        third = service.application(sample(), component=3, real_time=True)
        service.deploy(*good, third)
        rig.device.check_in_now()
        await until(lambda: rig.events("update-refused"), "refusal", WAIT_S)
        assert "at most 2 real-time capable applications" in str(rig.events("update-refused")[-1])
        script = service.application(b"#!/bin/sh\n", component=1, real_time=True)
        service.deploy(script, good[1])
        rig.device.check_in_now()
        await until(lambda: script.image_id in dict(rig.outcomes()), "its outcome", WAIT_S)
        assert "expected firmware, an ELF file" in str(rig.events("update-refused")[-1])
        assert not rig.events("application-not-started"), "it is refused before it takes the place of one that runs"
        assert state_of(rig, 1) == ("running", CORE)
