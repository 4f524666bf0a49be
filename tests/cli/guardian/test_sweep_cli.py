# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian sweep``: counts beside the false decisions, and an exit code that says whether there were any."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import exits

from armillary import content
from armillary.cli.guardian import sweep
from armillary.guard.compiling import CompiledProfile, compile_profile
from armillary.wire.equipment.profile import Profile


def test_a_profile_is_swept_by_name_and_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes((content.folder("equipment") / "dispenser.yaml").read_bytes())
    exits(0, "guardian", "sweep", "cable", str(own), "--near")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("guard/cable: ")
    assert "0 false allows; 5 must be allowed, 0 false denials" in lines[0]
    assert "0 false allows; 112 must be allowed, 0 false denials" in lines[1]
    exits(0, "guardian", "sweep", "cable", "--near", "--json")
    (result,) = json.loads(capsys.readouterr().out)
    assert result["false_allows"] == result["false_denials"] == 0
    assert result["allowed"] >= result["must_be_allowed"] == 5


def test_a_guard_that_permits_more_is_shown_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wider(profile: Profile) -> CompiledProfile:
        compiled = compile_profile(profile)
        return replace(compiled, allow=replace(compiled.allow, unit=7))

    monkeypatch.setattr(sweep, "compile_profile", wider)
    exits(1, "guardian", "sweep", "cable", "--near")
    shown = capsys.readouterr().out
    assert "5 false denials" in shown
    assert "wrong: ModbusRequest(unit=7" in shown
