# SPDX-License-Identifier: Apache-2.0
"""What a DHCP server is to give out: checked once, before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from armillary.wire.encoding.json_fields import JsonFields

# Azure Sphere gives out one address; a network of its own needs some tens, and each costs memory while it is leased.
COUNT_LIMIT = 64
# As Azure Sphere has it.
LEASE_LIMIT_H = 24
SERVERS_LIMIT = 3
PREFIX_LENGTHS = range(8, 31)  # of a network that has room for a device and its client
_TEXT_CHARACTERS = 15  # 255.255.255.255
_HOUR_S = 3600
# A client asks for its address again after half of its time, and everybody after seven eighths (RFC 2131 §4.4.5).
_RENEW, _REBIND = 0.5, 0.875


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpPlan:
    """The addresses of one range, and what every client is told with them."""

    server: IPv4Address  # the device's own
    first: IPv4Address
    count: int
    network: IPv4Network
    gateway: IPv4Address | None = None
    dns_servers: tuple[IPv4Address, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()
    lease_s: int = LEASE_LIMIT_H * _HOUR_S

    def has(self, address: IPv4Address | None) -> bool:
        """Whether an address is of the range."""
        return address is not None and 0 <= int(address) - int(self.first) < self.count

    @property
    def renew_s(self) -> int:
        """When a client begins to ask its server again."""
        return int(self.lease_s * _RENEW)

    @property
    def rebind_s(self) -> int:
        """When it asks every server."""
        return int(self.lease_s * _REBIND)


def read_plan(parameters: JsonFields, own: Iterable[IPv4Address]) -> DhcpPlan | None:
    """The plan that a request asks for, over the device's own addresses; None if none of them is in its network.

    Raises:
        InvalidArgumentError: a parameter is missing, unknown or does not fit the others.
    """
    first = _address(parameters, "first_address")
    count = parameters.integer("count", 1, COUNT_LIMIT, default=1)
    network = _network(parameters, first)
    gateway = _optional(parameters, "gateway")
    dns_servers, ntp_servers = _servers(parameters, "dns_servers"), _servers(parameters, "ntp_servers")
    lease_h = parameters.integer("lease_hours", 1, LEASE_LIMIT_H, default=LEASE_LIMIT_H)
    parameters.finish()
    last = IPv4Address(min(int(first) + count - 1, 2**32 - 1))
    if not network.network_address < first <= last < network.broadcast_address:
        usable = f"{network.network_address + 1} to {network.broadcast_address - 1}"
        raise parameters.refused("first_address", f"{count} addresses of {usable}", f"{first} to {last}")
    server = next((each for each in own if each in network), None)
    if server is None:
        return None
    plan = DhcpPlan(
        server=server,
        first=first,
        count=count,
        network=network,
        gateway=gateway,
        dns_servers=dns_servers,
        ntp_servers=ntp_servers,
        lease_s=lease_h * _HOUR_S,
    )
    if plan.has(server):
        raise parameters.refused("first_address", f"a range without {server}, which is the device's own", str(first))
    if gateway is not None and (gateway not in network or plan.has(gateway)):
        raise parameters.refused("gateway", f"an address of {network} outside of the range", str(gateway))
    return plan


def _network(parameters: JsonFields, first: IPv4Address) -> IPv4Network:
    text = parameters.text("netmask", most=_TEXT_CHARACTERS)
    lengths = {str(IPv4Network((0, length)).netmask): length for length in PREFIX_LENGTHS}
    if text not in lengths:
        raise parameters.refused("netmask", "a mask such as 255.255.255.0, of 8 to 30 bits", text)
    return IPv4Network((first, lengths[text]), strict=False)


def _address(parameters: JsonFields, name: str) -> IPv4Address:
    return _read(parameters, name, parameters.text(name, most=_TEXT_CHARACTERS))


def _optional(parameters: JsonFields, name: str) -> IPv4Address | None:
    text = parameters.optional_text(name, most=_TEXT_CHARACTERS)
    return None if text is None else _read(parameters, name, text)


def _servers(parameters: JsonFields, name: str) -> tuple[IPv4Address, ...]:
    found = parameters.items(name, most=SERVERS_LIMIT, default=True)
    return tuple(_read(parameters, f"{name}[{number}]", each) for number, each in enumerate(found))


def _read(parameters: JsonFields, name: str, text: Any) -> IPv4Address:
    try:
        found = IPv4Address(text if isinstance(text, str) else "")
    except ValueError:
        found = IPv4Address(0)
    if found.is_unspecified or found.is_multicast or found.is_reserved or found.is_loopback:
        raise parameters.refused(name, "an IPv4 address such as 192.168.100.10", text)
    return found
