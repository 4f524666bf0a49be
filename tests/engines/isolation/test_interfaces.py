# SPDX-License-Identifier: Apache-2.0
"""Two interfaces that are to be two sides: what ``ip -json address show`` says of hosts where they are not."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Any

import pytest

from armillary.engines.isolation.interfaces import address_among, equipment_address
from armillary.errors import InvalidArgumentError


def interface(name: str, *addresses: str, **more: str) -> dict[str, Any]:
    found = [address.split("/") for address in addresses]
    return {
        "ifname": name,
        "addr_info": [{"family": "inet", "local": local, "prefixlen": int(length)} for local, length in found]
        + [{"family": "inet6", "local": "fe80::1", "prefixlen": 64}],
        **more,
    }


LO = interface("lo", "127.0.0.1/8")
EQUIPMENT = interface("eth1", "10.9.0.1/24")
UPLINK = interface("eth0", "192.0.2.7/24")


def test_the_guardians_address_is_found() -> None:
    assert address_among([LO, EQUIPMENT, UPLINK], "eth1", "eth0") == IPv4Interface("10.9.0.1/24")
    assert address_among([LO, EQUIPMENT, interface("eth0")], "eth1", "eth0").ip.exploded == "10.9.0.1"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([LO, UPLINK], "no interface 'eth1'"),
        ([LO, EQUIPMENT], "no interface 'eth0'"),
        ([EQUIPMENT | {"master": "br0"}, UPLINK], "a part of br0"),
        ([EQUIPMENT, UPLINK | {"master": "bond0"}], "a part of bond0"),
        ([EQUIPMENT | {"link": "eth0"}, UPLINK], "one wire"),  # a VLAN of the uplink
        ([EQUIPMENT, UPLINK | {"link": "eth1"}], "one wire"),
        ([EQUIPMENT | {"link": "eth9"}, UPLINK | {"link": "eth9"}], "one wire"),
        ([interface("eth1"), UPLINK], "expected one IPv4 address, got none"),
        ([interface("eth1", "10.9.0.1/24", "10.8.0.1/24"), UPLINK], "expected one IPv4 address"),
        ([EQUIPMENT, interface("eth0", "10.9.0.77/24")], "do not overlap"),
        ([EQUIPMENT, UPLINK, interface("wlan0", "10.0.0.1/8")], "do not overlap"),
    ],
)
def test_interfaces_that_are_no_two_sides_are_refused(found: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        address_among(found, "eth1", "eth0")


def test_one_interface_is_not_two() -> None:
    with pytest.raises(InvalidArgumentError, match="one wire"):
        address_among([EQUIPMENT], "eth1", "eth1")


def test_this_host_is_asked() -> None:
    with pytest.raises(InvalidArgumentError, match="no interface 'none-such0'"):
        equipment_address("none-such0", "lo")
