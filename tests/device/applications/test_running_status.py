# SPDX-License-Identifier: Apache-2.0
"""The device's status tells an application that waits to be started again from one that was stopped."""

from __future__ import annotations

from typing import Any

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.applications import running_status, supervisor
from armillary.device.applications.supervisor import ApplicationRun
from armillary.device.boot.late_sandbox import waiting_report
from armillary.engines.sandbox.port import ExitStatus, SandboxReport


def run(*, kept: bool, runs: bool = False, fault: str | None = None) -> ApplicationRun:
    found = ApplicationRun.__new__(ApplicationRun)
    some: Any = object()
    found.task, found.running, found.start_failure = some if kept else None, some if runs else None, fault
    return found


HOLDS = SandboxReport("linux", (), ())


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (None, "stopped"),
        (run(kept=False), "stopped"),
        (run(kept=True), "restarting"),
        (run(kept=True, runs=True), "running"),
        (run(kept=True, fault="no entry point"), "failed"),
    ],
)
def test_who_waits_to_be_started_again_is_not_stopped(of: ApplicationRun | None, said: str) -> None:
    assert running_status._state(of, HOLDS) == said


def test_who_waits_for_the_sandbox_is_not_restarting() -> None:
    late = waiting_report("no answer within 20 s")
    assert running_status._state(run(kept=True), late) == "waiting"
    assert running_status._state(run(kept=False), late) == "stopped"
    assert running_status._state(None, late) == "stopped"


@pytest.mark.anyio
async def test_the_status_of_a_device_says_who_waits_and_who_was_stopped(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_FIRST_S", 3600.0)
    monkeypatch.setattr(supervisor, "RESTART_LIMIT_S", 3600.0)
    ended, halted = rig.service.application(component=1), rig.service.application(component=2)
    rig.service.deploy(ended, halted)
    device = await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "both run")

    def states() -> dict[str, str]:
        return {each["image_id"]: each["state"] for each in rig.status().get("applications", ())}

    assert device._running is not None
    runs = {each.application.image_id: each for each in device._running.supervisor.runs}
    runs[ended.image_id].running.end(ExitStatus(1, None))  # type: ignore[union-attr]
    await device._running.supervisor.halt(halted.image_id)
    wanted = {str(ended.image_id): "restarting", str(halted.image_id): "stopped"}
    await until(lambda: states() == wanted, "the status says both")
