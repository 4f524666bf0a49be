# SPDX-License-Identifier: Apache-2.0
"""Shells of a development image: one at each serial port that there is, started again when somebody leaves it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from armillary.device.machine import development, first
from armillary.device.machine.development import Shells


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ports at which a shell was started; their processes are called 101, 102, ..."""
    ports: list[str] = []

    def spawn(program: str, words: list[str], _environment: dict[str, str], *, file_actions: list[Any]) -> int:
        assert (program, words) == ("/usr/bin/setsid", ["setsid", "-c", "sh"])
        assert file_actions[0][3] == os.O_RDWR
        ports.append(file_actions[0][2])
        return 100 + len(ports)

    monkeypatch.setattr(os, "posix_spawn", spawn)
    monkeypatch.setattr(development, "_is_terminal", lambda port: port.startswith("/dev/ttyS"))
    return ports


def test_each_port_that_there_is_gets_one_and_one_that_was_left_is_started_again(
    started: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(development.time, "monotonic", lambda: now)
    shells = Shells()
    shells.start()
    assert started == ["/dev/ttyS0", "/dev/ttyS1"]
    assert "this is a DEVELOPMENT image" in capsys.readouterr().out
    now = 200.0
    shells.ended(999)  # somebody else's
    shells.ended(102)
    assert started[2:] == ["/dev/ttyS1"]
    shells.ended(103)  # at once: it had nothing to read from
    assert started[3:] == []


def test_a_port_that_is_only_a_node_is_none() -> None:
    assert not development._is_terminal("/dev/null")
    assert not development._is_terminal("/dev/none")
    leader, follower = os.openpty()
    try:
        assert development._is_terminal(os.ttyname(follower))
    finally:
        os.close(leader)
        os.close(follower)


def test_a_program_that_is_not_there_is_said(
    started: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_given: object, **_named: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    Shells().start()
    assert "no shell at /dev/ttyS0: No such file or directory" in capsys.readouterr().out
    assert started == []


def test_only_the_marked_command_line_gets_shells() -> None:
    for words in ({}, {"armillary.development": ""}, {"armillary.development": "0"}, {"armillary.root": "x"}):
        assert first.shells_of(words) is None
    assert first.shells_of({"armillary.development": "1"}) is not None
