# SPDX-License-Identifier: Apache-2.0
"""The device's notion of time: what the service said over a pinned connection, carried on by a steady clock.

The host's wall clock is used only until the first check-in of a boot, and never below the last time the
service gave: a device set back to 1970 does not believe it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from armillary.engines.flash.port import Flash, replace_region

_REGION = "device/time"
# The stored time only has to be a lower bound; writing it at most hourly spares flash.
_STORE_EVERY_S = 3600


def steady() -> float:
    """Seconds that count through a suspended host and are never set (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def host_time() -> float:
    """The host's wall clock, Unix seconds."""
    return time.time()


class DeviceClock:
    """Signed time.

    Args:
        flash: Keeps the last signed time.
        monotonic: A clock that is never set, seconds.
        wall: The host's clock, Unix seconds.
    """

    def __init__(
        self, flash: Flash, *, monotonic: Callable[[], float] = steady, wall: Callable[[], float] = host_time
    ) -> None:
        self._flash = flash
        self.monotonic = monotonic
        self._wall = wall
        stored = flash.read(_REGION)
        self._floor = struct.unpack(">Q", stored)[0] if stored is not None and len(stored) == 8 else 0
        self._base: tuple[int, float] | None = None

    @property
    def signed(self) -> bool:
        """Whether the service has given the time since this start."""
        return self._base is not None

    def now(self) -> int:
        """Unix seconds UTC."""
        if self._base is None:
            return max(int(self._wall()), self._floor)
        base, at = self._base
        return base + int(self.monotonic() - at)

    def set_from_service(self, server_time: int) -> None:
        """Take over the time the service gave in a reply. Time never runs backwards past the stored one."""
        if server_time < self._floor:
            return
        self._base = (server_time, self.monotonic())
        if server_time >= self._floor + _STORE_EVERY_S:
            replace_region(self._flash, _REGION, struct.pack(">Q", server_time))
            self._floor = server_time
