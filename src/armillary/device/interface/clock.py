# SPDX-License-Identifier: Apache-2.0
"""Methods of the time. A device takes its time from its service alone, over a connection that it has verified.

So an application with SystemTime may set the time, forward, only as long as the service has not given it: from a clock
on the board, for what is dated meanwhile. It decides about no certificate (``device/state/clock.py``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from armillary.device.interface.allowance import Allowance
from armillary.device.interface.method import Call, Method
from armillary.device.state.clock import DeviceClock

LATEST = 4_102_444_800  # the year 2100: beyond it a clock is not set but broken
# Check-ins that applications may ask for: one, and another every minute.
SYNCHRONIZE_BURST, SYNCHRONIZE_PER_SECOND = 1, 1 / 60


class Time:
    """Answers from the device's clock; ``check_in_now`` gets the time from the service."""

    def __init__(self, clock: DeviceClock, check_in_now: Callable[[], None]) -> None:
        self._clock = clock
        self._check_in_now = check_in_now
        self._allowance = Allowance(
            burst=SYNCHRONIZE_BURST, per_second=SYNCHRONIZE_PER_SECOND, monotonic=clock.monotonic
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("time.get", None, self._get),
            Method("time.set", "SystemTime", self._set),
            Method("time.source", "TimeSyncConfig", self._source),
            Method("time.synchronize", "TimeSyncConfig", self._synchronize),
        )

    async def _get(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return {"unix_s": self._clock.now(), "signed": self._clock.signed}

    async def _set(self, call: Call) -> Mapping[str, Any]:
        seconds = call.parameters.integer("unix_s", 0, LATEST)
        call.parameters.finish()
        if self._clock.signed:
            raise OSError(errno.EPERM, "the service has given this device the time, which nobody else changes")
        if seconds < self._clock.now():
            raise OSError(errno.EPERM, f"the time goes forward only, and it is {self._clock.now()} (Unix seconds)")
        self._clock.set_unsigned(seconds)
        return {"unix_s": self._clock.now()}

    async def _source(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return {"source": "service", "enabled": True, "signed": self._clock.signed}

    async def _synchronize(self, call: Call) -> None:
        call.parameters.finish()
        if self._allowance.peek() > 0:
            raise OSError(errno.EAGAIN, "applications ask for the time at most once in a minute")
        self._allowance.take()
        self._check_in_now()
