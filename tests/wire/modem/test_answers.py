# SPDX-License-Identifier: Apache-2.0
"""Lines of modems as values: those of many makers, those of the simulated one, and whatever else comes.

The lines of real modems are quoted from the public tests of ModemManager (src/tests/test-modem-helpers.c), where users
reported them; the names are theirs. +CGCONTRDP: the examples of 3GPP TS 27.007 §10.1.23 and public sources of tests.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, strategies as st

from armillary.wire.modem.answers import (
    Addressing,
    Attached,
    CarrierLost,
    Context,
    Done,
    Identity,
    Operator,
    Other,
    Refused,
    Registered,
    Restarted,
    Sim,
    Strength,
    parse_line,
    split_fields,
)
from armillary.wire.modem.lines import MAX_LINE_BYTES, LineReader
from armillary.wire.modem.radio import Registration, SimState, Technology

R, T = Registration, Technology
REGISTRATIONS = [
    ("+CREG: 1,3", "CREG", R.DENIED, T.UNKNOWN),
    ("+CREG: 3", "CREG", R.DENIED, T.UNKNOWN),
    ("+CREG: 1,1,84CD,00D30173", "CREG", R.HOME, T.UNKNOWN),  # Sierra Mercury
    ("+CREG: 1,84CD,00D30156", "CREG", R.HOME, T.UNKNOWN),
    ('+CREG: 2,1,"CE00","01CEAD8F"', "CREG", R.HOME, T.UNKNOWN),  # Sony Ericsson K850i
    ('+CREG: 1,"CE00","00005449"', "CREG", R.HOME, T.UNKNOWN),
    ("+CREG: 2,0,00,0", "CREG", R.IDLE, T.UNKNOWN),  # Huawei E160G
    ("+CREG: 2,,", "CREG", R.SEARCHING, T.UNKNOWN),  # Novatel XU870
    ('+CREG:002,001,"18d8","ffff"', "CREG", R.HOME, T.UNKNOWN),  # Iridium
    ('+CREG: 001,"0001","0010",000', "CREG", R.HOME, T.GSM),
    ('+CREG: 2,6,"8B37","0A265185",7', "CREG", R.HOME, T.LTE),  # u-blox Toby-L2
    ('+CREG: 2,5,"0502","0404736D"', "CREG", R.ROAMING, T.UNKNOWN),  # Sony Ericsson MD400, unasked
    ('+CGREG: 5,"0502","0404736D",2', "CGREG", R.ROAMING, T.UMTS),
    ("+CGREG: 2,1, 81ED, 1A9CEB", "CGREG", R.HOME, T.UNKNOWN),  # Alcatel X220D
    ("+CREG: 2,1,000B,2816, B, C2816", "CREG", R.HOME, T.UNKNOWN),  # Samsung Wave S8500
    ("+CREG: 2,1,  0 5, 2715", "CREG", R.HOME, T.UNKNOWN),  # Qualcomm Gobi 1000
    ("+CEREG: 2,1, 1F00, 79D903 ,7", "CEREG", R.HOME, T.LTE),
    ("+CEREG: 1, 1F00, 79D903 ,7", "CEREG", R.HOME, T.LTE),
    ("+CEREG: 2, 0001, 00000100, 7", "CEREG", R.SEARCHING, T.LTE),  # Altair
    ("+CEREG: 1, 1F00, 20 ,79D903 ,7", "CEREG", R.HOME, T.UNKNOWN),  # Novatel E362
    ("+C5GREG: 2,1,1F00,79D903,11,6,ABCDEF", "C5GREG", R.HOME, T.NR),
]


@pytest.mark.parametrize(("line", "kind", "registration", "technology"), REGISTRATIONS)
def test_registrations_of_many_makers(line: str, kind: str, registration: Registration, technology: Technology) -> None:
    assert parse_line(line) == Registered(kind, registration, technology)


def addressing(address: str, mask: str, gateway: str | None, *servers: str, name: str = "internet") -> Addressing:
    router = None if gateway is None else IPv4Address(gateway)
    return Addressing(1, name, IPv4Address(address), IPv4Address(mask), router, tuple(map(IPv4Address, servers)))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            '+CGCONTRDP: 1,5,"internet","37.81.97.187.255.255.255.240","37.81.97.185","10.74.210.210","10.74.210.211"',
            addressing("37.81.97.187", "255.255.255.240", "37.81.97.185", "10.74.210.210", "10.74.210.211"),
        ),
        (
            "+CGCONTRDP: 1,5,internet,10.72.0.46,,212.161.168.15,212.161.168.14",
            addressing("10.72.0.46", "255.255.255.255", None, "212.161.168.15", "212.161.168.14"),
        ),
        (
            '+CGCONTRDP: 1,5,"internet","10.36.130.148","","10.97.52.68","10.97.52.76","","",0,0',
            addressing("10.36.130.148", "255.255.255.255", None, "10.97.52.68", "10.97.52.76"),
        ),
        (
            '+CGCONTRDP: 1,5,"internet","10.0.0.1.255.0.0.0","0.0.0.0","0.0.0.0"',
            addressing("10.0.0.1", "255.0.0.0", None),
        ),
    ],
)
def test_addresses_of_a_session(line: str, found: Addressing) -> None:
    assert parse_line(line) == found


@pytest.mark.parametrize(
    "line",
    [
        '+CGCONTRDP: 1,5,"internet"',
        '+CGCONTRDP: 1,5,"internet","","","172.22.1.201","172.22.1.202"',
        '+CGCONTRDP: 2,6,"ims","32.1.13.184.0.18.0.53.0.0.0.0.0.0.0.2"',  # IPv6
        '+CGCONTRDP: 1,5,"internet","10.0.0.256.255.0.0.0"',
        '+CGCONTRDP: 1,5,"internet","192.168.97.2/30"',
        '+CGCONTRDP: 1,5,"apn" "10.0.0.1"',
        "+CGCONTRDP: x",
    ],
)
def test_a_session_without_a_plain_address_of_ipv4_has_none(line: str) -> None:
    assert parse_line(line) == Other(line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("OK", Done()),
        ("ERROR", Refused()),
        ("+CME ERROR: 10", Refused(10, "10")),
        ("+CME ERROR: SIM PIN required", Refused(11, "SIM PIN required")),
        ("+CME ERROR: whatever", Refused(None, "whatever")),
        ("NO CARRIER", CarrierLost("NO CARRIER")),
        ("+CGEV: NW PDN DEACT 1", CarrierLost("NW PDN DEACT 1")),
        ("+CGEV: ME DETACH", CarrierLost("ME DETACH")),
        ("+CGEV: ME PDN ACT 1", Other("+CGEV: ME PDN ACT 1")),
        ("RDY", Restarted()),
        ("+CPIN: READY", Sim(SimState.READY)),
        ("+CPIN: SIM PIN", Sim(SimState.PIN)),
        ("+CPIN: SIM PUK", Sim(SimState.PUK)),
        ("+CPIN: NOT INSERTED", Sim(SimState.MISSING)),
        ("+CPIN: PH-NET PIN", Sim(SimState.FAILED)),
        ("+CSQ: 31,99", Strength(-51)),
        ("+CSQ: 0,0", Strength(-113)),
        ("+CSQ: 99,99", Strength(None)),
        ("+CESQ: 99,99,255,255,20,56", Strength(-85)),
        ("+CESQ: 99,99,40,30,255,255", Strength(-81)),
        ("+CESQ: 30,0,255,255,255,255", Strength(-81)),
        ("+CESQ: 99,99,255,255,255,255", Strength(None)),
        ("+CESQ: 1,2", Other("+CESQ: 1,2")),
        ("+CGATT: 1", Attached(is_attached=True)),
        ("+CGACT: 1,0", Context(1, is_active=False)),
        ("+CGACT: 1", Other("+CGACT: 1")),
        ("+COPS: 0", Operator()),
        ('+COPS: 0,0,"O2, Telefonica",7', Operator("O2, Telefonica", "", Technology.LTE)),
        ('+COPS: 1,2,"26201",9', Operator("", "26201", Technology.NB_IOT)),
        ("001017000000016", Identity("number", "001017000000016")),
        ("+CCID: 8988211000000000005F", Identity("ICCID", "8988211000000000005")),
        ('+CGSN: "001017000000016"', Identity("IMEI", "001017000000016")),
        ("+CUSTOM: 1", Other("+CUSTOM: 1")),
    ],
)
def test_what_else_modems_say(line: str, found: object) -> None:
    assert parse_line(line) == found


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_no_line_stops_the_parser(line: str) -> None:
    parse_line(line)


names = st.sampled_from(
    ["CREG", "CEREG", "COPS", "CSQ", "CESQ", "CGATT", "CGACT", "CGCONTRDP", "CPIN", "CGSN", "CCID", "CME ERROR", "CGEV"]
)
fields = st.lists(st.one_of(st.integers(-1, 10**12).map(str), st.text('"0123456789.,;A', max_size=20)), max_size=9)


@given(names, fields)
def test_no_answer_of_another_form_stops_the_parser(name: str, given_fields: list[str]) -> None:
    parse_line(f"+{name}: {','.join(given_fields)}")


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_lines_come_out_the_same_however_bytes_are_cut_and_stay_bounded(parts: list[bytes]) -> None:
    whole, cut = LineReader(), LineReader()
    lines = whole.feed(b"".join(parts))
    assert lines == [line for part in parts for line in cut.feed(part)]
    assert whole.dropped == cut.dropped
    assert all(line and len(line) <= MAX_LINE_BYTES and line.isascii() and line.isprintable() for line in lines)


def test_a_line_without_an_end_is_dropped_and_the_next_one_is_read() -> None:
    reader = LineReader()
    assert reader.feed(b"A" * (5 * MAX_LINE_BYTES)) == []
    assert reader.feed(b"\r\nOK\r\n\xff\xfe\r\n") == ["OK"]
    assert reader.dropped == 2


@pytest.mark.parametrize("line", [" ", "1 ", "1, ", '1,"x" ', "1,x "])
def test_a_line_of_spaces_holds_up_nothing(line: str) -> None:
    """What is tried twice takes half a minute for a line of 1,000, and stops all of the device meanwhile."""
    spaces = " " * 20_000
    with pytest.raises(ValueError, match="x"):
        split_fields(line.replace(" ", spaces) + 'x"')
    assert split_fields(f"1,{spaces}x{spaces}, y z ") == ["1", "x", "y z"]
