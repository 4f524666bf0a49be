# SPDX-License-Identifier: Apache-2.0
"""Real-time cores outside of this Linux: whatever loads them is reached over a channel, one for each core.

What is at the other end of a channel (``channels.py``) says what it is when it starts a core; nothing of that is
proven. A core's process, in the device's sandbox, has the channel and the application interface and nothing else
(``within/beside.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.engines.real_time.image import BESIDE
from armillary.engines.real_time.process_of_core import checked_firmware, start_process
from armillary.engines.real_time.within.memory_map import TCM
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, Sandbox
from armillary.errors import SandboxUnavailableError

KIND: Final = "core beside this system, not proven to be silicon"
_CORE: Final = "CORE"  # of the variable and the node that the core's process sees


class CoresBeside:
    """Starts applications on cores outside of this Linux; each channel is one core."""

    kind = KIND

    def __init__(self, sandbox: Sandbox, channels: tuple[Path, ...]) -> None:
        self._sandbox = sandbox
        self._free = list(channels)
        self._count = len(channels)

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.RealTimeCores``."""
        firmware = await asyncio.to_thread(checked_firmware, launch, (TCM,))
        if not self._free:
            raise SandboxUnavailableError(
                f"{launch.manifest.name}: expected a free core, all {self._count} beside this system are taken",
                remedy="Remove another real-time application, or attach one core more (device boot --cores).",
            )
        channel = self._free.pop(0)
        given_back: list[Path] = []

        def ended() -> None:
            if not given_back:  # a run may be waited for more than once
                given_back.append(channel)
                self._free.append(channel)

        return await start_process(
            self._sandbox, launch, BESIDE, firmware, on_event, nodes={_CORE: channel}, ended=ended
        )
