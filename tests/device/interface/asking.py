# SPDX-License-Identifier: Apache-2.0
"""An open interface of a pretended application, and clients that speak to it frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.fixtures import images

from armillary.capability.grant import PlatformLimits, grant
from armillary.device.applications.admission import Application
from armillary.device.applications.port import Run
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.interface.events import SystemEvents
from armillary.device.interface.interface import ApplicationInterface
from armillary.device.interface.method import Method
from armillary.device.interface.methods import DeviceParts
from armillary.device.interface.power import PowerProfiles
from armillary.device.interface.table import MethodTable
from armillary.device.network.proxy import no_proxy
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.device.telemetry.sender import Sender
from armillary.engines.flash.file import FileFlash
from armillary.engines.host.power_profile import HostPower
from armillary.engines.sandbox.port import AppEvent, Usage
from armillary.wire.device.interface.frame import FrameReader, encode_frame
from armillary.wire.image import app_manifest
from armillary.wire.image.asxipfs import Filesystem

DEVICE_ID = "d0" * 64


def application(number: int = 1, **capabilities: Any) -> Application:
    manifest = app_manifest.parse(images.manifest(f"app{number}", uuid.UUID(int=number), Capabilities=capabilities))
    return Application(
        component_id=uuid.UUID(int=number),
        image_id=uuid.UUID(int=number * 100),
        name=f"app{number}",
        manifest=manifest,
        grant=grant(manifest, PlatformLimits(name="t")),
        filesystem=Filesystem({}),
    )


class Restarts:
    """Notes what the device was asked to do with its power."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def restart(self, rest_s: int) -> None:
        self.asked.append(rest_s)


def parts(folder: Path, **changed: Any) -> DeviceParts:
    """The parts of a device that never checks in, below ``folder``."""
    clock = changed.pop("clock", None) or DeviceClock(FileFlash(folder / "flash"), wall=lambda: 1_800_000_000.0)
    journal = changed.pop("journal", None) or Journal(None, lambda: 0)
    given: dict[str, Any] = {
        "device_id": DEVICE_ID,
        "journal": journal,
        "flash": FileFlash(folder / "flash"),
        "clock": clock,
        "events": SystemEvents(lambda: clock.signed),
        "daa": DeviceAuthentication(folder / "daa"),
        "power": Restarts(),
        "power_profiles": PowerProfiles(HostPower(folder / "power-profile.json", sysfs=folder / "sys"), journal),
        "check_in_now": lambda: None,
        "storage_folder": lambda component_id: folder / str(component_id),
        "telemetry": Sender(DEVICE_ID, lambda: None, folder / "daa", no_proxy, journal),
    }
    return DeviceParts(**(given | changed))


class Client:
    """One connection of an application."""

    def __init__(self, path: Path) -> None:
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(str(path))
        self.stream.setblocking(False)
        self._frames = FrameReader()
        self._waiting: list[dict[str, Any]] = []

    async def send(self, message: Mapping[str, Any] | bytes) -> None:
        data = message if isinstance(message, bytes) else encode_frame(message)
        await asyncio.get_running_loop().sock_sendall(self.stream, data)

    async def take(self) -> dict[str, Any] | None:
        """The next message; None when the device has closed the connection."""
        async with asyncio.timeout(30):
            while not self._waiting:
                try:
                    data = await asyncio.get_running_loop().sock_recv(self.stream, 65536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._waiting += self._frames.feed(data)
        return self._waiting.pop(0)

    async def ask(self, method: str, request: int = 1, **parameters: Any) -> dict[str, Any]:
        """Ask and take the answer, which must be the next message: its result, or its error."""
        await self.send({"id": request, "method": method, "parameters": parameters})
        found = await self.take()
        assert found is not None
        assert found["id"] == request
        return found["error"] if "error" in found else found["result"]

    async def ask_past_events(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The same, where events may come before the answer; they are dropped."""
        await self.send({"id": 1, "method": method, "parameters": parameters})
        while (found := await self.take()) is not None:
            if "id" in found:
                return found["error"] if "error" in found else found["result"]
        raise AssertionError("the device closed the connection")

    def close(self) -> None:
        self.stream.close()


class Asked:
    """An open interface."""

    def __init__(self, path: Path, app: Application) -> None:
        self.path = path
        self.application = app
        self.events: list[AppEvent] = []
        self.ends: list[str] = []
        self.deferred: list[int] = []
        self.pid: int | None = None
        self.usage: Usage | None = None
        self.peak_restarts = False  # whether its control group has it start over
        self.clients: list[Client] = []

    def client(self) -> Client:
        self.clients.append(Client(self.path))
        return self.clients[-1]


class Host:
    """One device's interface; opens it for several applications."""

    def __init__(self, folder: Path, rows: Callable[[Journal], Iterable[Method]]) -> None:
        self.entries: list[dict[str, Any]] = []
        self.journal = Journal(None, lambda: 0)
        self.journal.listen(self.entries.append)
        self.table = MethodTable(rows(self.journal), device_id=DEVICE_ID)
        loop = asyncio.get_running_loop()
        self.interface = ApplicationInterface(folder, lambda: self.table, self.journal, loop.time)

    @contextlib.asynccontextmanager
    async def open(self, app: Application) -> AsyncIterator[Asked]:
        asked = Asked(Path(), app)
        run = Run(
            application=app,
            on_event=asked.events.append,
            end=asked.ends.append,
            defer=asked.deferred.append,
            pid=lambda: asked.pid,
            usage=lambda: asked.usage,
            restart_peak=lambda: asked.peak_restarts,
        )
        async with self.interface.open(run) as path:
            assert path is not None
            asked.path = path
            try:
                yield asked
            finally:
                for client in asked.clients:
                    client.close()


def events(host: Host, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in host.entries if entry["event"] == kind]
