# SPDX-License-Identifier: Apache-2.0
"""What devices wrote is shown by the terminal, never obeyed, and JSON stays JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from armillary.cli.catalog import catalog
from armillary.cli.device import events
from armillary.cli.terminal import output
from armillary.errors import ArmillaryError

HOSTILE = (
    "\x1b]0;owned\x07",  # sets the window's title
    "\x1b[2J\x1b[1;1Hdevice attested",  # clears the screen and writes over it
    "\x9b31m",  # the same in one byte of Latin-1
    "ok\r\nerror: everything is fine [x]",  # a line of its own
    "attested\u202edetcejer",  # reversed reading direction
    "\x7f\x08\x08\x08",
    "half \ud83d of a character",
    "a\u2028b",
)


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def lines_are_harmless(text: str, lines: int) -> bool:
    assert text.endswith("\n")
    found = text[:-1].split("\n")
    assert all(line.isprintable() for line in found), text
    text.encode("utf-8")
    return len(found) == lines


@pytest.mark.parametrize("hostile", HOSTILE)
def test_records_tables_notes_and_errors_are_inert(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.record({"name": hostile, "list": [hostile], "map": {"a": hostile}}).print_text()
    assert lines_are_harmless(shown(capsys), 3)
    output.table([{"name": hostile}], ("name",), empty="").print_text()
    assert lines_are_harmless(shown(capsys), 2)
    output.print_error(ArmillaryError(hostile, remedy=hostile, code=hostile))
    assert lines_are_harmless(shown(capsys), 3)
    output.note(hostile.replace("\n", ""))
    assert lines_are_harmless(shown(capsys), 1)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("show", [output.print_json, events.print_event])
def test_json_is_inert_and_says_the_same(
    show: Callable[[dict[str, object]], None], hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document: dict[str, object] = {hostile: [hostile, {"text": hostile}]}
    show(document)
    text = shown(capsys)
    assert lines_are_harmless(text, text.count("\n"))
    assert json.loads(text) == document


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_output_of_applications_is_inert(hostile: str) -> None:
    text = io.StringIO()
    entry = {"at": 0, "event": "application.output", "text": hostile, "parts": [hostile], "weaker": [hostile]}
    events.write_event(entry, text.write)
    assert lines_are_harmless(text.getvalue(), 2)


def test_people_s_text_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    output.record({"name": "Kaffeemaschine für Zoë, 東京"}).print_text()
    assert shown(capsys) == "name  Kaffeemaschine für Zoë, 東京\n"
    output.print_json({"name": "Zoë 東京"})
    assert shown(capsys) == '{\n  "name": "Zoë 東京"\n}\n'


def test_a_document_in_a_cell_is_json_and_still_inert(capsys: pytest.CaptureFixture[str]) -> None:
    output.record({"payload": {"closed": True, "name": "a\x1b[2J"}, "list": [None, {"a": 1}]}).print_text()
    assert capsys.readouterr().out == 'payload  {"closed": true, "name": "a\\u001b[2J"}\nlist     -, {"a": 1}\n'


@pytest.mark.parametrize("hostile", [*HOSTILE, "=1+1", " =cmd|'/c calc'!A1", "\n@SUM(A1)", "\t=1", "+1", "-1"])
def test_a_table_for_spreadsheets_holds_no_formula_and_no_escape(hostile: str) -> None:
    cell = str(catalog._spreadsheet_safe(hostile))
    assert cell.lstrip()[:1] not in ("=", "+", "-", "@")
    assert cell.replace("\n", "").isprintable()
    assert catalog._spreadsheet_safe(7) == 7
    assert catalog._spreadsheet_safe("AppCrash of Zoë") == "AppCrash of Zoë"
