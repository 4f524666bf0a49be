# SPDX-License-Identifier: Apache-2.0
"""Methods of memory: what the application takes, and the most that it took.

Its control group counts that, as the kernel does where it holds the application to its limit. On a host without one, or
where the kernel does not count a peak, it is the sum over its processes.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Session
from armillary.engines.sandbox.within.usage import memory_use, reset_peak

BY_GROUP: Final = "control-group"
BY_PROCESSES: Final = "processes"


class Memory:
    """Looks at an application's own memory."""

    def __init__(self) -> None:
        self._stayed: WeakSet[Session] = WeakSet()  # whose group went on with its old peak when it was to start over

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("memory.statistics", "HeapMemStats", self._statistics),
            Method("memory.reset-peak", "ResetMemoryWatermarks", self._reset),
        )

    async def _statistics(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return await call.session.work.do(self._seen, call.session, _process(call))

    def _seen(self, session: Session, process: int) -> Mapping[str, Any]:
        use, group = memory_use(process), session.run.usage()
        found = {
            "used_bytes": use.now_bytes,
            "own_bytes": use.own_bytes,
            "peak_bytes": use.peak_bytes,
            "processes": use.processes,
            "limit_bytes": None,
            "counted_by": BY_PROCESSES,
        }
        if group is not None and group.memory_bytes is not None:
            found |= {"used_bytes": group.memory_bytes, "counted_by": BY_GROUP}
            found["limit_bytes"] = session.grant.limits.memory_bytes
            if group.memory_own_bytes is not None:
                found["own_bytes"] = group.memory_own_bytes
            if group.memory_peak_bytes is not None and session not in self._stayed:
                found["peak_bytes"] = group.memory_peak_bytes
        return found

    async def _reset(self, call: Call) -> None:
        call.parameters.finish()
        await call.session.work.do(self._start_over, call.session, _process(call))

    def _start_over(self, session: Session, process: int) -> None:
        if session.run.restart_peak():
            return
        try:
            reset_peak(process)
        except PermissionError as error:
            raise OSError(errno.EPERM, "this host does not let the device reset peaks") from error
        self._stayed.add(session)


def _process(call: Call) -> int:
    found = call.session.run.pid()
    if found is None:
        raise OSError(errno.EAGAIN, "the application is still being started")
    return found
