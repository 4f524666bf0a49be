# SPDX-License-Identifier: Apache-2.0
"""What a client on the private network sends: any bytes are a DHCP message or WireError, and get one answer or none."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from tests.wire.device.dhcp_messages import DISCOVER, sent

from armillary.device.private_network.leases import Leases, destination
from armillary.device.private_network.plan import DhcpPlan
from armillary.errors import WireError
from armillary.wire.device.dhcp import BROADCAST, LIMIT_BYTES, encode_answer, parse_message

NETWORK = IPv4Network("192.168.100.0/24")
PLAN = DhcpPlan(server=NETWORK[1], first=NETWORK[10], count=2, network=NETWORK)


def seeds() -> list[bytes]:
    asks = b"\x35\x01\x03" + b"\x32\x04" + IPv4Address("192.168.100.10").packed + b"\x3d\x03\x00ab\xff"
    return [sent(DISCOVER, b"\xff"), sent(asks), sent(DISCOVER, b"\x34\x01\x03", at44=asks)]


def fuzz(data: bytes) -> None:
    try:
        asked = parse_message(data)
    except WireError:
        return
    leases = Leases(PLAN)
    for now in (0.0, 1.0):
        answer = leases.answer(asked, now)
        if answer is not None:
            assert len(encode_answer(asked, answer)) <= LIMIT_BYTES
            assert destination(asked, answer) in (BROADCAST, *NETWORK.hosts())
