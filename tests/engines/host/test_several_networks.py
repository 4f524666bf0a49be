# SPDX-License-Identifier: Apache-2.0
"""A machine with several networks: which of them leads out, and whose name servers are asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from armillary.engines.host import addressing, name_servers
from armillary.engines.host.addressing import ETHERNET_METRIC, MODEM_METRIC, WIFI_METRIC

# In a network of its own: two pairs of interfaces, whose other ends stand for cables.
PLAYED = """
import subprocess
import time
from ipaddress import IPv4Address
from armillary.engines.host import addressing

def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout

def way_out():
    return ip("route", "get", "203.0.113.1").split(" dev ")[1].split()[0]

def leads_out(name):
    for _ in range(600):  # the kernel looks at cables once a second
        if way_out() == name:
            break
        time.sleep(0.05)
    print(way_out())

addressing.leave_lost_links()
for name, other, network, metric in (("wlan", "radio", 2, 600), ("eth", "cable", 1, 100)):
    ip("link", "add", name, "type", "veth", "peer", "name", other)
    addressing.bring_up(name)
    addressing.bring_up(other)
    addressing.set_address(name, IPv4Address(f"192.0.{network}.9"), IPv4Address("255.255.255.0"))
    for _ in range(2):  # a lease that is renewed
        addressing.add_default_route(name, IPv4Address(f"192.0.{network}.1"), metric=metric)
    leads_out(name)
ip("link", "set", "cable", "down")
leads_out("wlan")
ip("link", "set", "cable", "up")
leads_out("eth")
addressing.forget_address("eth")
addressing.forget_address("eth")
leads_out("wlan")
"""


def test_a_network_that_claims_half_of_the_internet_is_not_joined() -> None:
    """Its route would be narrower than Ethernet's way to everywhere, and taken before it."""
    for mask in ("128.0.0.0", "192.0.0.0", "254.0.0.0", "0.0.0.0"):
        with pytest.raises(OSError, match=f"mask 255.0.0.0 or a narrower one, got {mask}"):
            addressing.set_address("nobody", IPv4Address("198.51.100.7"), IPv4Address(mask))
    with pytest.raises(OSError, match=r"No such device|not permitted"):  # the control: the kernel is asked
        addressing.set_address("nobody", IPv4Address("10.0.0.7"), addressing.WIDEST_MASK)


def test_ethernet_leads_out_before_wifi_while_its_cable_is_in() -> None:
    if shutil.which("ip") is None or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("needs iproute2 and the right to make a network of one's own (root)")
    played = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", PLAYED], check=False, capture_output=True, text=True
    )
    assert played.stdout.split() == ["wlan", "eth", "wlan", "eth", "wlan"], played.stderr


def test_name_servers_of_the_preferred_network_come_first(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"

    def told() -> list[str]:
        return [line.removeprefix("nameserver ") for line in resolver.read_text("ascii").splitlines()]

    def address(last: int) -> IPv4Address:
        return IPv4Address(f"192.0.2.{last}")

    name_servers.tell("wwan0", MODEM_METRIC, [address(7), address(8)], resolver)
    assert told() == ["192.0.2.7", "192.0.2.8"]
    name_servers.tell("eth0", ETHERNET_METRIC, [address(1), address(8)], resolver)
    assert told() == ["192.0.2.1", "192.0.2.8", "192.0.2.7"]  # each once
    name_servers.tell("wlan0", WIFI_METRIC, [address(6)], resolver)
    assert told() == ["192.0.2.1", "192.0.2.8", "192.0.2.6"]  # a C library takes three
    name_servers.forget("eth0", ETHERNET_METRIC, resolver)
    name_servers.forget("eth0", ETHERNET_METRIC, resolver)
    assert told() == ["192.0.2.6", "192.0.2.7", "192.0.2.8"]
