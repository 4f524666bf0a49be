# SPDX-License-Identifier: Apache-2.0
"""Serves addresses and the time at the private network, each for one application at a time, and while that runs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from armillary.device.private_network.hardware_address import HardwareAddress
from armillary.device.private_network.leases import Leases, destination, shown
from armillary.device.private_network.naming import DHCP, SNTP
from armillary.device.private_network.plan import DhcpPlan
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.host.interfaces import HostInterface
from armillary.engines.isolation.time_server import Allowances
from armillary.engines.private_network.datagrams import DatagramServer, bound_socket
from armillary.errors import WireError
from armillary.wire.device.dhcp import encode_answer, parse_message
from armillary.wire.equipment.sntp import ClockState, parse_request, reply

DHCP_PORT, DHCP_CLIENT_PORT, SNTP_PORT = 67, 68, 123
# Datagrams at once, then a second. All clients of the largest range at once, twice (each asks two times); and of the
# time, which each of them asks four times at its start, then once in minutes.
DHCP_BURST, DHCP_PER_SECOND = 256, 20.0
SNTP_BURST, SNTP_PER_SECOND = 256, 50.0
# The service gives whole seconds, and its answer is on its way for a while.
CLOCK_ERROR_US = 1_500_000


@dataclass(slots=True)
class Running:
    """One thing that is served, and for whom."""

    server: DatagramServer
    owner: object  # the run of an application
    component_id: UUID
    details: dict[str, Any] = field(default_factory=dict)


class PrivateNetwork:
    """The private network of one device, at an interface of its host; ``changed`` is called when its status is."""

    def __init__(
        self,
        interface: str,
        clock: DeviceClock,
        configuration: NetworkConfiguration,
        journal: Journal,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.interface = interface
        self.hardware = HardwareAddress(interface, configuration, journal)
        self._clock = clock
        self._journal = journal
        self._changed = changed
        self._running: dict[str, Running] = {}
        self._leases: tuple[UUID, Leases] | None = None  # kept while another run of the same application may come

    def addresses(self, interfaces: Iterable[HostInterface]) -> tuple[IPv4Address, ...]:
        """The device's own addresses at its private network, of all interfaces of the host.

        Raises OSError: ENOENT where the interface is not there; EPERM where it has no address, or is the host's way to
        everywhere.
        """
        found = next((each for each in interfaces if each.name == self.interface), None)
        if found is None:
            raise OSError(errno.ENOENT, f"the host has no interface {self.interface} now")
        if found.has_default_route:
            raise OSError(errno.EPERM, f"{self.interface} has the host's default route: it is no private network")
        own = tuple(IPv4Address(each) for each in found.addresses if ":" not in each)
        if not own:
            raise OSError(errno.EPERM, f"{self.interface} has no IPv4 address: the host's owner has to give it one")
        return own

    def serve_addresses(self, owner: object, component_id: UUID, plan: DhcpPlan) -> None:
        """Begin to give out addresses, or give out others from now on.

        Raises OSError: EBUSY while another application does; what the host refuses.
        """
        self._make_room(DHCP, owner)
        if self._leases is None or self._leases[0] != component_id:
            self._leases = (component_id, Leases(plan))
        leases = self._leases[1]
        leases.replan(plan)

        def answer(data: bytes, _: tuple[str, int]) -> tuple[bytes, tuple[str, int]] | None:
            try:
                asked = parse_message(data)
            except WireError:
                return None
            said = leases.answer(asked, self._clock.monotonic())
            return (
                None
                if said is None
                else (encode_answer(asked, said), (str(destination(asked, said)), DHCP_CLIENT_PORT))
            )

        server = self._serve(DHCP_PORT, IPv4Address(0), answer, DHCP_BURST, DHCP_PER_SECOND)
        details = {"first_address": str(plan.first), "count": plan.count, "address": str(plan.server)}
        self._begin(DHCP, Running(server, owner, component_id, details))

    def serve_time(self, owner: object, component_id: UUID, address: IPv4Address) -> None:
        """Begin to answer who asks for the time at an address of the device.

        Raises OSError: EBUSY while another application does; what the host refuses.
        """
        self._make_room(SNTP, owner)
        allowances = Allowances()

        def answer(data: bytes, sender: tuple[str, int]) -> tuple[bytes, tuple[str, int]] | None:
            received_ns = self._clock.now_ns()
            try:
                request = parse_request(data)
            except WireError:
                return None
            if not allowances.take(sender[0], self._clock.monotonic()):
                return None
            state = ClockState(synchronised=self._clock.signed, error_us=CLOCK_ERROR_US)
            said = reply(request, state, received_ns=received_ns, transmitted_ns=self._clock.now_ns())
            return said, sender

        server = self._serve(SNTP_PORT, address, answer, SNTP_BURST, SNTP_PER_SECOND)
        self._begin(SNTP, Running(server, owner, component_id, {"address": str(address)}))

    def stop(self, name: str, owner: object) -> bool:
        """Serve this no more, if it is served for this owner; returns whether it was."""
        running = self._running.get(name)
        if running is None or running.owner is not owner:
            return False
        del self._running[name]
        running.server.close()
        counts = {"answered": running.server.answered, "refused": running.server.refused}
        self._journal.write(f"{name}-stopped", interface=self.interface, **counts)
        self._changed()
        return True

    def end_of(self, owner: object) -> None:
        """The run of an application has ended: nothing is served for it any more."""
        for name in (DHCP, SNTP):
            self.stop(name, owner)

    def leases(self) -> list[dict[str, object]]:
        """The addresses that clients have."""
        if self._leases is None:
            return []
        now = self._clock.monotonic()
        return list(shown(self._leases[1].bound(now), now))

    def running(self, name: str, owner: object) -> Running | None:
        """What is served for this owner."""
        found = self._running.get(name)
        return found if found is not None and found.owner is owner else None

    def status(self) -> dict[str, Any]:
        """For the status of the device."""
        serves = [
            {
                "service": name,
                "component_id": str(each.component_id),
                **each.details,
                "held_by": f"a socket bound to {self.interface}",
            }
            for name, each in sorted(self._running.items())
        ]
        kept = self.hardware.kept
        return {
            "interface": self.interface,
            "hardware_address": None if kept is None else kept.hex(":"),
            "serves": serves,
        }

    def _make_room(self, name: str, owner: object) -> None:
        """End what the same owner had served; OSError (EBUSY) while it is another's."""
        running = self._running.get(name)
        if running is not None and running.owner is not owner:
            raise OSError(errno.EBUSY, f"component {running.component_id} runs the {name} of this device")
        self.stop(name, owner)

    def _serve(self, port: int, address: IPv4Address, answer: Any, burst: int, per_second: float) -> DatagramServer:
        served = bound_socket(self.interface, str(address), port)
        return DatagramServer(served, answer, burst=burst, per_second=per_second)

    def _begin(self, name: str, running: Running) -> None:
        self._running[name] = running
        self._journal.write(
            f"{name}-started", interface=self.interface, component_id=str(running.component_id), **running.details
        )
        self._changed()
