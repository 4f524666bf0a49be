# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe``: a machine that nobody knows, from the first question to a draft that is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import exits
from tests.cli.guardian.machines import running

from armillary.content.equipment import load, read_text
from armillary.sim.equipment.machines import Play, begin
from armillary.wire.equipment.profile import ModbusAddress, Table

FAST = ("--rate", "1000", "--timeout", "0.05")


def printed(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> Any:
    capsys.readouterr()
    exits(code, "guardian", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_an_unknown_machine_is_found_and_its_draft_is_checked_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = tmp_path / "machine.yaml"
    life = begin("coffee", Play())
    with running(life, nameless=True) as where:
        place = f"127.0.0.1:{where['port']}"
        asked = ["probe", "tcp", place, "--units", "1-2", "--addresses", "0-111", *FAST, "--profile", str(draft)]
        found = printed(capsys, 0, *asked)
        (unit,) = found["units"]
        assert (unit["unit"], unit["identification"]["product_code"]) == (1, "SIMULATED")
        answering = {
            (table["table"], span["first"] + index)
            for table in unit["tables"]
            for span in table["answers"]
            for index in range(len(span["values"]))
        }
        wanted = {(each.address.table, each.address.address) for each in load("coffee").points}  # type: ignore[union-attr]
        assert wanted <= answering
        profile = read_text(draft.read_bytes(), "draft")
        assert {each.address for each in profile.points} >= {ModbusAddress(Table.INPUT, 0)}
        assert printed(capsys, 0, "profile", "check", str(draft))[0]["error"] is None
        read = printed(capsys, 0, "test", str(draft), "--link", f"port={where['port']}")
        assert (read["simulated"], read["good"]) == (False, len(profile.points))
    assert draft.read_text().count("# held") == len(profile.points)


def test_a_serial_line_is_tried_by_its_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    with running(begin("coffee", Play()), line=True) as where:
        asked = ["probe", "rtu", where["port"], "--units", "1", "--baud", "9600,19200", "--parity", "N"]
        found = printed(capsys, 0, *asked, "--addresses", "0-15", *FAST)
    assert found["link"]["baud"] == 9600  # A pseudo terminal has no speed: the first is right
    assert [each["unit"] for each in found["units"]] == [1]


def test_people_see_ranges_and_that_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    with running(begin("cable", Play())) as where:
        exits(
            0, "guardian", "probe", "tcp", f"127.0.0.1:{where['port']}", "--units", "1", "--addresses", "120-207", *FAST
        )
    captured = capsys.readouterr()
    assert "120-127, 200-206" in captured.out
    assert "vendor" in captured.out
    assert "none of them wrote" in captured.err


def test_a_draft_is_of_one_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(begin("cable", Play())) as where:
        place, draft = f"127.0.0.1:{where['port']}", tmp_path / "draft.yaml"
        exits(1, "guardian", "probe", "tcp", place, "--units", "2", *FAST, "--profile", str(draft))
    assert "0 units answer" in capsys.readouterr().err
    assert not draft.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tcp", "127.0.0.1:x"], "port"),
        (["tcp", "127.0.0.1", "--units", "0"], "units"),
        (["tcp", "127.0.0.1", "--units", "5-3"], "units"),
        (["tcp", "127.0.0.1", "--units", "1-248"], "units"),
        (["tcp", "127.0.0.1", "--addresses", "0-65536"], "addresses"),
        (["rtu", "/dev/null", "--baud", "fast"], "baud"),
        (["rtu", "/dev/null", "--parity", "M"], "parity"),
        (["rtu", "/nowhere"], "/nowhere"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, "guardian", "probe", *arguments)
    assert named in capsys.readouterr().err
