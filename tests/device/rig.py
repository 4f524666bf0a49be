# SPDX-License-Identifier: Apache-2.0
"""One device process and the small service that it talks to, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from armillary.device.process import Device
from armillary.device.settings import DeviceSettings
from armillary.device.state.status import read_status
from armillary.update.install.trial import TrialRules

FAST = DeviceSettings(
    trial=TrialRules(healthy_s=0.05, exits_allowed=2, deadline_s=60.0), retry_first_s=0.05, retry_limit_s=0.2
)


class Rig:
    """One device and its service in one event loop."""

    def __init__(self, service: Any, sandbox: Any, folder: Path) -> None:
        self.service = service
        self.sandbox = sandbox
        self.folder = folder
        self.device: Device | None = None
        self.task: asyncio.Task[None] | None = None

    async def start(self, settings: DeviceSettings = FAST, **options: Any) -> Device:
        self.device = Device(self.folder, settings=settings, sandbox=self.sandbox, **options)
        self.task = asyncio.create_task(self.device.run())
        return self.device

    async def stop(self) -> None:
        if self.device is not None and self.task is not None:
            self.device.stop()
            await self.task
            self.task = None

    def status(self) -> dict[str, Any]:
        return read_status(self.folder / "status.json") or {}

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.folder / "log" / "device.jsonl").read_bytes().splitlines()
        return [e for e in map(json.loads, lines) if e["event"] == kind]

    def outcomes(self) -> list[tuple[uuid.UUID, str]]:
        """What the device has reported of the images it was offered, in order."""
        return [(o.image_id, o.outcome) for request, _ in self.service.checks for o in request.outcomes]


@contextlib.asynccontextmanager
async def provisioned(service: Any, sandbox: Any, folder: Path) -> AsyncIterator[Rig]:
    """The service started and a device made by it; both are stopped at the end."""
    await service.start()
    rig = Rig(service, sandbox, folder)
    try:
        service.provision(folder)
        yield rig
    finally:
        await rig.stop()
        await service.close()
