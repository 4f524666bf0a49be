# SPDX-License-Identifier: Apache-2.0
"""Control groups are made while a sandbox is: nothing of the application begins before, and nothing else is in them."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.control_groups.test_groups import new_groups
from tests.engines.sandbox.sandbox_stage import Outcome, Stage, crun, linux, reduced
from tests.engines.sandbox.serving.test_fork_server import WAITS, below, beside, descriptors, server
from tests.fixtures.waiting import until, wait_until

from armillary.engines.sandbox.control_groups import controllers
from armillary.engines.sandbox.control_groups.controllers import Setting, processes_in
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups
from armillary.engines.sandbox.crun import CrunSandbox
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Mechanism, SandboxReport
from armillary.engines.sandbox.reduced import ReducedSandbox
from armillary.engines.sandbox.serving.fork_server import ForkServer
from armillary.engines.sandbox.serving.served import Served, serve
from armillary.engines.sandbox.start import host
from armillary.errors import InstallError, SandboxUnavailableError


@pytest.fixture(params=["linux", "reduced"])
def grouped(request: pytest.FixtureRequest) -> LinuxSandbox | ReducedSandbox:
    found = linux() if request.param == "linux" else reduced()
    found.groups = new_groups()
    return found


def test_an_application_is_alone_in_its_groups(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes its sandbox, and what waits there, takes nothing of what it may have."""
    sandbox = linux()
    groups = new_groups()
    monkeypatch.setattr(sandbox, "groups", groups)
    made: list[ApplicationGroup] = []
    plain = DeviceGroups.open

    def opened(*arguments: Any, **named: Any) -> ApplicationGroup | None:
        group = plain(*arguments, **named)
        if group is not None:
            made.append(group)
        return group

    monkeypatch.setattr(DeviceGroups, "open", opened)

    async def play() -> None:
        outcome = Outcome()
        running = await sandbox.start(stage.launch(WAITS), outcome.events.append)
        try:
            await until(lambda: outcome.lines, "the application")
            assert sorted(await beside(running.pid)) == ["bwrap", "cat"]
            for hierarchy, place in made[0].places.items():
                assert processes_in(place) == (running.pid,), hierarchy
        finally:
            await running.stop(0)

    asyncio.run(play())
    assert not any(place.exists() for place in made[0].places.values())


WRAPPER = """#!/usr/bin/env python3
import json, os, sys, time
child = os.fork()
if child:
    os.write(int(sys.argv[2]), json.dumps({"child-pid": child}).encode())
os.closerange(3, 4096)
time.sleep(300)
"""


@pytest.mark.parametrize("wraps", [True, False])
def test_nothing_begins_before_its_groups_are_known(stage: Stage, wraps: bool) -> None:
    """Also where the sandbox, for which a program stands, is there before them."""
    wrapper = stage.folder / "wrapper"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    own = ForkServer(host.runtime().interpreter)

    def launchers() -> list[int]:
        return [pid for pid in below(own.pid) if b"program.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def sandboxes() -> int:
        try:
            return list(descriptors(own.pid).values()).count("anon_inode:[pidfd]") - 1  # one is the device's
        except OSError:  # one was closed meanwhile
            return -1

    begun: list[Served] = []

    async def ask(command: list[str]) -> Served:
        with Path(os.devnull).open() as nothing:
            begun.append(await serve(own, {"command": command, "inherited": []}, nothing.fileno(), [], 1 << 16))
        return begun[-1]

    async def play() -> None:
        try:
            served = await ask([str(wrapper)] if wraps else [])
            await until(lambda: sandboxes() == wraps, "the sandbox")
            other = await ask(["/nothing"])
            with pytest.raises(SandboxUnavailableError, match="at process"):  # so the server is done with the first one
                await other.started()
            assert launchers() == []
            served.join("", ())
            assert await served.started() > 0
        finally:
            for each in begun:
                each.kill()
                await each.communicate()
                each.close()

    try:
        asyncio.run(play())
    finally:
        own._end()


def test_groups_that_cannot_be_had_leave_nothing(
    stage: Stage, grouped: LinuxSandbox | ReducedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox is already being made then."""
    groups = grouped.groups

    def refused(*_: Any, **__: Any) -> None:
        raise SandboxUnavailableError("control groups held at the start and do not now: memory-limit (no)")

    assert stage.run(grouped, "print(1)").lines == ["1"]  # the control
    monkeypatch.setattr(DeviceGroups, "open", refused)
    outcome = Outcome()
    with pytest.raises(SandboxUnavailableError, match="memory-limit"):
        asyncio.run(grouped.start(stage.launch(WAITS), outcome.events.append))
    assert outcome.lines == []
    nothing_is_left(stage, groups)


def nothing_is_left(stage: Stage, groups: DeviceGroups) -> None:
    """No process, no group, no folder of a start that failed."""
    wait_until(lambda: not list(below(server().pid)), "the end of every process of the start")
    assert groups._held == []
    assert list(stage.folder.glob("armillary-app-*")) == []


def test_what_the_self_test_saw_held_is_demanded_of_each_start(
    stage: Stage, grouped: LinuxSandbox | ReducedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = controllers.settings

    def broken(version: int, name: str, *arguments: Any) -> tuple[Setting, ...]:
        return (Setting("no.such.file", "1"),) if name == "memory" else plain(version, name, *arguments)

    monkeypatch.setattr(controllers, "settings", broken)
    monkeypatch.setattr(grouped, "_report", None)
    assert stage.run(grouped, "print(1)").lines == ["1"]  # the control: nobody has seen it hold
    seen = SandboxReport(grouped.name, (Mechanism("memory-limit", enforced=True, detail=""),), ())
    monkeypatch.setattr(grouped, "_report", seen)
    outcome = Outcome()
    with pytest.raises(SandboxUnavailableError, match="memory-limit"):
        asyncio.run(grouped.start(stage.launch(WAITS), outcome.events.append))
    assert outcome.lines == []
    nothing_is_left(stage, grouped.groups)


def test_a_program_that_cannot_be_executed_leaves_no_groups(
    stage: Stage, grouped: LinuxSandbox | ReducedSandbox
) -> None:
    with pytest.raises(InstallError):
        asyncio.run(grouped.start(stage.launch("", interpreter="#!/no/such/program\n"), lambda _: None))
    nothing_is_left(stage, grouped.groups)


def test_a_start_that_is_cancelled_once_it_has_groups_leaves_none(
    stage: Stage, grouped: LinuxSandbox | ReducedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = DeviceGroups.open

    def opened(*arguments: Any, **named: Any) -> ApplicationGroup | None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return plain(*arguments, **named)

    monkeypatch.setattr(DeviceGroups, "open", opened)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(grouped.start(stage.launch(WAITS), lambda _: None))
    nothing_is_left(stage, grouped.groups)


def test_a_container_that_cannot_be_described_leaves_no_groups(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its groups are made first: crun is started in them."""
    container, groups = crun(), new_groups()
    monkeypatch.setattr(container, "groups", groups)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CrunSandbox, "_specification", full)
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(container.start(stage.launch(WAITS), lambda _: None))
    nothing_is_left(stage, groups)
