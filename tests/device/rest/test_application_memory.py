# SPDX-License-Identifier: Apache-2.0
"""Memory of all applications: as control groups count it, else as the sum over processes."""

from __future__ import annotations

import os

from armillary.device.rest.application_calls import memory_of_applications
from armillary.engines.host.process_memory import Memory
from armillary.engines.sandbox.port import ExitStatus, Usage


class Running:
    """An application with this process and this use."""

    def __init__(self, pid: int, usage: Usage | None) -> None:
        self.pid = pid
        self._usage = usage

    async def wait(self) -> ExitStatus:
        raise NotImplementedError

    async def stop(self, grace_s: float) -> ExitStatus:
        raise NotImplementedError

    def usage(self) -> Usage | None:
        return self._usage

    def restart_memory_peak(self) -> bool:
        return False


def test_each_application_is_counted_once_by_its_group_or_by_its_processes() -> None:
    grouped = Running(os.getpid(), Usage(memory_bytes=7, memory_own_bytes=5))
    old_kernel = Running(os.getpid(), Usage(memory_bytes=7))
    assert memory_of_applications([]) == Memory()
    assert memory_of_applications([grouped, old_kernel]) == Memory(14, 12)
    for usage in (None, Usage(processes=1)):  # no group, and one that does not count memory
        found = memory_of_applications([grouped, Running(os.getpid(), usage)])
        assert found.own > 5
        assert found.total - 7 >= found.own - 5
