# SPDX-License-Identifier: Apache-2.0
"""Methods of memory: what the application's processes take, and the most that they took."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from armillary.device.interface.method import Call, Method
from armillary.engines.sandbox.within.usage import memory_use, reset_peak


class Memory:
    """Looks at an application's own processes."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("memory.statistics", "HeapMemStats", self._statistics),
            Method("memory.reset-peak", "ResetMemoryWatermarks", self._reset),
        )

    async def _statistics(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        use = await call.session.work.do(memory_use, _process(call))
        return {"used_bytes": use.now_bytes, "peak_bytes": use.peak_bytes, "processes": use.processes}

    async def _reset(self, call: Call) -> None:
        call.parameters.finish()
        try:
            await call.session.work.do(reset_peak, _process(call))
        except PermissionError as error:
            raise OSError(errno.EPERM, "this host does not let the device reset peaks") from error


def _process(call: Call) -> int:
    found = call.session.run.pid()
    if found is None:
        raise OSError(errno.EAGAIN, "the application is still being started")
    return found
