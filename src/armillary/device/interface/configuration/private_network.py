# SPDX-License-Identifier: Apache-2.0
"""Methods of the private network: an application serves addresses (DHCP) and the time (SNTP) there, while it runs.

It may also say which hardware address the device has there.

On which interface, the owner of the host has said; see ``device/private_network``.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Session
from armillary.device.private_network.naming import DHCP, NO_PRIVATE_NETWORK, SNTP
from armillary.engines.host.interfaces import interfaces

if TYPE_CHECKING:
    from armillary.device.private_network.network import PrivateNetwork

_HARDWARE_CHARACTERS = 64  # more than it has: what is wrong with it, is said


class PrivateNetworkMethods:
    """Passes on what applications may have served; ``network`` is None where the device has no private network."""

    def __init__(self, network: PrivateNetwork | None) -> None:
        self._network = network
        self._watched: WeakSet[Session] = WeakSet()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("dhcp.start", "DhcpService", self._start_dhcp),
            Method("dhcp.stop", "DhcpService", self._stop_dhcp),
            Method("dhcp.status", "DhcpService", self._dhcp),
            Method("sntp.start", "SntpService", self._start_sntp),
            Method("sntp.stop", "SntpService", self._stop_sntp),
            Method("network.hardware-address", "HardwareAddressConfig", self._hardware),
            Method("network.set-hardware-address", "HardwareAddressConfig", self._set_hardware),
        )

    async def _start_dhcp(self, call: Call) -> Mapping[str, Any]:
        """Begin, or begin anew with other values, which replace all of those before."""
        from armillary.device.private_network.plan import read_plan  # noqa: PLC0415 - most devices serve nothing

        network, own = await self._looked_at(call)
        plan = read_plan(call.parameters, own)
        if plan is None:
            addresses = ", ".join(map(str, own))
            raise OSError(errno.EPERM, f"{network.interface} has {addresses}: none of the network of these addresses")
        self._watch(network, call.session)
        network.serve_addresses(call.session, call.session.grant.component_id, plan)
        return {"interface": network.interface, "address": str(plan.server)}

    async def _stop_dhcp(self, call: Call) -> None:
        self._stop(call, DHCP)

    async def _dhcp(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        network = self._there()
        running = network.running(DHCP, call.session)
        if running is None:
            return {"running": False, "leases": []}
        counts = {"answered": running.server.answered, "refused": running.server.refused}
        return {"running": True, **running.details, **counts, "leases": network.leases()}

    async def _start_sntp(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        network, own = await self._looked_at(call)
        self._watch(network, call.session)
        network.serve_time(call.session, call.session.grant.component_id, own[0])
        return {"interface": network.interface, "address": str(own[0])}

    async def _stop_sntp(self, call: Call) -> None:
        self._stop(call, SNTP)

    async def _hardware(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        network = self._there()
        return {"interface": network.interface, **network.hardware.state()}

    async def _set_hardware(self, call: Call) -> Mapping[str, Any]:
        from armillary.device.private_network.hardware_address import read_address  # noqa: PLC0415 - as above

        text = call.parameters.text("address", most=_HARDWARE_CHARACTERS)
        call.parameters.finish()
        network = self._there()
        address = read_address(text)
        if address is None:
            expected = "six bytes such as 02:00:00:00:00:05, of one interface and no group"
            raise call.parameters.refused("address", expected, text)
        call.session.work.begin_change()
        network.hardware.keep(address)
        return {"interface": network.interface, **network.hardware.state()}

    def _there(self) -> PrivateNetwork:
        if self._network is None:
            raise OSError(errno.EPERM, NO_PRIVATE_NETWORK)
        return self._network

    async def _looked_at(self, call: Call) -> tuple[PrivateNetwork, tuple[IPv4Address, ...]]:
        """The network, and the device's addresses there, which a thread asks the kernel for."""
        network = self._there()
        return network, network.addresses(await call.session.work.do(interfaces))

    def _stop(self, call: Call, name: str) -> None:
        call.parameters.finish()
        if not self._there().stop(name, call.session):
            raise OSError(errno.ENOENT, f"this application runs no {name}")

    def _watch(self, network: PrivateNetwork, session: Session) -> None:
        """Have what is served end with the run of the application."""
        if session not in self._watched:
            self._watched.add(session)
            session.on_close(lambda: network.end_of(session))
