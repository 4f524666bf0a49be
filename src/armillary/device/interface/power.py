# SPDX-License-Identifier: Apache-2.0
"""Methods of power: an application has the device start again, or rest for a time.

A device of this version is a process: it ends everything that runs on it and boots again. The host's own power is not
touched, and the answer says so.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from armillary.device.interface.method import Call, Method
from armillary.device.state.journal import Journal

# A device that an application starts again as soon as it runs would never do anything else.
LEAST_UPTIME_S = 60.0
PROFILES = ("power-saver", "balanced", "high-performance")
LONGEST_REST_S = 7 * 24 * 3600


class Power(Protocol):
    """What ends the device's work."""

    def restart(self, rest_s: int) -> None:
        """End everything, wait so many seconds, and boot again."""
        ...


class PowerMethods:
    """Passes on what applications may ask for; ``monotonic`` gives seconds since the device booted at ``started``."""

    def __init__(self, power: Power, journal: Journal, monotonic: Callable[[], float]) -> None:
        self._power = power
        self._journal = journal
        self._monotonic = monotonic
        self._started = monotonic()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("power.restart", "PowerControls.ForceReboot", self._restart),
            Method("power.rest", "PowerControls.ForcePowerDown", self._rest),
            Method("power.profile", "PowerControls.SetPowerProfile", self._profile),
        )

    async def _restart(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return self._end(call, 0)

    async def _rest(self, call: Call) -> Mapping[str, Any]:
        """Power down; a device that nobody wakes would be lost, so it wakes by itself."""
        seconds = call.parameters.integer("seconds", 1, LONGEST_REST_S)
        call.parameters.finish()
        return self._end(call, seconds)

    async def _profile(self, call: Call) -> None:
        call.parameters.choice("profile", PROFILES)
        call.parameters.finish()
        raise OSError(errno.EPERM, "the power of this device's host is the host's: it has no profiles for applications")

    def _end(self, call: Call, rest_s: int) -> Mapping[str, Any]:
        left = LEAST_UPTIME_S - (self._monotonic() - self._started)
        if left > 0:
            raise OSError(errno.EAGAIN, f"the device has just started: ask again in {int(left) + 1} s")
        self._journal.write("power-asked", name=call.session.application.name, method=call.method, rest_s=rest_s)
        self._power.restart(rest_s)
        return {"host": "stays on"}
