# SPDX-License-Identifier: Apache-2.0
"""At which addresses of the device the server ports of its applications are reached, and what stands for who wrote.

An application listens in a network of its own, which nothing comes into. What it opens at a port of
``AllowedTcpServerPorts`` or ``AllowedUdpServerPorts`` is opened at an address of the device instead. Which one, the
owner of the host says (``armillary device boot --listen``); loopback alone when nobody does, so that a manifest
decides the port and never who in the network may reach it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from armillary.errors import InvalidArgumentError

# Part of the loopback block: inside the sandbox each of these stands for somebody who wrote to a UDP server port.
PEER_NETWORK = ipaddress.IPv4Network("127.84.0.0/16")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddresses:
    """At most one address of each family; ``::`` is every address of this host in both families."""

    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None

    def stream(self, *, ipv6: bool, ipv6_only: bool = False) -> str | None:
        """What stands for "every address" of an application's listening socket; None where there is no such address.

        An IPv6 socket that also takes IPv4 gets the IPv6 address, and an IPv4 address in IPv6 form where there is no
        other.
        """
        if not ipv6:
            return str(self.ipv4) if self.ipv4 is not None else self._all_of_ipv4()
        if self.ipv6 is not None:
            return str(self.ipv6)
        return None if self.ipv4 is None or ipv6_only else f"::ffff:{self.ipv4}"

    def datagram(self) -> tuple[str, ...]:
        """Where datagrams are waited for."""
        found = (self.ipv4, self.ipv6)
        return tuple(str(each) for each in found if each is not None)

    def _all_of_ipv4(self) -> str | None:
        return "0.0.0.0" if self.ipv6 is not None and self.ipv6.is_unspecified else None  # noqa: S104 - asked for


LOOPBACK = DeviceAddresses(ipv4=IPv4Address("127.0.0.1"))


def parse_device_addresses(texts: Iterable[str]) -> DeviceAddresses:
    """The addresses that ``--listen`` names, loopback when it names none.

    Raises:
        InvalidArgumentError: no address, one that nobody can listen at, or two of one family.
    """
    found: dict[int, IPv4Address | IPv6Address] = {}
    for text in texts:
        address = _address(text)
        if address.version in found:
            raise InvalidArgumentError(
                f"--listen: expected one address of each family, got {found[address.version]} and {address}",
                remedy="Name 0.0.0.0 or :: for every address of this host.",
            )
        found[address.version] = address
    if not found:
        return LOOPBACK
    ipv4, ipv6 = found.get(4), found.get(6)
    return DeviceAddresses(
        ipv4=ipv4 if isinstance(ipv4, IPv4Address) else None, ipv6=ipv6 if isinstance(ipv6, IPv6Address) else None
    )


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.is_multicast or (isinstance(address, IPv6Address) and address.scope_id is not None):
        raise InvalidArgumentError(
            f"--listen: expected an address of this host, such as 192.0.2.7 or 2001:db8::7, got {text!r:.120}",
            remedy="Name an address without a zone: ip address show. 0.0.0.0 and :: are every address of this host.",
        )
    return address
