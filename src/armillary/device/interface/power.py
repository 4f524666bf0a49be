# SPDX-License-Identifier: Apache-2.0
"""Methods of power: an application has the device start again, rest for a time, or work by a power profile.

A device of this version is a process: it ends everything that runs on it and boots again. The host stays on, and the
answer says so. A power profile is the host's: it is held by whatever the host has for it, while the application runs,
and where the host has nothing, or does not let the device, the profile is recorded and the answer says that.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, get_args
from uuid import UUID
from weakref import WeakSet

from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Session
from armillary.device.state.journal import Journal
from armillary.engines.host.power_profile import HostPower, Profile

# A device that an application starts again as soon as it runs would never do anything else.
LEAST_UPTIME_S = 60.0
PROFILES: tuple[Profile, ...] = get_args(Profile)
NO_PROFILES = "this host has no power profiles"
LONGEST_REST_S = 7 * 24 * 3600


class Power(Protocol):
    """What ends the device's work."""

    def restart(self, rest_s: int) -> None:
        """End everything, wait so many seconds, and boot again."""
        ...


class PowerProfiles:
    """The power profile of one device, which one application at a time has set; ``changed`` is called when it is."""

    def __init__(self, host: HostPower, journal: Journal, changed: Callable[[], None] = lambda: None) -> None:
        self._host = host
        self._journal = journal
        self._changed = changed
        self._owner: Session | None = None
        self._held: dict[str, Any] = {}
        self._one_at_a_time = threading.Lock()  # the host's files are written in a thread

    def restore_left(self) -> None:
        """Give back what this device has left, if it was killed."""
        self._host.restore_left()

    async def set(self, session: Session, profile: Profile) -> Mapping[str, Any]:
        """Have the host work by a profile while this application runs.

        Raises OSError: EBUSY while another application has set one.
        """
        if self._owner is not None and self._owner is not session:
            raise OSError(errno.EBUSY, f"component {self._owner.grant.component_id} has set the power profile")
        self._owner = session
        kinds, reason = await session.work.do(self._apply, session, profile)
        held = {"held_by": ", ".join(kinds)} if kinds else {"recorded": reason}
        self._held = {"profile": profile, **held}
        self._journal.write("power-profile", name=session.application.name, **self._held)
        self._changed()
        return self._held

    def end_of(self, session: Session) -> None:
        """The run of an application has ended: the host works as it did before."""
        with self._one_at_a_time:
            if self._owner is not session:
                return
            self._owner, self._held = None, {}
            self._host.restore()
        self._journal.write("power-profile-ended", name=session.application.name)
        self._changed()

    def status(self) -> dict[str, Any] | None:
        """For the status of the device: the profile, whose it is, and what holds it; None where nobody has set one."""
        owner: UUID | None = None if self._owner is None else self._owner.grant.component_id
        return {**self._held, "component_id": str(owner)} if self._held else None

    def _apply(self, session: Session, profile: Profile) -> tuple[tuple[str, ...], str]:
        """What of the host holds a profile now, or why nothing does."""
        with self._one_at_a_time:
            if self._owner is not session:  # it has ended meanwhile
                raise OSError(errno.ECANCELED, "the application has ended")
            try:
                return self._host.apply(profile), NO_PROFILES
            except OSError as error:
                return (), f"this device may not set the power profile of its host: {error.strerror}"


class PowerMethods:
    """Passes on what applications may ask for; ``monotonic`` gives seconds since the device booted at ``started``."""

    def __init__(self, power: Power, profiles: PowerProfiles, journal: Journal, monotonic: Callable[[], float]) -> None:
        self._power = power
        self._profiles = profiles
        self._watched: WeakSet[Session] = WeakSet()
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

    async def _profile(self, call: Call) -> Mapping[str, Any]:
        profile: Profile = call.parameters.choice("profile", PROFILES)  # type: ignore[assignment]
        call.parameters.finish()
        session = call.session
        if session not in self._watched:
            self._watched.add(session)
            session.on_close(lambda: self._profiles.end_of(session))
        return await self._profiles.set(session, profile)

    def _end(self, call: Call, rest_s: int) -> Mapping[str, Any]:
        left = LEAST_UPTIME_S - (self._monotonic() - self._started)
        if left > 0:
            raise OSError(errno.EAGAIN, f"the device has just started: ask again in {int(left) + 1} s")
        self._journal.write("power-asked", name=call.session.application.name, method=call.method, rest_s=rest_s)
        self._power.restart(rest_s)
        return {"host": "stays on"}
