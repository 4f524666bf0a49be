# SPDX-License-Identifier: Apache-2.0
"""What a modem says by QMI becomes values; what is not of its form is as good as none, and never raises."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.modem import qmi
from armillary.wire.modem.commands import Authentication
from armillary.wire.modem.radio import Registration, SimState, Technology


def card(state: int = 1, error: int = 0, applications: int = 1, application: int = 7, pin: int = 3) -> bytes:
    identifier = bytes.fromhex("a0000000871002")
    of_application = (
        bytes([2, application, 2, 11, 0, 0, len(identifier)]) + identifier + bytes([0, pin, 3, 10, 3, 3, 10])
    )
    return (
        struct.pack("<HHHH", 0, 0xFFFF, 0xFFFF, 0xFFFF)
        + bytes([1, state, 0, 0, 0, error, applications])
        + (of_application * applications)
    )


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (card(), SimState.READY),
        (card(application=2, pin=1), SimState.PIN),
        (card(application=2, pin=4), SimState.PUK),
        (card(application=3, pin=4), SimState.PUK),
        (card(application=5), SimState.FAILED),
        (card(application=1), SimState.UNKNOWN),
        (card(application=99), SimState.UNKNOWN),
        (card(applications=0), SimState.UNKNOWN),
        (card(state=0, applications=0), SimState.MISSING),
        (card(state=2, error=6, applications=0), SimState.MISSING),
        (card(state=2, error=7, applications=0), SimState.FAILED),
        (bytes(9), SimState.UNKNOWN),
        (b"", SimState.UNKNOWN),
        (card()[:20], SimState.UNKNOWN),
    ],
)
def test_cards(value: bytes, state: SimState) -> None:
    assert qmi.sim_of({0x10: value}) is state


def test_the_network() -> None:
    fields = {0x01: bytes([1, 1, 1, 2, 2, 0, 8]), 0x10: b"\1", 0x12: struct.pack("<HHB", 262, 1, 7) + b"Telekom"}
    assert qmi.serving_of(fields) == qmi.Serving(
        registration=Registration.HOME, technology=Technology.LTE, operator="Telekom", is_attached=True
    )
    foreign = qmi.serving_of({**fields, 0x10: b"\0", 0x12: struct.pack("<HHB", 1, 1, 0)})
    assert (foreign.registration, foreign.operator) == (Registration.ROAMING, "00101")
    searching = qmi.serving_of({0x01: bytes([2, 2, 2, 0, 0]), 0x10: b"\0"})
    assert (searching.registration, searching.is_attached) == (Registration.SEARCHING, False)
    assert qmi.serving_of({0x01: bytes([3, 0, 0, 0, 0])}).registration is Registration.DENIED
    assert qmi.serving_of({0x01: b"\1"}) == qmi.Serving()
    assert qmi.serving_of({**fields, 0x12: struct.pack("<HHB", 262, 1, 3) + b"\x1b[3"}).operator == "26201"


def test_strength_is_that_of_the_pilot_where_there_is_one() -> None:
    assert qmi.strength_of({0x14: struct.pack("<bbhh", -60, -10, -97, 100)}) == -97
    assert qmi.strength_of({0x12: struct.pack("<b", -71)}) == -71
    assert qmi.strength_of({0x17: struct.pack("<hh", -101, 3)}) == -101
    assert qmi.strength_of({0x14: b"\1"}) is None
    assert qmi.strength_of({0x12: b"\5"}) is None
    assert qmi.strength_of({}) is None


def test_addresses_stand_with_their_last_byte_first() -> None:
    fields = {0x1E: bytes([15, 2, 0, 10]), 0x21: bytes([0, 255, 255, 255]), 0x20: bytes([2, 2, 0, 10]), 0x16: bytes(4)}
    found = qmi.addressing_of({**fields, 0x15: bytes([8, 8, 8, 9])})
    assert found is not None
    assert (str(found.address), str(found.mask), str(found.gateway)) == ("10.0.2.15", "255.255.255.0", "10.0.2.2")
    assert found.name_servers == (IPv4Address("9.8.8.8"),)
    assert qmi.addressing_of({0x1E: b"\1\2"}) is None
    assert qmi.addressing_of({}) is None


def test_errors_are_numbers() -> None:
    assert qmi.error_of({2: struct.pack("<HH", 0, 0)}) is None
    assert qmi.error_of({2: struct.pack("<HH", 1, 14)}) == 14
    assert qmi.error_of({}) is not None
    assert qmi.error_of({2: b"\0"}) is not None


FIELDS = st.dictionaries(st.integers(0, 0x30), st.binary(max_size=40), max_size=6)


@given(FIELDS, st.binary(max_size=60))
def test_whatever_comes_nothing_is_raised(fields: dict[int, bytes], value: bytes) -> None:
    for kind in (0x01, 0x10, 0x12, 0x14, 0x17):
        given_fields = {**fields, kind: value}
        qmi.sim_of(given_fields)
        assert qmi.serving_of(given_fields).operator.isprintable()
        qmi.strength_of(given_fields)
        qmi.addressing_of(given_fields)
        qmi.handle_of(given_fields)
        qmi.is_connected(given_fields)
        qmi.error_of(given_fields)


def test_what_a_configuration_says_is_checked_and_no_secret_repeated() -> None:
    assert qmi.verify_pin("7391") == {1: b"\0\0", 2: b"\x01\x047391"}
    fields = qmi.start_network("iot.example", Authentication.PAP, "me", "secret")
    assert fields == {0x19: b"\4", 0x14: b"iot.example", 0x16: b"\1", 0x17: b"me", 0x18: b"secret"}
    assert qmi.start_network("", Authentication.NONE, "x", "y") == {0x19: b"\4"}
    assert qmi.register("") == {1: b"\1"}
    assert qmi.register("310410") == {1: b"\2", 0x10: struct.pack("<HHB", 310, 410, 255), 0x12: b"\1"}
    for wrong in (
        lambda: qmi.verify_pin("73x1"),
        lambda: qmi.start_network("a b", Authentication.NONE, "", ""),
        lambda: qmi.start_network("", Authentication.CHAP, "me", "a\0b"),
        lambda: qmi.register("1"),
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            wrong()
        assert "73x1" not in raised.value.message
