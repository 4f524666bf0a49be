# SPDX-License-Identifier: Apache-2.0
"""Plans of a guardian's two sides: which interface is which, whose addresses are fixed, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from armillary.errors import InvalidArgumentError

# One guardian stands before a machine or a few: more leases than this are a mistake or an attack on the rules' size.
LEASE_LIMIT = 64
# IFNAMSIZ - 1 characters; ours are a subset of what Linux allows that needs no quoting anywhere.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Isolation:
    """Which interface is which side, and who is on the equipment's.

    Made by :func:`plan_isolation`, which checks it.
    """

    equipment: str  # Interface
    uplink: str  # Interface
    address: IPv4Interface  # The guardian's on the equipment's side, with its network
    # Address by MAC address, lower case with colons. With leases nobody else is heard on that side; without, everybody
    # in the network, and no address is given.
    leases: Mapping[str, IPv4Address] = field(default_factory=dict)


def plan_isolation(
    *, equipment: str, uplink: str, address: IPv4Interface, leases: Mapping[str, IPv4Address] | None = None
) -> Isolation:
    """Check a plan of two sides.

    Raises:
        InvalidArgumentError: one interface for both sides, a name that is none, an address or a lease that cannot be.
    """
    for option, name in (("--equipment", equipment), ("--uplink", uplink)):
        if _INTERFACE.fullmatch(name) is None:
            raise InvalidArgumentError(
                f"{option}: expected the name of a network interface, got {name!r:.60}", remedy="ip link lists them."
            )
    if "lo" in (equipment, uplink) or equipment == uplink:
        raise InvalidArgumentError(
            f"expected two interfaces, one for each side, got {equipment} and {uplink}",
            remedy="Connect the equipment to an interface of its own.",
        )
    if address.network.prefixlen > 30 or address.ip in (
        address.network.network_address,
        address.network.broadcast_address,
    ):
        raise InvalidArgumentError(
            f"{equipment}: expected an address in a network with room for equipment, got {address}",
            remedy="Give the interface one such as 10.9.0.1/24.",
        )
    found = dict(leases or {})
    _check_leases(found, address)
    return Isolation(equipment, uplink, address, found)


def parse_lease(text: str) -> tuple[str, IPv4Address]:
    """MAC address and address of ``02:00:00:00:00:02=10.9.0.2``.

    Raises:
        InvalidArgumentError: another form, or a MAC address of a group of hosts.
    """
    mac, separator, address = text.partition("=")
    mac = mac.strip().lower().replace("-", ":")
    wrong = InvalidArgumentError(
        f"--lease: expected MAC=ADDRESS, such as 02:00:00:00:00:02=10.9.0.2, got {text!r:.80}",
        remedy="The MAC address is on the machine's label, or ip neigh shows it.",
    )
    # The lowest bit of the first byte: an address of a group of hosts.
    if not separator or _MAC.fullmatch(mac) is None or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise wrong
    try:
        return mac, IPv4Address(address.strip())
    except ValueError as error:
        raise wrong from error


def _check_leases(leases: Mapping[str, IPv4Address], address: IPv4Interface) -> None:
    network = address.network
    if len(leases) > LEASE_LIMIT:
        raise InvalidArgumentError(
            f"--lease: expected at most {LEASE_LIMIT} pieces of equipment, got {len(leases)}",
            remedy="Give more guardians to so much equipment.",
        )
    if len(set(leases.values())) != len(leases):
        raise InvalidArgumentError(
            "--lease: expected another address for each machine, got one twice", remedy="Give each its own."
        )
    for mac, leased in leases.items():
        own = (address.ip, network.network_address, network.broadcast_address)
        if leased not in network or leased in own:
            raise InvalidArgumentError(
                f"--lease {mac}={leased}: expected a free address of {network}, where the guardian is {address.ip}",
                remedy="Choose another address.",
            )
