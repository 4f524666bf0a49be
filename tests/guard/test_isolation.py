# SPDX-License-Identifier: Apache-2.0
"""Plans of a guardian's two sides: what is refused, and what the texts for nftables and dnsmasq say.

What the rules do is in tests/engines/isolation, with real networks.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.guard.isolation.addressing import dhcp_configuration
from armillary.guard.isolation.filtering import REFUSED, removal, ruleset
from armillary.guard.isolation.plan import LEASE_LIMIT, Isolation, parse_lease, plan_isolation

OWN = IPv4Interface("10.9.0.1/24")
LEASES = {"02:00:00:00:00:02": IPv4Address("10.9.0.2")}


def planned(**changes: Any) -> Isolation:
    return plan_isolation(**{"equipment": "eth1", "uplink": "eth0", "address": OWN, "leases": LEASES} | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"uplink": "eth1"}, "expected two interfaces"),
        ({"equipment": "lo"}, "expected two interfaces"),
        ({"equipment": ""}, "--equipment: expected the name"),
        ({"equipment": "a-name-that-is-long"}, "--equipment: expected the name"),
        ({"uplink": 'eth0" accept; iifname "x'}, "--uplink: expected the name"),
        ({"uplink": "eth0\n"}, "--uplink: expected the name"),
        ({"address": IPv4Interface("10.9.0.1/32"), "leases": {}}, "expected an address in a network with room"),
        ({"address": IPv4Interface("10.9.0.0/24")}, "expected an address in a network with room"),
        ({"leases": {"02:00:00:00:00:02": OWN.ip}}, "expected a free address"),
        ({"leases": {"02:00:00:00:00:02": IPv4Address("10.9.0.255")}}, "expected a free address"),
        ({"leases": {"02:00:00:00:00:02": IPv4Address("10.8.0.2")}}, "expected a free address"),
        ({"leases": LEASES | {"02:00:00:00:00:03": IPv4Address("10.9.0.2")}}, "another address for each machine"),
        (
            {"leases": {f"02:00:00:00:00:{n:02x}": IPv4Address(0x0A090002 + n) for n in range(LEASE_LIMIT + 1)}},
            f"at most {LEASE_LIMIT}",
        ),
    ],
)
def test_a_plan_that_cannot_hold_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        planned(**changes)


@given(st.text(max_size=20))
def test_no_name_of_an_interface_brings_a_rule_with_it(name: str) -> None:
    """Whatever it is, it is refused or needs no quoting."""
    try:
        plan = planned(equipment=name)
    except InvalidArgumentError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", plan.equipment, re.ASCII)


def test_leases_are_read_as_labels_have_them() -> None:
    assert parse_lease("02-00-5E-10-00-FF=10.9.0.7") == ("02:00:5e:10:00:ff", IPv4Address("10.9.0.7"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:00:00:00:00:02",
        "02:00:00:00:00:02=",
        "02:00:00:00:00:02=10.9.0.0/24",
        "02:00:00:00:00:02=fd09::2",
        "02:00:00:00:00=10.9.0.2",
        "01:00:5e:00:00:01=10.9.0.2",  # a group of hosts
        "ff:ff:ff:ff:ff:ff=10.9.0.2",
        "00:00:00:00:00:00=10.9.0.2",
        "02:00:00:00:00:02,set:x=10.9.0.2",
        "02:00:00:00:00:02=10.9.0.2\nport=53",
    ],
)
def test_what_is_no_lease_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected MAC=ADDRESS"):
        parse_lease(text)


def test_every_refusal_is_counted_by_a_counter_that_has_a_meaning() -> None:
    text = ruleset(planned())
    used = set(re.findall(r"counter name (\w+) drop", text))
    assert used == set(REFUSED) == set(re.findall(r"counter (\w+) \{ \}", text))
    assert "drop" not in re.sub(r"counter name \w+ drop|policy drop|arp [sd]addr ip[^\n]* drop", "", text)


def test_rules_replace_those_that_stood_in_one_transaction() -> None:
    assert ruleset(planned()).startswith(removal())
    assert removal().splitlines() == [
        "add table inet armillary_guardian",
        "delete table inet armillary_guardian",
        "add table arp armillary_guardian",
        "delete table arp armillary_guardian",
    ]


def test_without_leases_nobody_is_given_an_address() -> None:
    text = ruleset(planned(leases={}))
    assert "67" not in text
    assert '"eth1" ip saddr != 10.9.0.0/24 counter name spoofed drop' in text
    assert "02:00:00:00:00:02 . 10.9.0.2" in ruleset(planned())


def test_dnsmasq_gives_fixed_addresses_and_no_way_on() -> None:
    lines = dhcp_configuration(planned()).splitlines()
    assert "dhcp-host=02:00:00:00:00:02,10.9.0.2,3600" in lines
    assert {"port=0", "interface=eth1", "bind-interfaces", "dhcp-ignore=tag:!known", "dhcp-option=3"} <= set(lines)
    assert "dhcp-range=10.9.0.0,static,255.255.255.0,3600" in lines
    assert [line for line in lines if line.startswith("dhcp-option=")] == [
        "dhcp-option=3",
        "dhcp-option=6",
        "dhcp-option=42,10.9.0.1",
    ]
