# SPDX-License-Identifier: Apache-2.0
"""Chooses what runs real-time applications, and loads it with the first of them: most devices have none.

Cores beside this system where there is a channel to one; else emulated ones, which need Unicorn and say so where it is
not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from armillary.capability.grant import PlatformLimits
from armillary.engines.real_time.channels import core_channels
from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, Sandbox


def with_cores_beside(platform: PlatformLimits) -> PlatformLimits:
    """What a device has, with the cores that are beside it: where there are some, these and no others are its cores."""
    number = len(core_channels())
    return replace(platform, real_time_cores=number) if number else platform


class CoresOnDemand:
    """The cores of this host, each run by a process in ``sandbox``; see ``port.RealTimeCores``."""

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
        channels = core_channels()
        if channels:
            from armillary.engines.real_time.beside import CoresBeside  # noqa: PLC0415 - see above

            return CoresBeside(self._sandbox, channels)
        from armillary.engines.real_time.emulated import EmulatedCores  # noqa: PLC0415 - see above

        return EmulatedCores(self._sandbox)
