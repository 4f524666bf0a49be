# SPDX-License-Identifier: Apache-2.0
"""``armillary telemetry``: export, import in parts, retention; a file is whole or is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.cli.hub import telemetry
from armillary.engines.series.export import COLUMNS, time_text
from armillary.errors import ServiceUnreachableError

START = 1_795_532_400_000


@pytest.fixture
def file(service: RunningService, tmp_path: Path) -> Path:
    """An export's file of one device: texts with line breaks and quotation marks among numbers."""
    device = service.make_device().device_id
    lines = [",".join(COLUMNS)]
    lines += [f'{device},note,{time_text(START + n)},text,"a ""quoted""\r\nline {n}",' for n in range(40)]
    lines += [f"{device},t,{time_text(START + n)},number,{float(n)}," for n in range(40)]
    path = tmp_path / "in.csv"
    path.write_text("\r\n".join(lines) + "\r\n", newline="")
    return path


def test_what_is_imported_is_exported(
    armillary: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "IMPORT_PART_BYTES", 3000)  # in several parts
    for _ in range(2):
        done = armillary("telemetry", "import", "--file", str(file), "--json")
        assert (done.code, done.json) == (0, {"points": 80})
    device, out = file.read_text().split("\n")[1].partition(",")[0], tmp_path / "out.csv"
    done = armillary("telemetry", "export", "--device", device, "--output", str(out))
    assert done.code == 0, done.err
    assert out.read_bytes() == file.read_bytes()
    assert "bytes" in done.err
    span = ("--from", "2026-11-24T15:00:00Z", "--to", "2027-01-01")
    some = armillary("telemetry", "export", "-d", device, "-m", "t", *span, "-o", str(out))
    assert some.code == 0, some.err
    parquet = armillary("telemetry", "export", "-d", device, "--format", "parquet", "-o", str(out))
    assert parquet.code == 0, parquet.err
    assert out.read_bytes()[:4] == b"PAR1"
    assert not list(tmp_path.glob("*.part"))


def test_a_fault_names_the_file_and_the_part(armillary: Command, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n")
    refused = armillary("telemetry", "import", "-f", str(path))
    assert refused.code != 0
    assert "bad.csv: in the part that begins with line 1: line 1: expected 6 columns" in refused.err
    assert "cannot be read" in armillary("telemetry", "import", "-f", str(tmp_path / "none")).err


def test_exports_that_cannot_be(armillary: Command, tmp_path: Path) -> None:
    out = str(tmp_path / "x.csv")
    assert "either --device or --segment" in armillary("telemetry", "export", "-o", out).err
    assert "either --device or --segment" in armillary("telemetry", "export", "-d", "f" * 128, "-g", "b", "-o", out).err
    assert "there is no segment" in armillary("telemetry", "export", "-g", "nobody", "-o", out).err
    assert "--start" in armillary("telemetry", "export", "-g", "g", "--from", "soon", "-o", out).err
    assert not list(tmp_path.glob("x.csv*"))


def test_a_file_that_breaks_off_is_not_left_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ServiceUnreachableError("gone")

    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(ServiceUnreachableError):
        telemetry._write(broken(), tmp_path / "out.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "before"


def test_retention_from_the_command_line(armillary: Command, tmp_path: Path) -> None:
    rules = {"rules": [{"metric": "air.*", "raw_days": 30, "rollup_days": None}]}
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    assert "1 rule\n" in armillary("telemetry", "retention", "set", "--file", str(tmp_path / "rules.json")).err
    shown = armillary("telemetry", "retention", "show").out
    assert "air.*" in shown
    assert "for ever" in shown
    assert "(settings)" in shown
    (tmp_path / "rules.json").write_text('{"rules": []}')
    done = armillary("telemetry", "retention", "set", "--file", str(tmp_path / "rules.json"), "--json")
    assert done.json["rules"] == []
    assert armillary("telemetry", "retention", "show", "--json").json["rules"] == []
