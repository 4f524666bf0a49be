# SPDX-License-Identifier: Apache-2.0
"""The process of one emulated core: runs it slice by slice, prints what it says, and says how it stopped.

Standard output is the core's serial line, in lines. Standard error is the emulator's own. A core that never waits has
:data:`BUSY_PART` of one processor, so that it leaves room on hosts without control groups as well.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import Final
from uuid import UUID

from armillary.engines.real_time.within import memory_map
from armillary.engines.real_time.within.core import Core
from armillary.engines.real_time.within.interface import Interface
from armillary.engines.real_time.within.output import FAULT_EXIT_CODE, Output
from armillary.engines.real_time.within.partners import Partners
from armillary.wire.device.core_fault import encode_fault
from armillary.wire.image.firmware import read_firmware

BUSY_PART: Final = 0.5
# Rests shorter than this are saved up: each costs a system call.
REST_S: Final = 0.002
# A core that waits for nothing that will come is looked at again this often.
IDLE_S: Final = 1.0


class Rest:
    """Keeps a core that never waits at its part of one processor."""

    def __init__(self) -> None:
        self._owed_s = 0.0
        self._seen_s = time.thread_time()

    def due_s(self) -> float:
        """Seconds to rest now; 0 while they are few."""
        now_s = time.thread_time()
        self._owed_s += (now_s - self._seen_s) * (1 - BUSY_PART) / BUSY_PART
        self._seen_s = now_s
        if self._owed_s < REST_S:
            return 0.0
        found, self._owed_s = self._owed_s, 0.0
        return found


def run(core: Core, partners: Partners, output: Output) -> int:
    """Run a core until it stops; the process's exit code."""
    rest = Rest()
    while True:
        core.run()
        if core.fault is not None:
            output.flush()
            os.write(2, encode_fault(core.fault).encode() + b"\n")
            return FAULT_EXIT_CODE
        if core.system.wants_reset:
            output.flush()
            return 0
        partners.exchange()
        _wait(core, partners, rest)


def _wait(core: Core, partners: Partners, rest: Rest) -> None:
    """Rest as long as the core waits, or owes; a message ends it."""
    seconds = rest.due_s()
    if core.waits and not core.mailbox.has_mail:
        tick_s = core.system.wait_s()
        seconds = max(seconds, IDLE_S if tick_s is None else min(tick_s, IDLE_S))
    if not seconds:
        return
    select.select(partners.streams if core.waits else [], (), (), seconds)
    if core.waits:
        partners.exchange()


def main(firmware: Path, named: list[str]) -> int:
    """Run the firmware in a file, for an application whose manifest names these partners."""
    output = Output()
    core = Core(read_firmware(firmware.read_bytes(), memory_map.MEMORIES), output=output, monotonic=time.monotonic)
    interface = Interface(os.environ.get("ARMILLARY_APPLICATION_SOCKET"))
    return run(core, Partners(interface, core.mailbox, map(UUID, named), time.monotonic), output)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
