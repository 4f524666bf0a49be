# SPDX-License-Identifier: Apache-2.0
"""``armillary hardware-definition``: headers beside their definitions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import exits

HEADERS = "hardware-definition"
METADATA = {"Type": "Azure Sphere Hardware Definition", "Version": 1}


@pytest.fixture
def board(tmp_path: Path) -> Path:
    (tmp_path / "sdk").mkdir()
    chip = [{"Name": "C8", "Type": "Gpio", "MainCoreHeaderValue": "(8)", "AppManifestValue": 8}]
    (tmp_path / "sdk" / "chip.json").write_text(json.dumps({"Metadata": METADATA, "Peripherals": chip}))
    led = [{"Name": "LED", "Type": "Gpio", "Mapping": "C8", "Comment": "red"}]
    document = {"Metadata": METADATA, "Imports": [{"Path": "chip.json"}], "Peripherals": led}
    (tmp_path / "board.json").write_text(json.dumps(document))
    return tmp_path / "board.json"


def test_generated_header_passes_and_a_changed_one_fails(board: Path, capsys: pytest.CaptureFixture[str]):
    exits(0, HEADERS, "generate-header", "--hardware-definition-file", str(board), "--json")
    header = board.parent / "inc" / "hw" / "board.h"
    assert json.loads(capsys.readouterr().out) == {"header": str(header), "peripherals": 1}
    assert "#define LED C8" in header.read_text()
    exits(0, HEADERS, "test-header", "--hardware-definition-file", str(board))
    header.write_text(header.read_text().replace("C8", "C9"))
    exits(1, HEADERS, "test-header", "--hardware-definition-file", str(board))
    assert "expected #define LED C8, got #define LED C9" in capsys.readouterr().err


def test_output_can_be_named(board: Path):
    target = board.parent / "elsewhere" / "my.h"
    exits(0, HEADERS, "generate-header", "--hardware-definition-file", str(board), "--output", str(target))
    assert target.exists()


def test_search_follows_imports(board: Path, capsys: pytest.CaptureFixture[str]):
    sdk = str(board.parent / "sdk")
    exits(0, HEADERS, "generate-header", "--hardware-definition-file", str(board), "--search", sdk)
    board.write_text(board.read_text().replace('"C8"', '"C7"'))
    exits(0, HEADERS, "generate-header", "--hardware-definition-file", str(board))
    exits(1, HEADERS, "generate-header", "--hardware-definition-file", str(board), "--search", sdk)
    assert "LED -> C7" in capsys.readouterr().err
    nothing = str(board.parent / "nothing")
    exits(1, HEADERS, "generate-header", "--hardware-definition-file", str(board), "--search", nothing)
    assert "got nothing" in capsys.readouterr().err


def test_missing_files_are_named(board: Path, capsys: pytest.CaptureFixture[str]):
    exits(1, HEADERS, "test-header", "--hardware-definition-file", str(board))
    assert "board.h: expected a readable file" in capsys.readouterr().err
    exits(1, HEADERS, "test-header", "--hardware-definition-file", str(board.parent / "nothing.json"))
    assert "nothing.json" in capsys.readouterr().err
    exits(2, HEADERS, "generate-header")
