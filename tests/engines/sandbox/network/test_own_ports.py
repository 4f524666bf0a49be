# SPDX-License-Identifier: Apache-2.0
"""A device's own port is found by its mark, however many sockets the machine has, and on every kernel."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from typing import Any

import pytest

from armillary.engines.sandbox.network import own_ports

PORT = 65530
# What one message of a netlink dump holds at most (net/netlink/af_netlink.c).
KERNEL_PART_BYTES = 32 * 1024
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def told_of(port: int) -> bool:
    try:
        own_ports.check_not_own(LOOPBACK, port)
    except PermissionError:
        return True
    return False


def without_diagnosis(*_: Any) -> bytes:
    raise OSError(errno.ENOENT, "no such family")


@pytest.mark.parametrize("listed", [True, False])
def test_a_mark_is_found_as_long_as_it_is_there(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not listed:
        monkeypatch.setattr(own_ports, "_unconnected", without_diagnosis)
    assert not told_of(PORT)
    with own_ports.own_port(PORT):
        assert told_of(PORT)
        assert not told_of(PORT // 10)  # the beginning of a number is another number
        own_ports.check_not_own(ipaddress.ip_address("192.0.2.7"), PORT)
    assert not told_of(PORT)


def test_it_is_found_among_more_than_the_kernel_tells_at_once() -> None:
    """And of sockets that are connected nothing is told at all: they are what a machine has many of."""
    with contextlib.ExitStack() as held:
        for _ in range(100):
            for each in socket.socketpair(socket.AF_UNIX):
                held.enter_context(each)
        few = len(own_ports._unconnected())
        for number in range(500):
            other = held.enter_context(socket.socket(socket.AF_UNIX))
            other.bind(b"\0armillary-test/" + f"{number:04}".encode() + bytes(80))
        assert len(own_ports._unconnected()) > few + KERNEL_PART_BYTES
        with own_ports.own_port(PORT):
            assert told_of(PORT)
        assert not told_of(PORT)
