# SPDX-License-Identifier: Apache-2.0
"""Puts the rows of the method table together: one line for each file of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from armillary.capability.grant import Grant
from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.interface.authentication import Authentication
from armillary.device.interface.channels import Channels
from armillary.device.interface.clock import Time
from armillary.device.interface.configuration.certificates import Certificates
from armillary.device.interface.configuration.network import Network
from armillary.device.interface.configuration.private_network import PrivateNetworkMethods
from armillary.device.interface.configuration.wifi import Wifi
from armillary.device.interface.events import SystemEvents
from armillary.device.interface.health import Health
from armillary.device.interface.log import Log
from armillary.device.interface.memory import Memory
from armillary.device.interface.peripherals.buses import Buses
from armillary.device.interface.peripherals.controllers import Controllers
from armillary.device.interface.peripherals.owned import OwnedPeripherals
from armillary.device.interface.peripherals.pins import Pins
from armillary.device.interface.peripherals.sounds import Sounds
from armillary.device.interface.power import Power, PowerMethods, PowerProfiles
from armillary.device.interface.storage import Storage
from armillary.device.interface.table import MethodTable
from armillary.device.interface.telemetry import Telemetry
from armillary.device.interface.updates import Updates
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.peripherals.use import PeripheralUse
from armillary.device.state.certificate_store import CertificateStore
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.wifi_configuration import WifiConfiguration
from armillary.device.telemetry.sender import Sender
from armillary.engines.flash.port import Flash

if TYPE_CHECKING:
    from armillary.device.private_network.network import PrivateNetwork
    from armillary.device.wifi.wifi import Wifi as WifiRadio


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """The parts of a device that methods use."""

    device_id: str
    journal: Journal
    flash: Flash
    clock: DeviceClock
    events: SystemEvents
    daa: DeviceAuthentication
    power: Power
    power_profiles: PowerProfiles
    check_in_now: Callable[[], None]
    storage_folder: Callable[[UUID], Path]  # of a component on the host
    peripherals: PeripheralUse = field(default_factory=PeripheralUse)
    owners: PeripheralMap = field(default_factory=PeripheralMap)
    grant_of: Callable[[UUID], Grant | None] = lambda _: None  # of an application that is installed
    private_network: PrivateNetwork | None = None
    wifi: WifiRadio | None = None
    telemetry: Sender


def method_table(parts: DeviceParts) -> MethodTable:
    """The table of a device. A new file of rows is one more line here and a part of the reference."""
    owned = OwnedPeripherals(parts.peripherals, parts.owners)
    return MethodTable(
        (
            *Log(parts.journal).methods,
            *Health().methods,
            *parts.events.methods,
            *Updates().methods,
            *Storage(parts.storage_folder).methods,
            *Memory().methods,
            *Time(parts.clock, parts.check_in_now).methods,
            *Authentication(parts.daa).methods,
            *Network(NetworkConfiguration(parts.flash), parts.check_in_now, parts.clock.now).methods,
            *PrivateNetworkMethods(parts.private_network).methods,
            *Wifi(WifiConfiguration(parts.flash), parts.wifi).methods,
            *Certificates(CertificateStore(parts.flash)).methods,
            *PowerMethods(parts.power, parts.power_profiles, parts.journal, parts.clock.monotonic).methods,
            *Telemetry(parts.telemetry, parts.clock, parts.clock.monotonic).methods,
            *Channels(parts.grant_of, parts.journal).methods,
            *Pins(owned).methods,
            *Buses(owned).methods,
            *Controllers(owned).methods,
            *Sounds(owned).methods,
        ),
        device_id=parts.device_id,
    )
