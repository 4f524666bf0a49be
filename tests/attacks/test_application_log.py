# SPDX-License-Identifier: Apache-2.0
"""Attack: what an application prints, made to look like lines of its device, or to be obeyed by a terminal."""

from __future__ import annotations

from pathlib import Path

from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Outcome, Stage

from armillary.cli.device.events import write_event
from armillary.device.state.journal import MAX_TEXT_CHARACTERS, Journal, read_journal
from armillary.device.state.log_lines import newest_lines
from armillary.engines.sandbox.port import OutputLine, Sandbox

__all__ = ["sandbox", "stage"]

FAKE_ENTRY = '{"at": 1, "event": "boot", "trusted": true}'
FAKE_LINE = "2030-01-01 00:00:00  update-installed  name=all"
HOSTILE = rf"""
import sys
say = lambda data: (sys.stdout.buffer.write(data + b"\n"), sys.stdout.buffer.flush())
say(b'{FAKE_ENTRY}')
say(b'x"}}\r{FAKE_ENTRY}')
say("x\u2028{FAKE_LINE}\u2029\x85{FAKE_LINE}\x0b\x0c\x1c\x1d\x1e{FAKE_LINE}".encode())
say(b"\x1b[2J\x1b[1A\x1b]0;title\x07\x1b]8;;http://x\x1b\\")
say("\x9b2J\u202egnihtyreve\u2066\u200b\ufeff".encode())
say(b"\0\x08\x7f\xff\xfe\xed\xa0\x80")
say(b"a" * 200_000)
"""


def journal_of(outcome: Outcome, folder: Path) -> Path:
    """The log of a device that heard these lines, as its supervisor writes them."""
    journal = Journal(folder, lambda: 1_900_000_000)
    for event in outcome.events:
        if isinstance(event, OutputLine):
            journal.write("output", name="app", stream=event.stream, text=event.text)
    return folder


def test_a_line_of_an_application_stays_one_line_of_output(stage: Stage, sandbox: Sandbox, tmp_path: Path) -> None:
    outcome = stage.run(sandbox, HOSTILE)
    said = outcome.lines
    assert len(said) > 7, outcome.errors
    assert any("\x1b[2J" in each for each in said)  # the control: it is what a terminal would obey
    assert any(FAKE_LINE in "\n".join(each.splitlines()[1:]) for each in said)  # and a line of its own
    folder = journal_of(outcome, tmp_path / "log")
    kept = (folder / "device.jsonl").read_bytes()
    assert len(kept.splitlines()) <= len(said)
    assert not any(byte < 0x20 and byte != 0x0A for byte in kept)
    entries = list(read_journal(folder))
    assert {each["event"] for each in entries} == {"output"}
    assert max(len(str(each["text"])) for each in entries) <= MAX_TEXT_CHARACTERS + 1
    for shown in (printed(entries), list(newest_lines(entries)[0])):
        assert len(shown) == len(entries)
        assert all("  output  name=app" in line[: len(FAKE_LINE)] for line in shown)


def printed(entries: list[dict[str, object]]) -> list[str]:
    """The lines that ``armillary device log`` prints, and no other character that a terminal obeys."""
    parts: list[str] = []
    for entry in entries:
        write_event(entry, lambda text: parts.append(text) or len(text))
    text = "".join(parts)
    assert all(each.isprintable() or each == "\n" for each in text)
    return text.splitlines()


def test_control_what_is_not_escaped_is_an_entry_of_the_device(tmp_path: Path) -> None:
    (tmp_path / "device.jsonl").write_text('{"at": 2, "event": "output", "text": "x"}\n' + FAKE_ENTRY + "\n")
    assert [each["event"] for each in read_journal(tmp_path)] == ["output", "boot"]
