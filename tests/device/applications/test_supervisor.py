# SPDX-License-Identifier: Apache-2.0
"""Starting, restarting and stopping applications, and what is reported."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.device.fake_sandbox import FakeSandbox
from tests.fixtures import images
from tests.fixtures.dumps import state
from tests.fixtures.waiting import until

from armillary.capability.grant import PlatformLimits, grant
from armillary.device.applications import supervisor as supervisors
from armillary.device.applications.admission import Application
from armillary.device.applications.port import Run
from armillary.device.applications.supervisor import Supervisor, blocked, describe
from armillary.device.state import output_share
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.sandbox.port import METHOD, ConnectionAttempt, ExitStatus, Launch, OutputLine, ServerPort
from armillary.errors import SandboxUnavailableError
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.image import app_manifest
from armillary.wire.image.asxipfs import Filesystem

pytestmark = pytest.mark.anyio


def application(number: int, version: int = 1, **capabilities: Any) -> Application:
    manifest = app_manifest.parse(images.manifest(f"app{number}", uuid.UUID(int=number), Capabilities=capabilities))
    return Application(
        component_id=uuid.UUID(int=number),
        image_id=uuid.UUID(int=number * 100 + version),
        name=f"app{number}",
        manifest=manifest,
        grant=grant(manifest, PlatformLimits(name="t")),
        filesystem=Filesystem({}),
    )


class Rig:
    def __init__(self, sandbox: Any, tmp_path: Any, interface: Any = None, cores: Any = None) -> None:
        self.sandbox = sandbox
        self.reports: list[Incident] = []
        self.entries: list[dict[str, Any]] = []
        self.now = 0.0
        self.crashes: list[Any] = []
        self.deferred: dict[uuid.UUID, int] = {}
        journal = Journal(None, lambda: 0)
        journal.listen(self.entries.append)
        self.supervisor = Supervisor(
            sandbox,
            launch=lambda app: Launch(image_root=tmp_path / str(app.image_id), manifest=app.manifest, grant=app.grant),
            journal=journal,
            report=self.reports.append,
            changed=lambda: None,
            monotonic=lambda: self.now,
            deferrals=self,
            crashed=lambda app, seen: self.crashes.append((app.image_id, seen)),
            interface=interface,
            cores=cores,
        )

    def defer(self, component_id: uuid.UUID, minutes: int) -> None:
        self.deferred[component_id] = minutes

    def forget(self, component_id: uuid.UUID) -> None:
        self.deferred.pop(component_id, None)


@pytest.fixture
async def rig(fake_sandbox: Any, tmp_path: Path) -> AsyncIterator[Rig]:
    found = Rig(fake_sandbox, tmp_path)
    yield found
    await found.supervisor.stop()


async def test_only_what_changed_is_restarted(rig: Rig, fake_sandbox: Any) -> None:
    await rig.supervisor.run_set([application(1), application(2)])
    await until(lambda: len(fake_sandbox.alive) == 2, "what the supervisor is to do")
    await rig.supervisor.run_set([application(1), application(2, version=2)])
    await until(lambda: len(fake_sandbox.runs) == 3, "what the supervisor is to do")
    assert [run.stopped for run in fake_sandbox.runs] == [False, True, False] or [
        run.stopped for run in fake_sandbox.runs
    ] == [True, False, False]
    stopped = next(run for run in fake_sandbox.runs if run.stopped)
    assert stopped.launch.image_root.name == str(application(2).image_id)
    await rig.supervisor.stop()
    assert fake_sandbox.alive == []
    assert rig.reports == [], "a stop that was asked for is no incident"


async def test_restarts_back_off_and_start_over_after_a_stable_run(
    rig: Rig, fake_sandbox: Any, monkeypatch: pytest.MonkeyPatch
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

    await rig.supervisor.run_set([application(1)])
    await until(lambda: len(fake_sandbox.runs) == 5, "what the supervisor is to do")
    rig.now += supervisors.STABLE_S
    fake_sandbox.runs[-1].end(ExitStatus(1, None))
    await until(lambda: len(waits) >= 5, "what the supervisor is to do")
    assert waits[:5] == [1, 2, 4, 8, 1]


async def test_a_start_that_fails_is_reported_once_and_tried_again(
    rig: Rig, fake_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)

    def refuse(run: Any) -> None:
        if len(fake_sandbox.runs) < 3:
            raise SandboxUnavailableError("no namespaces here")

    fake_sandbox.behaviour = refuse

    await rig.supervisor.run_set([application(1)])
    await until(lambda: rig.supervisor.runs[0].state == "failed", "what the supervisor is to do")
    [health] = rig.supervisor.health([application(1).image_id])
    assert health.start_failure == "no namespaces here"
    await until(lambda: rig.supervisor.runs[0].state == "running", "what the supervisor is to do")
    assert rig.supervisor.runs[0].start_failure is None
    await rig.supervisor.stop()
    assert [report.event_type for report in rig.reports] == ["AppStartFailure"]


async def test_stopping_while_it_starts_leaves_nothing_behind(rig: Rig, fake_sandbox: Any) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    real_start = fake_sandbox.start

    async def slow_start(launch: Any, on_event: Any) -> Any:
        begun.set()
        await gate.wait()
        return await real_start(launch, on_event)

    fake_sandbox.start = slow_start

    await rig.supervisor.run_set([application(1)])
    await begun.wait()
    task = rig.supervisor.runs[0].task
    stopping = asyncio.create_task(rig.supervisor.stop())
    await until(lambda: task is not None and task.cancelling(), "the stop to reach the application that starts")
    gate.set()
    await stopping
    assert [run.stopped for run in fake_sandbox.runs] == [True]


async def test_what_is_over_the_share_of_an_application_is_told_at_the_end_of_its_run(
    rig: Rig, fake_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_share, "LINES", 2)
    await rig.supervisor.run_set([application(1)])
    await until(lambda: fake_sandbox.events, "what the supervisor is to do")
    for _ in range(5):
        fake_sandbox.events[0](OutputLine("stdout", "hello", 0.0))
    await rig.supervisor.stop()
    said = [each for each in rig.entries if each["event"].startswith("output")]
    assert [each["event"] for each in said] == ["output", "output", "output-limited", "output-dropped"]
    assert said[-1]["lines"] == 3


async def test_output_and_allowed_connections_are_no_incidents(rig: Rig, fake_sandbox: Any) -> None:
    await rig.supervisor.run_set([application(1)])
    await until(lambda: fake_sandbox.events, "what the supervisor is to do")
    fake_sandbox.events[0](OutputLine("stdout", "hello", 0.0))
    fake_sandbox.events[0](ConnectionAttempt("hub.test", 8883, allowed=True, at=0.0))
    fake_sandbox.events[0](ConnectionAttempt("evil.test", 0, allowed=False, at=0.0, protocol="lookup", count=4))
    await rig.supervisor.stop()
    assert [(e["event"], e.get("text")) for e in rig.entries if e["event"] == "output"] == [("output", "hello")]
    [report] = rig.reports
    assert (report.event_type, report.count) == ("ConnectionBlocked", 4)
    assert "lookup of evil.test" in report.description


class Cores:
    """Pretended cores beside the pretended sandbox."""

    kind = "emulated Cortex-M4, not silicon"

    def __init__(self, sandbox: Any) -> None:
        self.start = sandbox.start


def real_time(number: int) -> Application:
    manifest = app_manifest.parse(
        images.manifest(f"app{number}", uuid.UUID(int=number), ApplicationType="RealTimeCapable")
    )
    found = grant(manifest, PlatformLimits(name="t", real_time_cores=2))
    return replace(application(number), manifest=manifest, grant=found)


FAULT = CoreFault(kind="BusFault", reason="write", address=0x60000000, pc=0x10000040, lr=0x10000101, sp=0x12FF00)


async def test_a_real_time_application_is_supervised_beside_high_level_ones(
    fake_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)
    cores = FakeSandbox()
    rig = Rig(fake_sandbox, tmp_path, cores=Cores(cores))
    await rig.supervisor.run_set([application(1), real_time(2)])
    await until(lambda: fake_sandbox.alive == ["app1"] and cores.alive == ["app2"], "each where it belongs")
    cores.runs[0].end(ExitStatus(None, 11, core=FAULT))
    await until(lambda: len(cores.runs) == 2, "it is started again")
    await rig.supervisor.stop()
    assert len(fake_sandbox.runs) == 1, "the other goes on"
    [report] = rig.reports
    assert report.event_type == "AppCrash"
    assert report.description.endswith(
        "; core=emulated Cortex-M4, not silicon; fault=BusFault; reason=write; "
        "pc=0x10000040; lr=0x10000101; sp=0x0012ff00)"
    )
    assert report.crash is not None
    assert report.crash.registers == (("pc", 0x10000040), ("lr", 0x10000101), ("sp", 0x12FF00))
    assert [(one.module, one.offset) for one in report.crash.frames] == [("app", 0x10000040), ("app", 0x10000100)]
    started = [entry.get("core") for entry in rig.entries if entry["event"] == "application-started"]
    assert (started.count(None), started.count(Cores.kind)) == (1, 2)
    [exited] = [entry for entry in rig.entries if entry["event"] == "application-exited"]
    assert exited["fault"].startswith("fault=BusFault")


async def test_without_cores_a_real_time_application_is_not_started(rig: Rig, fake_sandbox: Any) -> None:
    await rig.supervisor.run_set([real_time(1)])
    await until(lambda: rig.supervisor.runs[0].state == "failed", "it cannot be started")
    assert "nothing here runs real-time applications" in (rig.supervisor.runs[0].start_failure or "")
    assert fake_sandbox.runs == []


def test_literal_forms() -> None:
    one = application(1)
    ids = f"component_id={one.component_id}; image_id={one.image_id})"
    assert describe(one, ExitStatus(None, 11)).description == (
        f"AppCrash (exit_status=11; signal_status=11; signal_code=0; {ids}"
    )
    seen = ExitStatus(None, 11, state(code=2))
    assert "signal_status=11; signal_code=2;" in describe(one, seen).description
    assert describe(one, ExitStatus(0, None)).description == f"AppExit (exit_code=0; {ids}"
    attempt = ConnectionAttempt("evil.test", 443, allowed=False, at=0.0)
    assert blocked(one, attempt).description == f"ConnectionBlocked (tcp connection to evil.test:443; {ids}"
    door = ConnectionAttempt("0.0.0.0", 4444, allowed=False, at=0.0, protocol="listen", count=3)
    assert blocked(one, door).description == f"ListenerBlocked (tcp port 4444 at 0.0.0.0; {ids}"
    waiting = ConnectionAttempt("::", 5353, allowed=False, at=0.0, protocol="listen-udp")
    assert blocked(one, waiting).description == f"ListenerBlocked (udp port 5353 at ::; {ids}"
    assert (blocked(one, door).event_type, blocked(one, door).count) == ("ListenerBlocked", 3)
    asked = ConnectionAttempt("time.set without SystemTime", 0, allowed=False, at=0.0, protocol=METHOD)
    assert blocked(one, asked).description == f"CapabilityBlocked (method time.set without SystemTime; {ids}"
    hung = describe(one, ExitStatus(None, 9), None, "no heartbeat within 5 s")
    ends = f"image_id={one.image_id}; watchdog=no heartbeat within 5 s)"
    assert (hung.event_type, hung.description[-len(ends) :]) == ("AppCrash", ends)


class OneInterface:
    """Gives every run the same socket and keeps what it was handed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[Run] = []
        self.open_runs = 0

    @contextlib.asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[Path]:
        self.runs.append(run)
        self.open_runs += 1
        try:
            yield self.path
        finally:
            self.open_runs -= 1


async def test_what_an_application_asked_for_and_may_not_is_reported(tmp_path: Path, fake_sandbox: Any) -> None:
    interface = OneInterface(tmp_path / "1.sock")
    rig = Rig(fake_sandbox, tmp_path, interface)
    await rig.supervisor.run_set([application(1)])
    await until(lambda: bool(fake_sandbox.alive), "it runs")
    asked = ConnectionAttempt("time.set without SystemTime", 0, allowed=False, at=0.0, protocol=METHOD)
    interface.runs[0].on_event(asked)
    assert [each.event_type for each in rig.reports] == ["CapabilityBlocked"]
    assert [each["event"] for each in rig.entries if each["event"].endswith("-blocked")] == ["capability-blocked"]
    await rig.supervisor.stop()


async def test_a_run_that_hangs_is_ended_reported_and_started_again(
    tmp_path: Path, fake_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)
    interface = OneInterface(tmp_path / "1.sock")
    rig = Rig(fake_sandbox, tmp_path, interface)
    await rig.supervisor.run_set([application(1), application(2)])
    await until(lambda: len(fake_sandbox.alive) == 2, "both run")
    hanging = next(run for run in interface.runs if run.application.name == "app1")
    assert fake_sandbox.runs[0].launch.interface == interface.path
    assert hanging.pid() == 4711
    hanging.end("no heartbeat within 5 s")
    hanging.end("again")
    await until(lambda: len(fake_sandbox.runs) == 3, "it is started again")
    assert [run.stopped for run in fake_sandbox.runs] == [True, False, False]
    assert [each["reason"] for each in rig.entries if each["event"] == "application-hung"] == [
        "no heartbeat within 5 s"
    ]
    [report] = rig.reports
    assert report.event_type == "AppCrash"
    assert report.description.endswith("watchdog=no heartbeat within 5 s)")
    await until(lambda: rig.supervisor.runs[0].state == "running", "it runs")
    [first, _] = rig.supervisor.health([application(1).image_id, application(2).image_id])
    assert first.exits == 1, "a trial counts it"
    hanging.end("late")  # of a run that is over; the next must not end by it
    other = next(run for run in interface.runs if run.application.name == "app2")
    fake_sandbox.runs[1].end(ExitStatus(0, None))
    await until(lambda: len(fake_sandbox.runs) == 4, "the other one is started again")
    other.end("late as well")
    await rig.supervisor.stop()
    assert interface.open_runs == 0
    assert [report.event_type for report in rig.reports] == ["AppCrash", "AppExit"]
    assert len([each for each in rig.entries if each["event"] == "application-hung"]) == 1


async def test_a_run_that_hangs_and_that_the_kernel_does_not_let_go_is_started_again_once_it_is_gone(
    tmp_path: Path, fake_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a disk: it was killed, and ends when the disk answers."""
    monkeypatch.setattr(supervisors, "RESTART_FIRST_S", 0.01)
    interface = OneInterface(tmp_path / "1.sock")
    rig = Rig(fake_sandbox, tmp_path, interface)
    await rig.supervisor.run_set([application(1)])
    await until(lambda: bool(fake_sandbox.alive), "it runs")
    asked = asyncio.Event()

    async def stop(_: float) -> ExitStatus:
        asked.set()
        raise TimeoutError

    fake_sandbox.runs[0].stop = stop
    interface.runs[0].end("no heartbeat within 5 s")
    await asked.wait()
    assert len(fake_sandbox.runs) == 1
    fake_sandbox.runs[0].end(ExitStatus(None, 9))
    await until(lambda: len(fake_sandbox.runs) == 2, "it is started again")
    assert [report.event_type for report in rig.reports] == ["AppCrash"]
    await rig.supervisor.stop()


async def test_one_that_is_debugged_is_not_traced_nor_ended_by_its_watchdog(tmp_path: Path, fake_sandbox: Any) -> None:
    interface = OneInterface(tmp_path / "1.sock")
    rig, image_id = Rig(fake_sandbox, tmp_path, interface), application(1).image_id
    await rig.supervisor.run_set([application(1)])
    await until(lambda: bool(fake_sandbox.alive), "it runs")
    await rig.supervisor.halt(image_id)
    rig.supervisor.resume(image_id, debugged=True)
    await until(lambda: bool(fake_sandbox.alive), "it runs again")
    interface.runs[-1].end("no heartbeat within 5 s")
    heard: list[str] = []
    forget = rig.supervisor.runs[0].listen(lambda line: heard.append(line.text))
    fake_sandbox.events[-1](OutputLine("stdout", "a", 0.0))
    forget()
    fake_sandbox.events[-1](OutputLine("stdout", "b", 0.0))
    assert heard == ["a"]
    await rig.supervisor.halt(image_id)
    rig.supervisor.resume(image_id)
    await until(lambda: len(fake_sandbox.runs) == 3, "it runs as ever")
    assert [run.launch.debugged for run in fake_sandbox.runs] == [False, True, False]
    assert [each for each in rig.entries if each["event"] == "application-hung"] == []
    await until(lambda: rig.supervisor.runs[0].state == "running", "it runs")
    interface.runs[-1].end("no heartbeat within 5 s")
    await until(lambda: fake_sandbox.runs[-1].stopped, "its watchdog is back")
    await rig.supervisor.stop()


async def test_an_application_that_may_puts_off_updates_until_it_ends(rig: Rig, fake_sandbox: Any) -> None:
    busy, other = application(1, SoftwareUpdateDeferral=True), application(2)
    await rig.supervisor.run_set([busy, other])
    await until(lambda: len(fake_sandbox.alive) == 2, "both run")
    say = dict(zip(fake_sandbox.alive, fake_sandbox.events, strict=True))
    say["app2"](OutputLine("stdout", "armillary: defer-update 60", 0.0))
    say["app1"](OutputLine("stderr", "armillary: defer-update 60", 0.0))
    say["app1"](OutputLine("stdout", "busy: armillary: defer-update 60", 0.0))
    assert rig.deferred == {}, "it was not granted, not on standard output, or not this line"
    say["app1"](OutputLine("stdout", "armillary: defer-update 60", 0.0))
    assert rig.deferred == {busy.component_id: 60}
    assert [entry["minutes"] for entry in rig.entries if entry["event"] == "update-deferred"] == [60]
    fake_sandbox.runs[0].end(ExitStatus(1, None))
    await until(lambda: not rig.deferred, "what it asked for ends with it")


async def test_server_ports_are_in_the_log_and_a_port_that_is_taken_is_reported(rig: Rig, fake_sandbox: Any) -> None:
    await rig.supervisor.run_set([application(1)])
    await until(lambda: fake_sandbox.events, "start")
    fake_sandbox.events[0](ServerPort("tcp", "192.0.2.7", 8080, ""))
    fake_sandbox.events[0](ServerPort("udp", "192.0.2.7", 5353, "another program has it"))
    told = [each for each in rig.entries if each["event"].startswith("server-port")]
    assert [(each["event"], each["protocol"], each["port"]) for each in told] == [
        ("server-port-open", "tcp", 8080),
        ("server-port-failed", "udp", 5353),
    ]
    (report,) = rig.reports
    assert report.event_type == "ListenerFailed"
    assert report.description.startswith("ListenerFailed (udp port 5353 at 192.0.2.7; component_id=")
    assert report.description.endswith("another program has it")
