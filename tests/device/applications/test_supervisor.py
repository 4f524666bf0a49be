# SPDX-License-Identifier: Apache-2.0
"""Starting, restarting and stopping applications, and what is reported."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fixtures.waiting import until

from armillary.capability.grant import PlatformLimits, grant
from armillary.device.applications import supervisor as supervisors
from armillary.device.applications.admission import Application
from armillary.device.applications.supervisor import Supervisor, blocked, describe
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.sandbox.port import ConnectionAttempt, ExitStatus, Launch, OutputLine
from armillary.errors import SandboxUnavailableError
from armillary.wire.image import app_manifest
from armillary.wire.image.asxipfs import Filesystem


def application(number: int, version: int = 1) -> Application:
    manifest = app_manifest.parse(
        json.dumps(
            {
                "SchemaVersion": 1,
                "Name": f"app{number}",
                "ComponentId": str(uuid.UUID(int=number)),
                "EntryPoint": "/bin/app",
                "CmdArgs": [],
                "Capabilities": {},
                "ApplicationType": "Default",
            }
        ).encode()
    )
    return Application(
        component_id=uuid.UUID(int=number),
        image_id=uuid.UUID(int=number * 100 + version),
        name=f"app{number}",
        manifest=manifest,
        grant=grant(manifest, PlatformLimits(name="t")),
        filesystem=Filesystem({}),
    )


class Rig:
    def __init__(self, sandbox: Any, tmp_path: Any) -> None:
        self.sandbox = sandbox
        self.reports: list[Incident] = []
        self.entries: list[dict[str, Any]] = []
        self.now = 0.0
        journal = Journal(None, lambda: 0)
        journal.listen(self.entries.append)
        self.supervisor = Supervisor(
            sandbox,
            launch=lambda app: Launch(image_root=tmp_path / str(app.image_id), manifest=app.manifest, grant=app.grant),
            journal=journal,
            report=self.reports.append,
            changed=lambda: None,
            monotonic=lambda: self.now,
        )

    async def until(self, condition: Callable[[], Any]) -> None:
        await until(condition, "what the supervisor is to do")


def play(sandbox: Any, tmp_path: Any, story: Callable[[Rig], Awaitable[None]]) -> Rig:
    rig = Rig(sandbox, tmp_path)

    async def whole() -> None:
        try:
            await story(rig)
        finally:
            await rig.supervisor.stop()

    asyncio.run(whole())
    return rig


def test_only_what_changed_is_restarted(fake_sandbox: Any, tmp_path: Any) -> None:
    async def story(rig: Rig) -> None:
        await rig.supervisor.run_set([application(1), application(2)])
        await rig.until(lambda: len(fake_sandbox.alive) == 2)
        await rig.supervisor.run_set([application(1), application(2, version=2)])
        await rig.until(lambda: len(fake_sandbox.runs) == 3)
        assert [run.stopped for run in fake_sandbox.runs] == [False, True, False] or [
            run.stopped for run in fake_sandbox.runs
        ] == [True, False, False]
        stopped = next(run for run in fake_sandbox.runs if run.stopped)
        assert stopped.launch.image_root.name == str(application(2).image_id)

    rig = play(fake_sandbox, tmp_path, story)
    assert fake_sandbox.alive == []
    assert rig.reports == [], "a stop that was asked for is no incident"


def test_restarts_back_off_and_start_over_after_a_stable_run(
    fake_sandbox: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds >= 1:
            waits.append(seconds)
            seconds = 0
        await real_sleep(seconds)

    monkeypatch.setattr(supervisors, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    fake_sandbox.behaviour = lambda run: run.end(ExitStatus(1, None)) if len(fake_sandbox.runs) != 5 else None

    async def story(rig: Rig) -> None:
        await rig.supervisor.run_set([application(1)])
        await rig.until(lambda: len(fake_sandbox.runs) == 5)
        rig.now += supervisors.STABLE_S
        fake_sandbox.runs[-1].end(ExitStatus(1, None))
        await rig.until(lambda: len(waits) >= 5)
        assert waits[:5] == [1, 2, 4, 8, 1]

    play(fake_sandbox, tmp_path, story)


def test_a_start_that_fails_is_reported_once_and_tried_again(
    fake_sandbox: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)

    def refuse(run: Any) -> None:
        if len(fake_sandbox.runs) < 3:
            raise SandboxUnavailableError("no namespaces here")

    fake_sandbox.behaviour = refuse

    async def story(rig: Rig) -> None:
        await rig.supervisor.run_set([application(1)])
        await rig.until(lambda: rig.supervisor.runs[0].state == "failed")
        [health] = rig.supervisor.health([application(1).image_id])
        assert health.start_failure == "no namespaces here"
        await rig.until(lambda: rig.supervisor.runs[0].state == "running")
        assert rig.supervisor.runs[0].start_failure is None

    rig = play(fake_sandbox, tmp_path, story)
    assert [report.event_type for report in rig.reports] == ["AppStartFailure"]


def test_stopping_while_it_starts_leaves_nothing_behind(fake_sandbox: Any, tmp_path: Any) -> None:
    gate = asyncio.Event()
    real_start = fake_sandbox.start

    async def slow_start(launch: Any, on_event: Any) -> Any:
        await gate.wait()
        return await real_start(launch, on_event)

    fake_sandbox.start = slow_start

    async def story(rig: Rig) -> None:
        await rig.supervisor.run_set([application(1)])
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(rig.supervisor.stop())
        await asyncio.sleep(0.05)
        gate.set()
        await stopping
        assert [run.stopped for run in fake_sandbox.runs] == [True]

    play(fake_sandbox, tmp_path, story)


def test_output_and_allowed_connections_are_no_incidents(fake_sandbox: Any, tmp_path: Any) -> None:
    async def story(rig: Rig) -> None:
        await rig.supervisor.run_set([application(1)])
        await rig.until(lambda: fake_sandbox.events)
        fake_sandbox.events[0](OutputLine("stdout", "hello", 0.0))
        fake_sandbox.events[0](ConnectionAttempt("hub.test", 8883, allowed=True, at=0.0))
        fake_sandbox.events[0](ConnectionAttempt("evil.test", 0, allowed=False, at=0.0, protocol="lookup", count=4))

    rig = play(fake_sandbox, tmp_path, story)
    assert [(e["event"], e.get("text")) for e in rig.entries if e["event"] == "output"] == [("output", "hello")]
    [report] = rig.reports
    assert (report.event_type, report.count) == ("ConnectionBlocked", 4)
    assert "lookup of evil.test" in report.description


def test_literal_forms() -> None:
    one = application(1)
    ids = f"component_id={one.component_id}; image_id={one.image_id})"
    assert describe(one, ExitStatus(None, 11)).description == (
        f"AppCrash (exit_status=11; signal_status=11; signal_code=0; {ids}"
    )
    assert describe(one, ExitStatus(0, None)).description == f"AppExit (exit_code=0; {ids}"
    attempt = ConnectionAttempt("evil.test", 443, allowed=False, at=0.0)
    assert blocked(one, attempt).description == f"ConnectionBlocked (tcp connection to evil.test:443; {ids}"
