# SPDX-License-Identifier: Apache-2.0
"""A hub with a job under way, to be killed: ``python job_runner.py FOLDER DEVICES [update]``.

Prints the device of each action as it begins. Those of an update acknowledge it when all are waited for. Actions take a moment, so that a kill meets some of them under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

from armillary.engines.hub.twins import changed_twin
from armillary.errors import ConflictError
from armillary.hub.hub import Hub
from armillary.platform.jobs import jobs
from armillary.platform.jobs.jobs import Jobs
from armillary.roles.platform import platform_of
from armillary.twin.author.job import DeviceState
from armillary.twin.document.document import report


async def serve(folder: Path, devices: int, *, updates: bool) -> None:
    hub = Hub(folder, authenticate=lambda _: "nobody")
    platform = platform_of(hub, folder)
    once = Jobs._once

    async def slow(self: Jobs, job: Any, device_id: str, owner: str | None) -> Any:
        print(f"begins {device_id}", flush=True)
        await asyncio.sleep(0.01)
        return await once(self, job, device_id, owner)

    Jobs._once = slow  # type: ignore[method-assign]
    names = [f"d{number:04}" for number in range(devices)]
    hub.series.commits.submit(hub.series.restoring.devices(names)).result()
    platform.documents.put("group", "all", {"name": "All"}, by="t")
    action: dict[str, Any] = {"kind": "set-property", "properties": {"limit": 5}}
    if updates:
        jobs.WAITING_LOOK_S = 0.05  # type: ignore[misc]
        package = {"url": "https://example.com/f", "version": "2", "sha256": "0" * 64}
        action = {"kind": "update", "package": package}
    platform.documents.put(
        "job", "limit", {"name": "Limit", "group": "all", "action": action, "concurrency": 5}, by="t"
    )
    await platform.jobs.start()
    if not platform.jobs.store.runs("limit"):
        with contextlib.suppress(ConflictError):
            await asyncio.to_thread(platform.jobs.begin, "limit", by="t")
    said = False
    while platform.jobs.store.runs("limit")[0].state == "running":
        await asyncio.sleep(0.01)
        if platform.jobs.store.runs("limit")[0].counts.get(DeviceState.WAITING) == devices and not said:
            said = True
            for each in names:
                answer = {"ac": 200, "av": hub.twins.get(each).desired.version}
                now_ms = hub.now_ms()
                said_by = changed_twin(each, partial(report, patch={"update": answer}, now_ms=now_ms), now_ms=now_ms)
                await asyncio.wrap_future(hub.series.commits.submit(said_by))
    print("over", flush=True)
    await platform.close()
    await hub.close()


if __name__ == "__main__":
    assert jobs.MAX_UNDER_WAY > 5
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), updates=len(sys.argv) > 3))
