# SPDX-License-Identifier: Apache-2.0
"""The first address: what is asked is what RFC 2131 says, the replies of our own server are read, garbage is not."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device import dhcp
from armillary.wire.device_image.address_lease import ACKNOWLEDGE, OFFER, Lease, discover, parse_reply, request

HARDWARE = bytes.fromhex("525400123456")
OFFERED = Lease(
    kind=OFFER,
    address=IPv4Address("10.0.2.15"),
    mask=IPv4Address("255.255.255.0"),
    server=bytes((10, 0, 2, 2)),
    router=IPv4Address("10.0.2.2"),
    name_servers=(IPv4Address("10.0.2.3"),),
    seconds=86400,
)


def options(
    *, kind: int = OFFER, mask: bytes = b"\xff\xff\xff\0", seconds: bytes = struct.pack(">I", OFFERED.seconds)
) -> bytes:
    values = {
        53: bytes((kind,)),
        54: OFFERED.server,
        1: mask,
        3: bytes((10, 0, 2, 2)),
        6: bytes((10, 0, 2, 3)),
        51: seconds,
    }
    return b"\0" + b"".join(bytes((name, len(value))) + value for name, value in values.items()) + b"\xff"


def reply(listed: bytes, *, transaction: int = 7, hardware: bytes = HARDWARE) -> bytes:
    head = struct.pack(">BBBBIHH", 2, 1, 6, 0, transaction, 0, 0) + bytes(4) + OFFERED.address.packed + bytes(8)
    message = head + hardware.ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363") + listed
    udp = struct.pack(">HHHH", 67, 68, 8 + len(message), 0) + message
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4) + udp


def test_an_offer_is_read() -> None:
    assert parse_reply(reply(options()), HARDWARE, 7) == OFFERED


def test_our_own_server_reads_what_is_asked() -> None:
    """The server's side is code of somebody else's hand (wire/device/dhcp.py)."""
    asked = dhcp.parse_message(discover(HARDWARE, 7)[28:])
    assert (asked.kind, asked.hardware) == (dhcp.Kind.DISCOVER, HARDWARE)
    taken = dhcp.parse_message(request(HARDWARE, 7, OFFERED)[28:])
    assert taken.kind is dhcp.Kind.REQUEST
    assert taken.requested == OFFERED.address


def test_the_packet_has_the_checksum_of_its_header() -> None:
    words = struct.unpack(">10H", discover(HARDWARE, 7)[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(300),
        reply(options(), transaction=8),
        reply(options(), hardware=bytes(6)),
        discover(HARDWARE, 7),
    ],
)
def test_what_is_no_reply_to_us_is_passed_over(packet: bytes) -> None:
    assert parse_reply(packet, HARDWARE, 7) is None


@pytest.mark.parametrize(
    "listed",
    [
        b"\xff",
        options(mask=b"\xff"),
        options(seconds=bytes(3)),
        options(seconds=b"\xff" * 252),
        options()[:-5],
        b"\x35\x09\x02\xff",
    ],
)
def test_a_reply_that_breaks_the_format_is_refused(listed: bytes) -> None:
    with pytest.raises(WireError, match="dhcp"):
        parse_reply(reply(listed), HARDWARE, 7)


def test_a_lease_without_a_time_holds_an_hour() -> None:
    listed = bytes((53, 1, ACKNOWLEDGE, 54, 4)) + OFFERED.server + b"\xff"
    found = parse_reply(reply(listed), HARDWARE, 7)
    assert found is not None
    assert (found.seconds, found.router, found.name_servers) == (3600, None, ())


@given(st.binary(max_size=400))
def test_garbage_after_a_good_head_is_a_lease_or_an_error(tail: bytes) -> None:
    with contextlib.suppress(WireError):
        parse_reply(reply(tail), HARDWARE, 7)
