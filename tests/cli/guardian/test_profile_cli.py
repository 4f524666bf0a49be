# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian profile``: checked, shown, signed, verified, with keys of one's own."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import exits
from tests.wire.equipment.profile_documents import changed, machine

from armillary import content

COFFEE = (content.folder("equipment") / "coffee.yaml").read_text("utf-8")


def printed(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> Any:
    """What a command prints with ``--json``."""
    capsys.readouterr()
    exits(code, "guardian", "profile", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "profiles.pem"
    printed(capsys, 0, "key", "new", "--output-file", str(path))
    return path


def test_shipped_profiles_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(capsys, 0, "check", "cable", "coffee", "dispenser")
    assert [row["profile"] for row in rows] == ["guard/cable", "guard/coffee", "guard/dispenser"]
    assert {row["error"] for row in rows} == {None}
    exits(0, "guardian", "profile", "check", "coffee")
    assert "good" in capsys.readouterr().out


def test_what_is_wrong_is_named_and_the_exit_code_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "coffee.yaml"
    broken.write_text(COFFEE.replace("unit: bar, quantity", "unit: baar, quantity"), "utf-8")
    rows = printed(capsys, 1, "check", "coffee", str(broken))
    error = rows[1]["error"]
    assert (error["rule"], error["place"]) == ("unit", "points.brewPressure.unit")
    assert error["line"] == next(n for n, line in enumerate(broken.read_text().splitlines(), 1) if "baar" in line)
    exits(1, "guardian", "profile", "check", str(broken))
    captured = capsys.readouterr()
    assert f"error: {broken} line {error['line']} points.brewPressure.unit (rule unit): expected" in captured.err
    assert "wrong: unit" in captured.out


def test_a_shipped_profile_has_two_names_and_a_json_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = printed(capsys, 0, "check", "guard/coffee")
    assert row["profile"] == "guard/coffee"
    for text in ("[" * 100_000, '{"version": Infinity}', '{"a": 1, "a": 2}'):
        broken = tmp_path / "machine.json"
        broken.write_text(text)
        exits(1, "guardian", "profile", "check", str(broken))
        assert f"error: {broken}" in capsys.readouterr().err


def test_a_plan_that_the_line_cannot_carry_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fast = tmp_path / "fast.yaml"
    fast.write_text(COFFEE.replace("fast: 0.5", "fast: 0.05"), "utf-8")
    (row,) = printed(capsys, 1, "check", str(fast))
    assert row["error"]["rule"] == "line"


def test_what_a_guardian_could_not_do_is_not_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: Path
) -> None:
    fast, signed = tmp_path / "fast.yaml", tmp_path / "fast.dsse"
    fast.write_text(COFFEE.replace("fast: 0.5", "fast: 0.05"), "utf-8")
    exits(1, "guardian", "profile", "sign", str(fast), "--key", str(key), "--output-file", str(signed))
    assert "rule line" in capsys.readouterr().err
    assert not signed.exists()


def test_a_profile_shows_what_is_read_and_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, 0, "show", "coffee")
    assert {key: found["reads"][0][key] for key in ("function", "first", "count")} == {
        "function": "read 4",
        "first": 0,
        "count": 12,
    }
    assert found["allowed"] == {"unit": 1, "reads": 15, "writes": 16}
    assert found["grants"] == {"allowed_connections": [], "uart": ["UART2"]}
    assert len(found["point_list"]) == found["points"]
    assert 0 < found["line_load"] < 0.5
    found = printed(capsys, 0, "show", "dispenser")
    assert found["allowed"] == {"frames_taken": 3, "frames_sent": 2}
    exits(0, "guardian", "profile", "show", "cable")
    captured = capsys.readouterr()
    assert "zone0_temperature to zone31_temperature" in captured.out
    assert "None: the equipment is read only." in captured.err


def test_a_profile_is_signed_verified_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    signed = tmp_path / "coffee.dsse"
    found = printed(capsys, 0, "sign", "coffee", "--key", str(key), "--output-file", str(signed))
    verified = printed(capsys, 0, "verify", str(signed), "--key", f"{key}.pub.pem")
    assert verified["key_id"] == found["key_id"]
    assert (verified["profile"], verified["version"]) == ("guard/coffee", 3)
    assert printed(capsys, 0, "show", str(signed)) == printed(capsys, 0, "show", "coffee")

    second = tmp_path / "second.pem"
    other = printed(capsys, 0, "key", "new", "--output-file", str(second), "--kind", "ed25519")
    exits(1, "guardian", "profile", "verify", str(signed), "--key", f"{second}.pub.pem")
    assert "wire.signature" in capsys.readouterr().err
    printed(capsys, 0, "sign", str(signed), "--key", str(second), "--output-file", str(signed))
    assert printed(capsys, 0, "verify", str(signed), "--key", f"{second}.pub.pem")["key_id"] == other["key_id"]
    assert printed(capsys, 0, "verify", str(signed), "--key", f"{key}.pub.pem")["key_id"] == found["key_id"]
    assert printed(capsys, 0, "key", "show", f"{second}.pub.pem")["key_id"] == other["key_id"]


def test_a_key_is_never_replaced(capsys: pytest.CaptureFixture[str], key: Path) -> None:
    before = key.read_bytes()
    exits(1, "guardian", "profile", "key", "new", "--output-file", str(key))
    assert "is there already" in capsys.readouterr().err
    assert key.read_bytes() == before


def test_what_breaks_a_rule_is_not_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: Path) -> None:
    file, out = tmp_path / "machine.json", tmp_path / "machine.dsse"
    file.write_text(json.dumps(changed(machine(), "points/level/writable", True)))
    exits(1, "guardian", "profile", "sign", str(file), "--key", str(key), "--output-file", str(out))
    assert "(rule unlisted-write)" in capsys.readouterr().err
    assert not out.exists()
    file.write_text(json.dumps(machine()))
    exits(0, "guardian", "profile", "sign", str(file), "--key", str(key), "--output-file", str(out))
    assert out.exists()


@pytest.mark.parametrize("name", ["missing.yaml", "tea"])
def test_a_file_that_is_not_there_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, "guardian", "profile", "show", name)
    assert name in capsys.readouterr().err
