# SPDX-License-Identifier: Apache-2.0
"""Applications: state, storage, memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from armillary.device.applications.supervisor import ApplicationRun
from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Call, Need, Route
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.host.process_memory import Memory, memory_of
from armillary.engines.sandbox.port import RunningApplication
from armillary.engines.sandbox.storage.use import storage_use
from armillary.wire.device.azure_error import APPLICATION_NOT_PRESENT

NOT_PRESENT: Final = "notPresent"


async def status(call: Call) -> object:
    """Whether an application runs; one that cannot be started is stopped."""
    run = _found(call)
    return {"state": NOT_PRESENT if run is None else state_of(run)}


async def quota(call: Call) -> object:
    """How much an application has in its mutable storage, and how much it may."""
    run = present(call)
    folder = call.device.folder.mutable / str(run.application.component_id)
    used = (await asyncio.to_thread(storage_use, folder)).used_bytes if folder.is_dir() else 0
    return {"UsageKB": -(-used // 1024), "LimitKB": run.application.grant.mutable_storage_kb}


class MemoryStatistics:
    """What all applications hold in memory, and the most that was seen when it was asked for."""

    def __init__(self) -> None:
        self._peak = 0

    async def answer(self, call: Call) -> object:
        """The numbers now."""
        running = [run.running for run in call.device.running.supervisor.runs if run.running is not None]
        found = await asyncio.to_thread(memory_of_applications, running)
        self._peak = max(self._peak, found.own)
        return {
            "memoryStats": {
                "currentMemoryUsageInBytes": found.total,
                "userModeMemoryUsageInBytes": found.own,
                "peakUserModeMemoryUsageInBytes": self._peak,
            }
        }


def memory_of_applications(running: Iterable[RunningApplication]) -> Memory:
    """What applications hold, each as its control group counts it, or as the sum over its processes."""
    found, without_group = Memory(), []
    for each in running:
        use = each.usage()
        if use is None or use.memory_bytes is None:
            without_group.append(each.pid)
        else:
            own = use.memory_bytes if use.memory_own_bytes is None else use.memory_own_bytes
            found += Memory(use.memory_bytes, own)
    return found + memory_of(without_group)


def routes() -> tuple[Route, ...]:
    """The rows of one boot: what was seen of memory begins anew with each."""
    memory = MemoryStatistics()
    return (
        Route(method="GET", path="app/status/{}", answer=status, needs=Need.OPEN),
        Route(method="GET", path="app/quota/{}", answer=quota, needs=Need.OPEN),
        Route(method="GET", path="stats/memory/groups/applications", answer=memory.answer, needs=Need.OPEN),
    )


def state_of(run: ApplicationRun) -> str:
    """Azure Sphere's word for the state of a run."""
    if run.running is None:
        return "stopped"
    return "debugging" if run.is_debugged else "running"


def present(call: Call) -> ApplicationRun:
    """The application that the path names; RequestRefusedError if the device has none of this component."""
    run = _found(call)
    if run is None:
        raise RequestRefusedError(
            APPLICATION_NOT_PRESENT,
            f"the device has no application of component {call.component_id}",
            remedy="List them: armillary device image list-installed.",
        )
    return run


def _found(call: Call) -> ApplicationRun | None:
    return run_of(call.device, call)


def run_of(device: AttachedDevice, call: Call) -> ApplicationRun | None:
    """The run of the component that the path names."""
    wanted = call.component_id
    return next((run for run in device.running.supervisor.runs if run.application.component_id == wanted), None)
