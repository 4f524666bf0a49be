# SPDX-License-Identifier: Apache-2.0
"""Where the server ports of a device are reached: loopback unless its owner says otherwise."""

from __future__ import annotations

import pytest

from armillary.capability.device_addresses import LOOPBACK, parse_device_addresses
from armillary.errors import InvalidArgumentError


def test_nobody_in_the_network_reaches_a_port_unless_it_is_said() -> None:
    assert parse_device_addresses([]) == LOOPBACK
    assert (LOOPBACK.stream(ipv6=False), LOOPBACK.datagram()) == ("127.0.0.1", ("127.0.0.1",))


@pytest.mark.parametrize(
    ("listen", "ipv4", "ipv6", "ipv6_only"),
    [
        (["192.0.2.7"], "192.0.2.7", "::ffff:192.0.2.7", None),
        (["2001:db8::7"], None, "2001:db8::7", "2001:db8::7"),
        (["192.0.2.7", "2001:db8::7"], "192.0.2.7", "2001:db8::7", "2001:db8::7"),
        (["::"], "0.0.0.0", "::", "::"),
        (["0.0.0.0"], "0.0.0.0", "::ffff:0.0.0.0", None),
    ],
)
def test_the_address_for_a_socket(listen: list[str], ipv4: str | None, ipv6: str | None, ipv6_only: str | None) -> None:
    found = parse_device_addresses(listen)
    assert found.stream(ipv6=False) == ipv4
    assert found.stream(ipv6=True) == ipv6
    assert found.stream(ipv6=True, ipv6_only=True) == ipv6_only
    assert found.datagram() == tuple(listen)


@pytest.mark.parametrize(
    ("listen", "named"),
    [
        (["eth0"], "'eth0'"),
        (["192.0.2.7:80"], "'192.0.2.7:80'"),
        (["224.0.0.1"], "'224.0.0.1'"),
        (["fe80::1%eth0"], "'fe80::1%eth0'"),
        (["192.0.2.7", "192.0.2.8"], "192.0.2.7 and 192.0.2.8"),
    ],
)
def test_what_is_no_address_is_named(listen: list[str], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--listen: expected") as caught:
        parse_device_addresses(listen)
    assert named in caught.value.message
    assert caught.value.remedy
