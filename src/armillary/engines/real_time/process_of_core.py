# SPDX-License-Identifier: Apache-2.0
"""Starts the process that a core has in the device's sandbox: the emulator, or the carrier of a core outside."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from armillary.capability.grant import Grant, Peripheral
from armillary.capability.network import allowed_hosts
from armillary.engines.real_time.image import ENTRY_POINT, CoreProgram, make_image
from armillary.engines.sandbox.port import (
    PYTHON,
    AppEvent,
    ExitStatus,
    Launch,
    OutputLine,
    RunningApplication,
    Sandbox,
    Usage,
)
from armillary.errors import InstallError, WireError
from armillary.wire.device.core_fault import CoreFault, parse_fault
from armillary.wire.image.firmware import Memory, read_firmware


def checked_firmware(launch: Launch, memories: tuple[Memory, ...]) -> bytes:
    """The firmware of a real-time application, for a core with these memories.

    Raises:
        InstallError: it is no real-time application, or its firmware does not fit.
    """
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
        read_firmware(data, memories)
    except WireError as error:
        raise InstallError(f"{name}: {error.message}", remedy=error.remedy) from error
    return data


async def start_process(
    sandbox: Sandbox,
    launch: Launch,
    program: CoreProgram,
    firmware: bytes,
    on_event: Callable[[AppEvent], None],
    *,
    nodes: Mapping[str, Path],
    ended: Callable[[], None],
) -> RunningApplication:
    """Start the process of a core. ``nodes`` are serial ports that it is given; ``ended`` is called once it is gone."""
    root = launch.image_root.with_name(f"{launch.image_root.name}.core")
    heard = _Heard(on_event)
    try:
        await asyncio.to_thread(make_image, root, firmware, program)
        running = await sandbox.start(contained(launch, root, nodes), heard)
    except BaseException:  # cancelled included: nothing of a start that failed stays
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
        ended()
        raise
    return RunningCore(running, heard, root, ended)


def contained(launch: Launch, root: Path, nodes: Mapping[str, Path]) -> Launch:
    """How the sandbox starts the process: an application that asks for its interface, and for these nodes."""
    partners = tuple(sorted(str(each) for each in launch.grant.partners))
    manifest = replace(launch.manifest, application_type="Default", entry_point=ENTRY_POINT, cmd_args=partners)
    grant = Grant(
        component_id=launch.grant.component_id,
        hosts=allowed_hosts(()),
        limits=launch.grant.limits,
        peripherals=frozenset(Peripheral(kind="Uart", name=name) for name in nodes),
    )
    return dataclasses.replace(
        launch,
        image_root=root,
        manifest=manifest,
        grant=grant,
        serial_ports=nodes,
        environment={},
        interpreter=PYTHON,
    )


@dataclass(slots=True)
class _Heard:
    """Passes events on, and keeps what the process says of a fault to itself."""

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

    _process: RunningApplication
    _heard: _Heard
    _root: Path
    _on_end: Callable[[], None]
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        self.pid = self._process.pid

    async def wait(self) -> ExitStatus:
        """Wait until the core has stopped and its process is gone."""
        return await self._ended(await self._process.wait())

    async def stop(self, grace_s: float) -> ExitStatus:
        """End the process; firmware is not asked."""
        return await self._ended(await self._process.stop(grace_s))

    def usage(self) -> Usage | None:
        """What the process uses now."""
        return self._process.usage()

    def restart_memory_peak(self) -> bool:
        """Have the peak of the process's memory start over."""
        return self._process.restart_memory_peak()

    async def _ended(self, status: ExitStatus) -> ExitStatus:
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        self._on_end()
        if self._heard.fault is None:
            return status
        return replace(status, exit_code=None, signal=self._heard.fault.signal, core=self._heard.fault)
