# SPDX-License-Identifier: Apache-2.0
"""Commands for modems: no text from outside ends one early, and no secret is in what is shown of one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.modem import commands
from armillary.wire.modem.commands import Authentication


def test_commands_are_lines_of_27_007() -> None:
    assert commands.enter_pin("1234").line == b'AT+CPIN="1234"\r'
    assert commands.define_context("iot.example.com").line == b'AT+CGDCONT=1,"IP","iot.example.com"\r'
    assert commands.define_context("").line == b'AT+CGDCONT=1,"IP",""\r'
    assert commands.authenticate(Authentication.CHAP, "me", "secret").line == b'AT+CGAUTH=1,2,"me","secret"\r'
    assert commands.authenticate(Authentication.NONE, "", "").line == b"AT+CGAUTH=1,0\r"
    assert commands.choose_operator("26201").line == b'AT+COPS=1,2,"26201"\r'
    assert commands.choose_operator("") is commands.OPERATOR_AUTOMATIC


def test_no_secret_is_shown() -> None:
    for each in (commands.enter_pin("7391"), commands.authenticate(Authentication.PAP, "me", "7391")):
        assert "7391" in each.text
        assert "7391" not in repr(each)
        assert "7391" not in each.name


texts = st.text(st.characters(max_codepoint=0x17F), max_size=120)


@given(texts)
def test_nothing_ends_a_command_early(text: str) -> None:
    """What is taken is one line of ASCII with the quotes that the form has; what is refused names no secret."""
    for make, quotes in (
        (commands.enter_pin, 2),
        (commands.define_context, 4),
        (commands.choose_operator, 2),
        (lambda given: commands.authenticate(Authentication.PAP, "x", given), 4),
    ):
        try:
            line = make(text).line
        except InvalidArgumentError as error:
            assert make is not commands.enter_pin or len(text) < 4 or text not in error.message  # noqa: PT017
            continue
        assert line.count(b"\r") == 1
        assert b"\n" not in line
        assert line.count(b'"') in (0, quotes)


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", '12"4', "١٢٣٤"])
def test_what_is_no_pin_is_refused_without_repeating_it(pin: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        commands.check_pin(pin)
    assert not pin or pin not in f"{raised.value.message} {raised.value.remedy}"
