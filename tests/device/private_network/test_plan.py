# SPDX-License-Identifier: Apache-2.0
"""What a DHCP server is asked to give out: checked whole before it begins."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from tests.device.private_network.wires import DEVICE_ADDRESS, PLAN

from armillary.device.private_network.naming import private_interface
from armillary.device.private_network.plan import DhcpPlan, read_plan
from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.json_fields import JsonFields

OWN = (IPv4Address("10.0.0.1"), IPv4Address(DEVICE_ADDRESS))


def read(own: tuple[IPv4Address, ...] = OWN, **changed: Any) -> DhcpPlan | None:
    asked = {name: value for name, value in (PLAN | changed).items() if value is not None}
    return read_plan(JsonFields(asked, "parameters", "Look."), own)


def test_a_plan_has_what_was_asked_for_and_the_devices_address_of_its_network() -> None:
    plan = read()
    assert plan is not None
    assert (str(plan.server), str(plan.first), plan.count) == (DEVICE_ADDRESS, "192.168.100.10", 2)
    assert (plan.lease_s, plan.renew_s, plan.rebind_s) == (7200, 3600, 6300)
    least = read(count=None, gateway=None, dns_servers=None, ntp_servers=None, lease_hours=None)
    assert least is not None
    assert (least.count, least.gateway, least.dns_servers, least.lease_s) == (1, None, (), 24 * 3600)
    assert read(own=OWN[:1]) is None, "no address of the network"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"first_address": None}, "first_address"),
        ({"first_address": "192.168.100"}, "first_address"),
        ({"first_address": "0.0.0.0"}, "first_address"),
        ({"first_address": "224.0.0.1"}, "first_address"),
        ({"first_address": "255.255.255.255"}, "first_address"),
        ({"first_address": "192.168.100.0"}, "first_address"),
        ({"first_address": "192.168.100.254", "gateway": None}, "first_address"),
        ({"first_address": DEVICE_ADDRESS}, "first_address"),
        ({"first_address": 7}, "first_address"),
        ({"count": 0}, "count"),
        ({"count": 65}, "count"),
        ({"netmask": "255.0.255.0"}, "netmask"),
        ({"netmask": "255.255.255.254"}, "netmask"),
        ({"netmask": "0.0.0.0"}, "netmask"),
        ({"gateway": "192.168.101.1"}, "gateway"),
        ({"gateway": "192.168.100.11"}, "gateway"),
        ({"dns_servers": ["192.168.100.53"] * 4}, "dns_servers"),
        ({"dns_servers": ["dns.example.com"]}, r"dns_servers\[0\]"),
        ({"ntp_servers": [None]}, r"ntp_servers\[0\]"),
        ({"lease_hours": 25}, "lease_hours"),
        ({"lease_hours": 0}, "lease_hours"),
        ({"domain": "example.com"}, "no other fields"),
    ],
)
def test_each_fault_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        read(**changed)


@pytest.mark.parametrize("name", ["", "lo", "..", "eth0/../eth1", "a" * 16, "eth 0", "eth0\n", "eth0:1"])
def test_what_is_no_private_interface(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--private-network"):
        private_interface(name)


def test_a_private_interface() -> None:
    assert private_interface("enp0s31f6.7") == "enp0s31f6.7"
    assert private_interface(None) is None
