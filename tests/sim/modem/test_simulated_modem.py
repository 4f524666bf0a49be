# SPDX-License-Identifier: Apache-2.0
"""The simulated modem: it says what it is, answers as 27.007 has it, follows its script, and nothing stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.radio import Radio
from armillary.sim.modem.script import ScriptStep, parse_script, read_script


def asked(modem: SimulatedModem, *commands: str) -> list[str]:
    """Lines of the answers to commands, without echoes."""
    modem.receive(b"ATE0\r")
    return [line for each in commands for line in modem.receive(f"{each}\r".encode()).decode().split("\r\n") if line]


def test_it_says_that_it_is_simulated() -> None:
    found = asked(SimulatedModem(), "AT+CGMI", "AT+CGMM", "ATI", "AT+COPS?")
    assert found[:4] == ["Armillary", "OK", "simulated modem", "OK"]
    assert "Model: simulated modem" in found
    assert '+COPS: 0,0,"Armillary simulated",7' in found


def test_a_line_may_have_several_commands_and_the_first_that_fails_ends_it() -> None:
    modem = SimulatedModem()
    assert asked(modem, 'AT+CMEE=1;+CGDCONT=1,"IP","a;b";+CGDCONT?') == ['+CGDCONT: 1,"IP","a;b","",0,0', "OK"]
    assert asked(modem, "at+csq;+nothing;+csq") == ["+CSQ: 14,99", "+CME ERROR: 4"]


def test_three_wrong_pins_block_the_sim_and_no_puk_helps() -> None:
    modem = SimulatedModem(Radio(pin="1234"))
    wrong = ['AT+CPIN="0000"'] * 3
    assert asked(modem, "AT+CMEE=2", *wrong, "AT+CPIN?") == [
        "OK",
        "+CME ERROR: incorrect password",
        "+CME ERROR: incorrect password",
        "+CME ERROR: SIM PUK required",
        "+CPIN: SIM PUK",
        "OK",
    ]
    assert asked(modem, 'AT+CPIN="12345678","1234"', "AT+CIMI") == [
        "+CME ERROR: incorrect password",
        "+CME ERROR: SIM PUK required",
    ]


def test_its_session_follows_the_network_and_is_told() -> None:
    told: list[bool] = []
    modem = SimulatedModem(session_changed=told.append)
    asked(modem, "AT+CGEREP=2,1", "AT+CEREG=2", 'AT+CGDCONT=1,"IP",""', "AT+CGACT=1,1")
    assert modem.drop_session() == b"\r\nNO CARRIER\r\n\r\n+CGEV: NW PDN DEACT 1\r\n"
    asked(modem, "AT+CGACT=1,1")
    assert modem.change(registration="searching") == b"\r\n+CEREG: 2\r\n"
    assert asked(modem, "AT+CGACT=1,1") == ["ERROR"]
    assert told == [True, False, True, False]
    assert modem.change(registration="roaming") == b'\r\n+CEREG: 5,"0001","00000001",7\r\n'


@given(st.lists(st.one_of(st.binary(max_size=60), st.from_regex(rb"AT\+[A-Z]{3,9}[=?0-9\",]{0,20}\r")), max_size=12))
def test_nothing_that_comes_stops_it(parts: list[bytes]) -> None:
    modem = SimulatedModem()
    for part in parts:
        modem.receive(part)
    modem.restart()
    assert modem.receive(b"AT\r") == b"AT\r\r\nOK\r\n"


def test_a_script_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text("[[step]]\nafter_s = 9\nevent = 'detach'\n[[step]]\nafter_s = 2\nsignal_dbm = -100\nslow_s = 1\n")
    assert read_script(path) == (ScriptStep(2.0, {"signal_dbm": -100, "slow_s": 1}), ScriptStep(9.0, {}, "detach"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("step = 1", "step"),
        ("[[step]]\nsignal_dbm = 1", "step 1: after_s"),
        ("[[step]]\nafter_s = -1", "step 1: after_s"),
        ("[[step]]\nafter_s = 1\n[[step]]\nafter_s = 2\ncolour = 1", "step 2"),
        ("[[step]]\nafter_s = 1\nsignal_dbm = 'x'", "signal_dbm as int"),
        ("[[step]]\nafter_s = 1\nregistration = 'lost'", "registration"),
        ("[[step]]\nafter_s = 1\nevent = 'explode'", "event"),
        ("[other]\n", "other"),
        ("nonsense", "TOML"),
    ],
)
def test_a_script_that_is_none_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        parse_script(text.encode())
