# SPDX-License-Identifier: Apache-2.0
"""A sandbox that contains nothing and runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from armillary.engines.sandbox.port import ExitStatus, Launch, Mechanism, SandboxReport


class FakeRun:
    """A pretended application: ends when told to."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.pid = 4711
        self.stopped = False
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float) -> ExitStatus:  # noqa: ARG002 - the port
        self.stopped = True
        self.end(ExitStatus(None, 15))
        return await self.wait()

    def usage(self) -> None:
        return None

    def restart_memory_peak(self) -> bool:
        return False

    def end(self, status: ExitStatus) -> None:
        if not self._ended.done():
            self._ended.set_result(status)


class FakeSandbox:
    """Contains nothing and runs nothing; a test decides how applications behave."""

    name = "process"

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []
        self.events: list[Any] = []
        self.behaviour: Callable[[FakeRun], None] = lambda _: None

    def self_test(self) -> SandboxReport:
        missing = Mechanism("seccomp", enforced=False, detail="nothing is enforced here")
        return SandboxReport("process", (missing,), ("Applications are not contained.",), whole=False)

    async def start(self, launch: Launch, on_event: Callable[[Any], None]) -> FakeRun:
        run = FakeRun(launch)
        self.runs.append(run)
        self.events.append(on_event)
        self.behaviour(run)
        return run

    @property
    def alive(self) -> list[str]:
        return [run.launch.manifest.name for run in self.runs if not run._ended.done()]
