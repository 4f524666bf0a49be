# SPDX-License-Identifier: Apache-2.0
"""Real-time cores that are emulated: each runs in a process of its own, as an application of the device's sandbox.

So what contains the emulator is what contains applications (and is in the device's self-test): it has no host, no
storage and no peripheral; its control group, where there is one, has ``CORE_LIMITS``. A core that hangs has half of one
processor at most; one that brings its emulator down ends that process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from armillary.engines.real_time.image import EMULATOR, library_folder
from armillary.engines.real_time.process_of_core import checked_firmware, start_process
from armillary.engines.real_time.within.memory_map import MEMORIES
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, Sandbox

KIND: Final = "emulated Cortex-M4, not silicon"


@dataclass(slots=True)
class EmulatedCores:
    """Starts emulated cores in a sandbox."""

    sandbox: Sandbox
    kind: str = KIND

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.RealTimeCores``."""
        firmware = await asyncio.to_thread(checked_firmware, launch, MEMORIES)
        library_folder()
        return await start_process(self.sandbox, launch, EMULATOR, firmware, on_event, nodes={}, ended=lambda: None)
