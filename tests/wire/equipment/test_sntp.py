# SPDX-License-Identifier: Apache-2.0
"""SNTP requests and replies: fields by RFC 4330, nothing amplified, hostile packets refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.equipment.sntp import (
    ALARM,
    PACKET_BYTES,
    STRATUM,
    ClockState,
    parse_request,
    reply,
    timestamp,
)

GOOD = ClockState(synchronised=True, error_us=500_000)
LOST = ClockState(synchronised=False, error_us=1)


def asked(first: int = 0x23, transmitted: bytes = b"originat", poll: int = 6) -> bytes:
    return bytes([first, 0, poll]) + bytes(37) + transmitted


def test_a_reply_has_the_fields_of_rfc_4330() -> None:
    """Times by hand: 2000-01-01 is 0xBC17C200 seconds after 1900 (RFC 868's table goes by the same arithmetic)."""
    answer = reply(
        parse_request(asked()), GOOD, received_ns=946_684_800 * 10**9, transmitted_ns=946_684_800_500_000_000
    )
    assert len(answer) == PACKET_BYTES == 48
    assert (answer[0] >> 6, answer[0] >> 3 & 7, answer[0] & 7) == (0, 4, 4)
    assert (answer[1], answer[2]) == (STRATUM, 6)
    assert struct.unpack_from(">II", answer, 4) == (0, 0x8000)  # half a second, 16.16
    assert answer[24:32] == b"originat"
    assert answer[32:40].hex() == "bc17c20000000000"
    assert answer[40:48].hex() == "bc17c20080000000"


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_client_gets_its_own_version(version: int) -> None:
    assert reply(parse_request(asked(version << 3 | 3)), GOOD, received_ns=0, transmitted_ns=0)[0] >> 3 & 7 == version


def test_a_clock_that_nobody_set_says_so() -> None:
    answer = reply(parse_request(asked()), LOST, received_ns=10**18, transmitted_ns=10**18)
    assert (answer[0] >> 6, answer[1], answer[12:16]) == (ALARM, 0, b"INIT")
    assert answer[4:12] == bytes(8)
    assert answer[16:24] == bytes(8)  # it was never set


def test_2036_begins_a_new_era() -> None:
    last = (1 << 32) - 2_208_988_800
    assert timestamp((last - 1) * 10**9).hex() == "ffffffff00000000"
    assert timestamp(last * 10**9).hex() == "0000000000000000"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        asked()[:47],
        asked() + bytes(25),
        asked(0x1B & 0xF8 | 4),  # a reply: two servers would answer each other for ever
        asked(0x23 & 0xF8 | 1),
        asked(0x16),  # mode 6, control
        b"\x17\x00\x03\x2a" + bytes(44),  # mode 7, monlist: the request of amplification attacks
        asked(0x03),  # version 0
        asked(0x2B),  # version 5
    ],
)
def test_what_is_no_request_of_a_client_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match=r"SNTP request.*expected"):
        parse_request(data)


@given(st.binary(max_size=100), st.integers(0, 2**63), st.booleans(), st.integers(0, 2**40))
def test_whatever_comes_is_answered_in_its_size_or_refused(data: bytes, now: int, known: bool, error: int) -> None:
    try:
        request = parse_request(data)
    except WireError:
        return
    answer = reply(request, ClockState(known, error), received_ns=now, transmitted_ns=now)
    assert len(answer) == 48 <= len(data)
    assert answer[24:32] == data[40:48]
