# SPDX-License-Identifier: Apache-2.0
"""A hub with a job under way, to be killed: ``python job_runner.py FOLDER DEVICES``.

Prints the device of each action as it begins. Actions take a moment, so that a kill meets some of them under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

from armillary.errors import ConflictError
from armillary.hub import jobs
from armillary.hub.hub import Hub
from armillary.hub.jobs import Jobs


async def serve(folder: Path, devices: int) -> None:
    hub = Hub(folder, authenticate=lambda _: "nobody")
    once = Jobs._once

    async def slow(self: Jobs, job: Any, device_id: str) -> Any:
        print(f"begins {device_id}", flush=True)
        await asyncio.sleep(0.01)
        return await once(self, job, device_id)

    Jobs._once = slow  # type: ignore[method-assign]
    names = [f"d{number:04}" for number in range(devices)]
    hub.series.commits.submit(hub.series.known_devices(names)).result()
    hub.application.put("group", "all", {"name": "All"}, by="t")
    action = {"kind": "set-property", "properties": {"limit": 5}}
    hub.application.put("job", "limit", {"name": "Limit", "group": "all", "action": action, "concurrency": 5}, by="t")
    await hub.jobs.start()
    if not hub.jobs.store.runs("limit"):
        with contextlib.suppress(ConflictError):
            await asyncio.to_thread(hub.jobs.begin, "limit", by="t")
    while hub.jobs.store.runs("limit")[0].state == "running":
        await asyncio.sleep(0.01)
    print("over", flush=True)
    await hub.close()


if __name__ == "__main__":
    assert jobs.MAX_UNDER_WAY > 5
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
