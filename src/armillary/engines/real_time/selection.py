# SPDX-License-Identifier: Apache-2.0
"""Chooses what runs real-time applications, and loads it with the first of them: most devices have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, Sandbox


class CoresOnDemand:
    """Emulated cores, each a process in ``sandbox`` (``emulated.py``); see ``port.RealTimeCores``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def kind(self) -> str:
        """What a core is."""
        return self._cores.kind

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Load and start an application."""
        return await self._cores.start(launch, on_event)

    @cached_property
    def _cores(self) -> RealTimeCores:
        from armillary.engines.real_time.emulated import EmulatedCores  # noqa: PLC0415 - see above

        return EmulatedCores(self._sandbox)
