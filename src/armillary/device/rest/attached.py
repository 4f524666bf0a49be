# SPDX-License-Identifier: Apache-2.0
"""What the device's API may look at and do: parts of the running device, handed in by its process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from armillary.device.applications.applications import ApplicationStore
from armillary.device.applications.supervisor import Supervisor
from armillary.device.boot.startup import Startup
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.debugging.sessions import DebugSessions
from armillary.device.install.installer import Installer
from armillary.device.rest.settings import RestSettings
from armillary.device.rest.staging import Staging
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import AllowedState
from armillary.device.state.reports import ReportQueue
from armillary.device.wifi.wifi import Wifi
from armillary.engines.flash.port import Flash

if TYPE_CHECKING:
    from armillary.device.cellular.uplink import CellularUplink


class Running(Protocol):
    """The loop of the device (``device/running.py``)."""

    @property
    def supervisor(self) -> Supervisor:
        """Its applications."""

    @property
    def changes(self) -> asyncio.Lock:
        """Held while the installed set or what runs of it changes."""

    @property
    def last_check_in(self) -> Mapping[str, object]:
        """What came of the last check-in, as in the status; empty before the first."""

    def check_in_now(self) -> None:
        """Check in as soon as possible."""

    async def run_active(self) -> None:
        """Run what is installed now; call it while ``changes`` is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDevice:
    """One boot of a device, for its API.

    ``allowed`` says what it may do now, ``restart`` boots it again after so many seconds; it has ``started`` at this
    time (monotonic).
    """

    settings: RestSettings
    startup: Startup
    flash: Flash
    folder: DeviceFolder
    clock: DeviceClock
    journal: Journal
    installer: Installer
    store: ApplicationStore
    reports: ReportQueue
    daa: DeviceAuthentication
    running: Running
    staging: Staging
    debugging: DebugSessions
    wifi: Wifi | None
    cellular: CellularUplink | None
    allowed: Callable[[], AllowedState]
    restart: Callable[[int], None]
    started: float
    trust_tier: str

    @property
    def device_id(self) -> str:
        """128 lower-case hex digits."""
        return self.startup.configuration.device_id
