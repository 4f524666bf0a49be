# SPDX-License-Identifier: Apache-2.0
"""What applications may have of the host beside peripherals: power profile, private network, Wi-Fi radio, modem."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from armillary.device.settings import DeviceSettings
from armillary.device.state import network_configuration
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.port import Flash
from armillary.errors import ArmillaryError, HostError

if TYPE_CHECKING:
    from armillary.device.cellular.reporting import CellularReports, StatusEndpoint
    from armillary.device.cellular.uplink import CellularUplink
    from armillary.device.interface.power import PowerProfiles
    from armillary.device.private_network.network import PrivateNetwork
    from armillary.device.wifi.wifi import Wifi


class HostServices:
    """Of one device. What none asks for is not loaded.

    ``changed`` is called when the status of one of them is, ``came_up`` when the session of a modem has come up.
    """

    def __init__(
        self,
        settings: DeviceSettings,
        folder: DeviceFolder,
        flash: Flash,
        clock: DeviceClock,
        journal: Journal,
        changed: Callable[[], None],
        came_up: Callable[[], None],
    ) -> None:
        self._power_before = folder.power_before
        self._settings = settings
        self._flash = flash
        self._journal = journal
        self._changed = changed
        self._came_up = came_up
        self.faults: tuple[str, ...] = ()  # what the last boot went on without, and why
        self.cellular: CellularUplink | None = None
        self._reports: CellularReports | None = None
        self.wifi: Wifi | None = None
        self.private_network: PrivateNetwork | None = None
        if settings.private_network is not None:
            from armillary.device.private_network.network import PrivateNetwork  # noqa: PLC0415 - most have none

            configuration = NetworkConfiguration(flash)
            self.private_network = PrivateNetwork(settings.private_network, clock, configuration, journal, changed)

    @functools.cached_property
    def power_profiles(self) -> PowerProfiles:
        """The power profile, which applications set."""
        from armillary.device.interface.power import PowerProfiles  # noqa: PLC0415 - see above
        from armillary.engines.host.power_profile import HostPower  # noqa: PLC0415

        return PowerProfiles(HostPower(self._power_before), self._journal, self._changed)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Give back what this device has left, if it was killed; hold radio and modem, where it has them."""
        if self._power_before.exists():
            self.power_profiles.restore_left()
        self.wifi = self._open_radio()
        try:
            with self._modem_held():
                yield
        finally:
            if self.wifi is not None:
                self.wifi.close()

    @contextlib.contextmanager
    def _modem_held(self) -> Iterator[None]:
        if self._settings.uplink is None:
            yield
            return
        from armillary.device.cellular.holding import held_uplink  # noqa: PLC0415 - most have none
        from armillary.device.cellular.reporting import CellularReports  # noqa: PLC0415

        self.cellular = self._settings.uplink(self._flash)
        self._reports = CellularReports(self.cellular, self._journal)
        with held_uplink(self.cellular, self._journal, self._changed, self._came_up):
            yield

    async def report(self, endpoint: StatusEndpoint) -> None:
        """Tell the service what it needs to know of them; a check-in has been accepted."""
        if self._reports is not None:
            await self._reports.send(endpoint)

    def boot(self) -> None:
        """Do what is done at each boot; may block. Nothing that is kept of it ends a start: see :attr:`faults`."""
        self.faults = ()
        self._begin("network", lambda: network_configuration.check_kept(self._flash))
        if self.private_network is not None:
            self._begin("private network", self.private_network.hardware.apply)
        if self.wifi is not None:
            self._begin("Wi-Fi networks", self.wifi.check_kept)
            self._begin("Wi-Fi", self.wifi.apply)
        if self.cellular is not None:
            from armillary.device.cellular.configuration import check_kept  # noqa: PLC0415 - as above

            self._begin("cellular", lambda: check_kept(self._flash))

    def _begin(self, what: str, begin: Callable[[], object]) -> None:
        """Do one of them; why it failed is in the log and told to the service."""
        try:
            begin()
        except Exception as error:  # noqa: BLE001 - only a device that starts can be mended, whatever is wrong here
            reason = error.message if isinstance(error, ArmillaryError) else f"{type(error).__name__}: {error}"
            self._journal.write("started-without", service=what, reason=reason)
            self.faults = (*self.faults, f"{what}: {reason}")

    def _open_radio(self) -> Wifi | None:
        """The radio, one that is there or a pretended one; a radio that does not start is no radio."""
        rest, opening = self._settings.rest, self._settings.radio
        if opening is None and (rest is None or not rest.simulated_wifi):
            return None
        from armillary.device.wifi.wifi import Wifi  # noqa: PLC0415 - most have none
        from armillary.engines.wifi.simulated import SimulatedRadio  # noqa: PLC0415

        try:
            return Wifi((opening or SimulatedRadio)(), self._flash, self._journal)
        except HostError as error:
            self._journal.write("wifi-radio-lost", reason=error.message)
            return None

    def status(self) -> dict[str, Any]:
        """For the status of the device."""
        network, profiles = self.private_network, vars(self).get("power_profiles")
        modem = self.cellular
        return {
            "power_profile": None if profiles is None else profiles.status(),
            "private_network": None if network is None else network.status(),
            "cellular": None if modem is None else modem.shown(),
        }
