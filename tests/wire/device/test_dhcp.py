# SPDX-License-Identifier: Apache-2.0
"""DHCP messages: what clients send is read whole or refused, and answers have the fields of RFC 2131."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.wire.device.dhcp_messages import DISCOVER, HARDWARE, sent

from armillary.errors import WireError
from armillary.wire.device import dhcp
from armillary.wire.device.dhcp import ClientMessage, Kind, ServerMessage, encode_answer, parse_message

SERVER, ADDRESS = IPv4Address("192.168.100.1"), IPv4Address("192.168.100.10")
# What busybox 1.37's udhcpc sent on a wire of the tests (wires.py), as it came out of the server's socket.
UDHCPC = Path(__file__).with_name("udhcpc.hex").read_text("ascii").split()


def test_what_a_foreign_client_sends_is_read() -> None:
    discover, request = (parse_message(bytes.fromhex(each)) for each in UDHCPC)
    assert (discover.kind, request.kind) == (Kind.DISCOVER, Kind.REQUEST)
    assert discover.hardware == request.hardware == HARDWARE
    assert discover.client_id == b"\x01" + HARDWARE == discover.key
    assert (discover.requested, discover.server) == (None, None)
    assert (request.requested, request.server) == (ADDRESS, SERVER)
    assert request.transaction == discover.transaction


def test_an_answer_has_the_fields_of_rfc_2131() -> None:
    asked = parse_message(sent(DISCOVER, b"\x3d\x03\x00ab", at10=b"\x80\x00"))
    answer = ServerMessage(kind=Kind.OFFER, server=SERVER, address=ADDRESS, options={dhcp.LEASE_TIME: bytes(4)})
    data = encode_answer(asked, answer)
    assert (len(data), data[:4]) == (300, b"\x02\x01\x06\x00")
    assert (data[4:8], data[10:12]) == (b"\x12\x34\x56\x78", b"\x80\x00")
    assert (data[12:16], data[16:20], data[24:28], data[28:34]) == (bytes(4), ADDRESS.packed, bytes(4), HARDWARE)
    options = "350102" + "3604c0a86401" + "330400000000" + "3d03006162" + "ff"
    assert data[236:].rstrip(b"\0").hex() == "63825363" + options


def test_options_may_come_in_parts_and_in_the_fixed_fields() -> None:
    long = parse_message(sent(DISCOVER, b"\x3d\x02\x00a", b"\0\0", b"\x3d\x01b", b"\xff", b"\x3d\x01c"))
    assert long.client_id == b"\x00ab"
    file = b"\x32\x04" + ADDRESS.packed + b"\xff"
    overloaded = parse_message(sent(DISCOVER, b"\x34\x01\x01", at108=file))
    assert overloaded.requested == ADDRESS
    assert parse_message(sent(DISCOVER, at108=file)).requested is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "240 to 1500 bytes"),
        (sent(DISCOVER) + bytes(1500), "240 to 1500 bytes"),
        (sent(DISCOVER, at0=b"\x02"), "a client's"),
        (sent(DISCOVER)[:236] + bytes(8), "DHCP's mark"),
        (sent(DISCOVER, at1=b"\x06"), "an Ethernet address"),
        (sent(DISCOVER, at2=b"\xff"), "an Ethernet address"),
        (sent(DISCOVER, at24=SERVER.packed), "one from this network"),
        (sent(), "what clients send"),
        (sent(b"\x35\x01\x02"), "what clients send"),
        (sent(b"\x35\x02\x01\x01"), "what clients send"),
        (sent(DISCOVER, DISCOVER), "what clients send"),
        (sent(DISCOVER, b"\x3d"), "as many bytes as it says"),
        (sent(DISCOVER, b"\x3d\xffab"), "as many bytes as it says"),
        (sent(DISCOVER, b"\x3d\x01a"), "2 to 255 bytes"),
        (sent(DISCOVER, b"\x3d\xff" + bytes(255), b"\x3d\x01a"), "2 to 255 bytes"),
        (sent(DISCOVER, b"\x32\x03\0\0\0"), "an address of 4 bytes"),
        (sent(DISCOVER, b"\x36\x05\0\0\0\0\0"), "an address of 4 bytes"),
        (sent(DISCOVER, b"\x34\x01\x04"), "1 to 3"),
        (sent(DISCOVER, b"\x34\x01\x02", at44=b"\x3d\x50"), "as many bytes as it says"),
    ],
)
def test_hostile_messages_are_refused(data: bytes, expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        parse_message(data)


@given(st.binary(max_size=1600), st.integers(0, 400))
def test_any_bytes_are_a_message_or_refused(data: bytes, at: int) -> None:
    for each in (data, sent(DISCOVER, data), sent(DISCOVER, b"\x34\x01\x03", at44=data[:192]), sent(data)[:at] + data):
        try:
            found = parse_message(each)
        except WireError:
            continue
        assert len(found.hardware) == 6
        assert 2 <= len(found.key) <= 255


@given(
    kind=st.sampled_from([Kind.OFFER, Kind.ACK, Kind.NAK]),
    client_id=st.none() | st.binary(min_size=2, max_size=255),
    transaction=st.integers(0, 2**32 - 1),
)
def test_every_answer_ends_and_goes_back_to_who_asked(kind: Kind, client_id: bytes | None, transaction: int) -> None:
    asked = ClientMessage(
        kind=Kind.REQUEST,
        transaction=transaction,
        flags=0,
        client_address=ADDRESS,
        hardware=HARDWARE,
        client_id=client_id,
    )
    data = encode_answer(asked, ServerMessage(kind=kind, server=SERVER, address=ADDRESS, options={}))
    assert 300 <= len(data) <= dhcp.LIMIT_BYTES
    assert data[4:8] == transaction.to_bytes(4, "big")
    assert data[12:16] == (ADDRESS.packed if kind == Kind.ACK else bytes(4))
    assert data.rstrip(b"\0")[-1] == dhcp.END
