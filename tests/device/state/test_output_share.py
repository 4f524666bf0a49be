# SPDX-License-Identifier: Apache-2.0
"""What an application prints without end costs it its own lines, and the log none of the device's events."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.device.state import journal as journals, output_share
from armillary.device.state.journal import Journal, read_journal
from armillary.device.state.log_lines import newest_lines

LINE = "x" * 90


class Watch:
    """A clock that is set by hand."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


def kinds(folder: Path, *, but: str = "") -> list[object]:
    return [each["event"] for each in read_journal(folder) if each["event"] != but]


def test_the_devices_own_events_outlast_any_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_FILE_BYTES", 4000)
    log = Journal(tmp_path, Watch())
    for name in ("booted", "sandbox", "check-in"):
        log.write(name)
        for _ in range(100):
            log.write(journals.OUTPUT, name="chatty", stream="stdout", text=LINE)
    assert kinds(tmp_path, but="output") == ["booted", "sandbox", "check-in"]
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 4 * 4000
    assert Journal(tmp_path, Watch()).belongs_to("somebody")
    assert Journal(tmp_path, Watch()).belongs_to("somebody else")
    assert kinds(tmp_path) == []


def test_what_is_kept_of_events_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_FILE_BYTES", 2000)
    log = Journal(tmp_path, Watch())
    for number in range(500):
        log.write("check-in", number=number)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 4 * 2000
    kept = [int(str(each["number"])) for each in read_journal(tmp_path)]
    assert kept == list(range(500 - len(kept), 500))


def test_each_application_has_a_share_and_what_is_dropped_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_share, "LINES", 3)
    watch = Watch()
    log = Journal(tmp_path, watch)
    for _ in range(10):
        log.output("chatty", "stdout", LINE)
    log.output("quiet", "stdout", "hello")
    assert kinds(tmp_path) == [*["output"] * 3, "output-limited", "output"]
    watch.now += output_share.WINDOW_S
    log.output("chatty", "stdout", LINE)
    dropped, after = list(read_journal(tmp_path))[-2:]
    assert (dropped["event"], dropped["name"], dropped["lines"]) == ("output-dropped", "chatty", 7)
    assert after["event"] == "output"


def test_the_end_of_a_run_says_what_was_dropped_and_gives_no_new_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_share, "LINES", 1)
    log = Journal(tmp_path, Watch())
    for _ in range(2):
        for _ in range(3):
            log.output("chatty", "stdout", LINE)
        log.end_output("chatty")
    said = [each["lines"] for each in read_journal(tmp_path) if each["event"] == "output-dropped"]
    assert said == [2, 3]
    assert kinds(tmp_path).count("output") == 1


def test_long_lines_use_a_share_up_sooner(tmp_path: Path) -> None:
    log = Journal(tmp_path, Watch())
    for _ in range(200):
        log.output("chatty", "stdout", "ä" * 2000)
    assert kinds(tmp_path).count("output") == output_share.BYTES // (2 * journals.MAX_TEXT_CHARACTERS)


def test_no_output_fills_the_message_to_the_service(tmp_path: Path) -> None:
    log = Journal(tmp_path, Watch())
    log.write("booted")
    for _ in range(3000):
        log.write(journals.OUTPUT, name="chatty", stream="stdout", text=LINE)
    lines, left_out = newest_lines(log.entries())
    assert "booted" in lines[0]
    assert left_out == len(list(log.entries())) - len(lines) > 0
