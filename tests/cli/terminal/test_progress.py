# SPDX-License-Identifier: Apache-2.0
"""What takes long says so on a terminal, in a line that is gone at the end; a script hears of waits with a limit alone."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from armillary.cli.terminal import progress
from armillary.cli.terminal.progress import arriving, counting, megabytes, waiting

WITHIN_S = 20.0


class Terminal(io.StringIO):
    """A terminal that says when something was written to it."""

    def __init__(self, *, tty: bool = True) -> None:
        super().__init__()
        self.written = threading.Event()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def write(self, text: str) -> int:
        count = super().write(text)
        self.written.set()
        return count


def terminal_of(monkeypatch: pytest.MonkeyPatch, *, silent_s: float) -> Terminal:
    """stderr from here on. Not a fixture: between a fixture and its test, pytest puts its own streams back."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr(progress, "SILENT_S", silent_s)
    return found


def cut_short(terminal: Terminal) -> None:
    """A wait that fails after a person has seen it."""
    with waiting("the service"):
        assert terminal.written.wait(WITHIN_S)
        raise OSError("cut")


def test_what_is_waited_for_is_told_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    with waiting("the service"):
        assert terminal.written.wait(WITHIN_S)
    assert "waiting for the service, 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_what_is_done_soon_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=60.0)
    with waiting("the service"):
        pass
    assert list(arriving([b"a", b"b"])) == [b"a", b"b"]
    assert terminal.getvalue() == ""


def test_what_arrives_is_counted_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    parts = [bytes(1_500_000), bytes(500_000)]
    assert list(arriving(parts)) == parts
    assert "\r\x1b[K1.5 MB received" in terminal.getvalue()
    assert "\r\x1b[K2.0 MB received" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_where_the_whole_is_known_the_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    parts = [bytes(1_500_000), bytes(500_000)]
    assert list(arriving(parts, total=2_000_000)) == parts
    assert "\r\x1b[K1.5 of 2.0 MB received (75 %), " in terminal.getvalue()
    assert "\r\x1b[K2.0 of 2.0 MB received (100 %), " in terminal.getvalue()
    with counting("devices", 3) as further:
        further(1)
        further(2)
    assert "\r\x1b[K1 of 3 devices (33 %)\r\x1b[K3 of 3 devices (100 %)\r\x1b[K" in terminal.getvalue()


def test_more_than_was_announced_is_no_more_than_all(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    for total in (1, 0):
        with counting("files", total) as further:
            further(2)
    assert terminal.getvalue().count("(100 %)") == 2


def test_the_parts_of_a_whole_have_no_line_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    before = threading.active_count()
    with megabytes("sent", 4_000_000) as further:
        list(arriving([bytes(1_000_000)], "sent", 1_000_000))
        with waiting("the service"):
            assert threading.active_count() == before
        assert terminal.getvalue() == ""
        further(1_000_000)
    assert "1.0 of 4.0 MB sent (25 %)" in terminal.getvalue()
    with waiting("the service"):  # and the next whole has one again
        assert threading.active_count() == before + 1


def test_the_line_is_taken_away_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch, silent_s=0.0)
    with pytest.raises(OSError, match="cut"):
        cut_short(terminal)
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_script_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_S", 0.0)
    stream = Terminal(tty=False)
    monkeypatch.setattr(sys, "stderr", stream)
    before = threading.active_count()
    with waiting("the service"):
        assert threading.active_count() == before
    assert list(arriving([b"a"])) == [b"a"]
    assert stream.getvalue() == ""


def test_a_script_is_told_once_of_a_wait_that_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_S", 0.0)
    stream = Terminal(tty=False)
    monkeypatch.setattr(sys, "stderr", stream)
    with waiting("the device", at_most_s=60.0):
        assert stream.written.wait(WITHIN_S)
    assert stream.getvalue() == "waiting for the device, at most 60 s\n"
