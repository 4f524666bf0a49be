# SPDX-License-Identifier: Apache-2.0
"""Who may be reached: exact names, exact addresses, and nothing that looks like them."""

from __future__ import annotations

import ipaddress

import pytest

from armillary.capability.network import (
    RESOLVER_ADDRESS,
    STAND_IN_NETWORK,
    allowed_hosts,
    hosts_file,
    refuse_resolved,
    resolver_configuration,
)

HOSTS = allowed_hosts(["hub.example.com", "192.0.2.7", "2001:db8::7", "Localhost"])


@pytest.mark.parametrize("host", ["hub.example.com", "HUB.example.com", "hub.example.com."])
def test_a_declared_name_in_any_spelling(host: str) -> None:
    decision = HOSTS.decide(host, 8883)
    assert (decision.allowed, decision.host, decision.port) == (True, "hub.example.com", 8883)


@pytest.mark.parametrize(
    "host",
    [
        "exfil.hub.example.com",
        "example.com",
        "hub.example.com.evil.net",
        "hub.example.comm",
        "hub_example.com",
        "",
        ".",
        "*",
        "192.0.2.8",
        "192.0.2.07",
        "192.0.2",
        "3221225991",
        "0xC0000207",
        "2001:db8::8",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
    ],
)
def test_everything_else_is_refused(host: str) -> None:
    assert not HOSTS.decide(host, 443).allowed


@pytest.mark.parametrize("host", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7", "2001:DB8:0::7"])
def test_a_declared_address_in_any_spelling(host: str) -> None:
    assert HOSTS.decide(host, 443).allowed


def test_a_stand_in_is_its_name() -> None:
    stand_in = HOSTS.stand_ins["hub.example.com"]
    assert HOSTS.decide(str(stand_in), 1).host == "hub.example.com"
    assert HOSTS.decide(f"::ffff:{stand_in}", 1).host == "hub.example.com"
    assert set(HOSTS.stand_ins) == {"hub.example.com", "localhost"}


def test_an_unused_stand_in_means_nothing() -> None:
    assert not HOSTS.decide(str(STAND_IN_NETWORK[200]), 443).allowed
    assert not HOSTS.decide(str(RESOLVER_ADDRESS), 53).allowed


def test_stand_ins_are_distinct_loopback_addresses_beside_the_resolver() -> None:
    many = allowed_hosts([f"h{index}.example" for index in range(64)])
    assert len(set(many.stand_ins.values())) == 64
    assert all(address in STAND_IN_NETWORK and address.is_loopback for address in many.stand_ins.values())
    assert RESOLVER_ADDRESS not in STAND_IN_NETWORK
    with pytest.raises(ValueError, match="host names"):
        allowed_hosts([f"h{index}.example" for index in range(255)])


def test_nothing_declared_allows_nothing() -> None:
    nothing = allowed_hosts([])
    assert not nothing.decide("hub.example.com", 443).allowed
    assert not nothing.decide(str(STAND_IN_NETWORK[1]), 443).allowed


@pytest.mark.parametrize(
    "resolved",
    [
        "127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::", "?", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1:7f00:0:100::", "2002:7f00:1::",
        "2002:a9fe:a9fe::1", "2001:0:a00:1::80ff:fffe", "2606:4700::5efe:7f00:1", "64:ff9b::", "2002:e000:1::",
        "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "64:ff9b::a83f:8110",
    ],
)  # fmt: skip
def test_a_name_cannot_be_pointed_at_this_machine(resolved: str) -> None:
    assert refuse_resolved("hub.example.com", resolved, local_names=frozenset()) is not None


@pytest.mark.parametrize(
    "resolved", ["192.0.2.7", "10.0.0.5", "2001:db8::1", "192.168.35.2", "64:ff9b::a00:5", "2002:a00:5::1"]
)
def test_other_addresses_are_where_hubs_are(resolved: str) -> None:
    assert refuse_resolved("hub.example.com", resolved, local_names=frozenset()) is None


def test_names_the_administrator_defined_may_be_this_machine() -> None:
    assert refuse_resolved("hub", "127.0.1.1", local_names=frozenset({"hub"})) is None
    assert refuse_resolved("localhost", "127.0.0.1", local_names=frozenset()) is None
    for resolved in ("0.0.0.0", "64:ff9b::7f00:101", "2002:7f00:101::"):
        assert refuse_resolved("hub", resolved, local_names=frozenset({"hub"})) is not None


def test_files_for_the_inside() -> None:
    text = hosts_file(HOSTS).decode()
    for name, address in HOSTS.stand_ins.items():
        assert f"{address} {name}\n" in text
    assert "127.0.0.1 localhost" not in text  # declared, so its stand-in counts
    assert "127.0.0.1 localhost\n" in hosts_file(allowed_hosts([])).decode()
    line = resolver_configuration().decode().splitlines()[0]
    assert ipaddress.ip_address(line.split()[1]) == RESOLVER_ADDRESS
