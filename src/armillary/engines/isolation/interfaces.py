# SPDX-License-Identifier: Apache-2.0
"""The host's network interfaces, as far as two of them have to be told to be two sides that nothing connects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface
from typing import Any

from armillary.engines.isolation.programs import run
from armillary.errors import InvalidArgumentError


def equipment_address(equipment: str, uplink: str) -> IPv4Interface:
    """The guardian's address on the equipment's side, after both interfaces were looked at.

    Raises:
        InvalidArgumentError: one is not there, they hang together (a bridge, one above the other), the equipment's has
            no address or several, or its network is on another interface as well.
        HostError: the host does not tell its interfaces.
    """
    return address_among(json.loads(run("ip", "-json", "address", "show")), equipment, uplink)


def address_among(found: Iterable[Mapping[str, Any]], equipment: str, uplink: str) -> IPv4Interface:
    """:func:`equipment_address` from what ``ip -json address show`` says."""
    known = {str(each["ifname"]): each for each in found if "ifname" in each}
    for option, name in (("--equipment", equipment), ("--uplink", uplink)):
        if name not in known:
            raise InvalidArgumentError(
                f"{option}: this host has no interface {name!r:.60}", remedy=f"It has {', '.join(sorted(known))}."
            )
        if master := known[name].get("master"):
            raise InvalidArgumentError(
                f"{option}: {name} is a part of {master}, which may carry packets past every rule",
                remedy=f"Take it out: ip link set {name} nomaster.",
            )
    if equipment == uplink or _hang_together(known, equipment, uplink):
        raise InvalidArgumentError(
            f"{equipment} and {uplink} are one wire: expected two interfaces that nothing connects",
            remedy="Connect the equipment to an interface of its own.",
        )
    own = _addresses(known[equipment])
    if len(own) != 1:
        raise InvalidArgumentError(
            f"{equipment}: expected one IPv4 address, got {', '.join(map(str, own)) or 'none'}",
            remedy=f"Give it one of a network of its own: ip address add 10.9.0.1/24 dev {equipment}.",
        )
    for name, interface in known.items():
        for address in _addresses(interface):
            if name != equipment and address.network.overlaps(own[0].network):
                raise InvalidArgumentError(
                    f"{equipment} has {own[0]}, and {name} has {address}: expected networks that do not overlap",
                    remedy="Give the equipment another network.",
                )
    return own[0]


def _hang_together(known: Mapping[str, Mapping[str, Any]], equipment: str, uplink: str) -> bool:
    """Whether one lies above the other, or both above the same (VLAN, macvlan), or they are the ends of one pair."""
    first, second = known[equipment].get("link"), known[uplink].get("link")
    return first == uplink or second == equipment or (first is not None and first == second)


def _addresses(interface: Mapping[str, Any]) -> list[IPv4Interface]:
    return [
        IPv4Interface(f"{each['local']}/{each['prefixlen']}")
        for each in interface.get("addr_info", ())
        if each.get("family") == "inet"
    ]
