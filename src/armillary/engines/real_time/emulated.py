# SPDX-License-Identifier: Apache-2.0
"""Real-time cores that are emulated: each runs in a process of its own, as an application of the device's sandbox.

So what contains the emulator is what contains applications (and is in the device's self-test): it has no host, no
storage and no peripheral; its control group, where there is one, has ``CORE_LIMITS``. A core that hangs has half of one
processor at most; one that brings its emulator down ends that process alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.real_time.image import ENTRY_POINT, library_folder, make_image
from armillary.engines.real_time.within.memory_map import MEMORIES
from armillary.engines.sandbox.port import AppEvent, ExitStatus, Launch, OutputLine, RunningApplication, Sandbox, Usage
from armillary.errors import InstallError, WireError
from armillary.wire.device.core_fault import CoreFault, parse_fault
from armillary.wire.image.firmware import read_firmware

KIND: Final = "emulated Cortex-M4, not silicon"


@dataclass(slots=True)
class EmulatedCores:
    """Starts emulated cores in a sandbox."""

    sandbox: Sandbox
    kind: str = KIND

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.RealTimeCores``."""
        firmware = await asyncio.to_thread(_checked_firmware, launch)
        library_folder()
        root = launch.image_root.with_name(f"{launch.image_root.name}.core")
        heard = _Heard(on_event)
        try:
            await asyncio.to_thread(make_image, root, firmware)
            running = await self.sandbox.start(_emulator(launch, root), heard)
        except BaseException:  # cancelled included: nothing of a start that failed stays
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
            raise
        return RunningCore(running, heard, root)


def _checked_firmware(launch: Launch) -> bytes:
    name = launch.manifest.name
    if not launch.grant.real_time:
        raise InstallError(f"{name}: expected a real-time application, got a high-level one")
    entry = launch.image_root / launch.manifest.entry_point.removeprefix("/")
    if entry.is_symlink() or not entry.is_file():
        raise InstallError(
            f"{name}: expected firmware at {launch.manifest.entry_point}, got nothing",
            remedy="Put the firmware into the image, or correct EntryPoint in app_manifest.json.",
        )
    data = entry.read_bytes()
    try:
        read_firmware(data, MEMORIES)
    except WireError as error:
        raise InstallError(f"{name}: {error.message}", remedy=error.remedy) from error
    return data


def _emulator(launch: Launch, root: Path) -> Launch:
    """How the sandbox starts the emulator: an application that asks for nothing but its interface."""
    partners = tuple(sorted(str(each) for each in launch.grant.partners))
    manifest = replace(launch.manifest, application_type="Default", entry_point=ENTRY_POINT, cmd_args=partners)
    nothing = Grant(component_id=launch.grant.component_id, hosts=allowed_hosts(()), limits=launch.grant.limits)
    return dataclasses.replace(
        launch, image_root=root, manifest=manifest, grant=nothing, serial_ports={}, environment={}
    )


@dataclass(slots=True)
class _Heard:
    """Passes events on, and keeps what the emulator says of a fault to itself."""

    on_event: Callable[[AppEvent], None]
    fault: CoreFault | None = None

    def __call__(self, event: AppEvent) -> None:
        if isinstance(event, OutputLine) and event.stream == "stderr":
            try:
                found = parse_fault(event.text)
            except WireError:
                found = None
            if found is not None:
                self.fault = found
                return
        self.on_event(event)


@dataclass(slots=True)
class RunningCore:
    """A core that runs (``sandbox.port.RunningApplication``)."""

    _emulator: RunningApplication
    _heard: _Heard
    _root: Path
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        self.pid = self._emulator.pid

    async def wait(self) -> ExitStatus:
        """Wait until the core has stopped and its emulator is gone."""
        return await self._ended(await self._emulator.wait())

    async def stop(self, grace_s: float) -> ExitStatus:
        """End the emulator; firmware is not asked."""
        return await self._ended(await self._emulator.stop(grace_s))

    def usage(self) -> Usage | None:
        """What the emulator uses now."""
        return self._emulator.usage()

    def restart_memory_peak(self) -> bool:
        """Have the peak of the emulator's memory start over."""
        return self._emulator.restart_memory_peak()

    async def _ended(self, status: ExitStatus) -> ExitStatus:
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        if self._heard.fault is None:
            return status
        return replace(status, exit_code=None, signal=self._heard.fault.signal, core=self._heard.fault)
