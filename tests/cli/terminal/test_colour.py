# SPDX-License-Identifier: Apache-2.0
"""States have colours on a terminal; a pipe, NO_COLOR and ``--no-color`` have none."""

from __future__ import annotations

import sys

import pytest
from tests.cli.conftest import exits

from armillary.cli.terminal.colour import ATTENTION, BAD, GOOD, STATES
from armillary.cli.terminal.output import print_error, record, table
from armillary.console.frame import states
from armillary.errors import InvalidArgumentError

ROWS = [{"name": "failed", "health": "attested"}, {"name": "b", "health": "silent"}, {"name": "c", "health": "odd"}]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the streams of this test are a terminal that knows colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    table(ROWS, ("name", "health"), empty="").print_text()
    record({"health": "refused", "note": "refused"}).print_text()
    print_error(InvalidArgumentError("m", remedy="r"))
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_states_are_coloured_and_other_words_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    assert printed(capsys).splitlines() == [
        "\x1b[1mname    health\x1b[0m",
        "failed  \x1b[32mattested\x1b[0m",
        "b       \x1b[33msilent\x1b[0m",
        "c       odd",
        "health  \x1b[31mrefused\x1b[0m",
        "note    refused",
        "\x1b[31merror:\x1b[0m m [request.invalid]",
        "",
        "\x1b[1mhint:\x1b[0m r",
    ]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_variable_takes_colours_away(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    assert "\x1b" not in printed(capsys)


def test_a_pipe_has_no_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in printed(capsys)


@pytest.mark.parametrize(
    "arguments", [("--no-color", "context", "use"), ("context", "show", "--no-color", "--nonsense")]
)
def test_the_option_stands_anywhere(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "")
    exits(2, *arguments)
    assert "\x1b" not in printed(capsys)
    assert "no-color" not in capsys.readouterr().err


@pytest.mark.parametrize("table_name", ["HEALTH", "STEP", "VERDICT", "APPLICATION", "SEVERITY"])
def test_the_command_line_and_the_console_agree(table_name: str) -> None:
    kinds = {GOOD: states.GOOD, ATTENTION: states.ATTENTION, BAD: states.BAD}
    shared = {word: drawn for word, drawn in getattr(states, table_name).items() if word in STATES}
    assert shared
    for word, drawn in shared.items():
        if word != "held":  # of a roll-out attention, of a device bad
            assert kinds[STATES[word]] == drawn.kind, word
