# SPDX-License-Identifier: Apache-2.0
"""What an application prints without end costs it its own lines, and the log none of the device's events."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.device.interface.asking import Client
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.state import journal as journals, output_share
from armillary.device.state.journal import Journal, read_journal
from armillary.device.state.log_lines import newest_lines
from armillary.engines.sandbox.port import OutputLine

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


@pytest.mark.parametrize(
    ("text", "kept"), [("x", output_share.LINES), ("x" * 1000, 65), ("x" * 2000, 64)], ids=["lines", "bytes", "long"]
)
def test_an_application_has_600_lines_and_64_kib_a_minute(tmp_path: Path, text: str, kept: int) -> None:
    assert output_share.LINES == 600
    log = Journal(tmp_path, Watch())
    for _ in range(700):
        log.output("chatty", "stdout", text)
    assert kinds(tmp_path).count("output") == kept


@pytest.mark.anyio
async def test_what_an_application_prints_and_has_written_has_one_share(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole device: each application by itself, whichever way its lines come."""
    monkeypatch.setattr(output_share, "LINES", 3)
    rig.service.deploy(rig.service.application(component=1), rig.service.application(component=2))
    await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "both run")
    client = Client(rig.sandbox.runs[0].launch.interface)
    prints, other_prints = rig.sandbox.events[:2]
    assert await client.ask("log.write", text="pump on\nagain", level="warning") == {}
    for number in range(3):
        prints(OutputLine("stdout", str(number), 0.0))
    assert await client.ask("log.write", text="too much") == {}
    other_prints(OutputLine("stdout", "quiet", 0.0))
    chatty, quiet = (run.launch.manifest.name for run in rig.sandbox.runs[:2])
    said = [(each["name"], each["stream"], each["text"]) for each in rig.events("output")]
    assert said == [
        (chatty, "log", "pump on\nagain"),
        (chatty, "stdout", "0"),
        (chatty, "stdout", "1"),
        (quiet, "stdout", "quiet"),
    ]
    assert [each["name"] for each in rig.events("output-limited")] == [chatty]
    client.close()


@pytest.mark.anyio
async def test_the_log_that_the_service_gets_has_the_events_before_any_output(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_share, "LINES", 10**6)  # as several minutes, or several applications, would
    monkeypatch.setattr(output_share, "BYTES", 10**9)
    rig.service.deploy(rig.service.application())
    device = await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "it runs")
    for _ in range(3000):
        rig.sandbox.events[-1](OutputLine("stdout", LINE, 0.0))
    rig.service.log_request = uuid.UUID(int=5)
    device.check_in_now()
    await until(lambda: rig.service.logs_taken, "the service has the log")
    [log] = rig.service.logs_taken
    assert any("  booted  " in line for line in log.lines)
    assert sum("  output  " in line for line in log.lines) > 100
    assert log.left_out > 0
