# SPDX-License-Identifier: Apache-2.0
"""Shipped content is valid, and the checker finds what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from armillary import content
from armillary.errors import NotFoundError
from armillary.sim.check import check


def test_shipped_content_is_valid(capsys: pytest.CaptureFixture[str]):
    assert check.main() == 0
    assert f"{len(content.chip_names())} chips" in capsys.readouterr().out


def test_unknown_chip_names_those_there_are():
    with pytest.raises(NotFoundError) as caught:
        content.chip_document("z80")
    assert "mt3620" in caught.value.remedy


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("boards", "chips", "equipment", "flash", "playbooks", "standards"):  # a chip names its usual flash
        shutil.copytree(str(content.folder(kind)), tmp_path / kind)
    monkeypatch.setattr(content, "folder", lambda kind: tmp_path / kind)
    return tmp_path


def test_copy_is_valid_without_applications(copied: Path):
    """Positive control of the tests below."""
    assert not (copied / "applications").exists()
    assert check.main() == 0


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "mt3620"', 'name = "mt3621"', "mt3620.toml: name"),
        ('sku = "MT3620AN"', "", "mt3620.toml: sku"),
        ('sku = "MT3620AN"', "sku = ", "mt3620.toml"),
        ('flash = "spi-nor"', 'flash = "paper"', "mt3620.toml: flash: expected one of"),
        ('flash = "spi-nor"', 'other_flash = ["paper"]', "got paper"),
    ],
)
def test_faulty_chip_is_reported(copied: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, fault: str):
    path = copied / "chips" / "mt3620.toml"
    path.write_text(path.read_text().replace(old, new))
    assert check.main() == 1
    assert fault in capsys.readouterr().err


def test_component_id_of_two_chips_is_reported(copied: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copy(copied / "chips" / "mt3620.toml", copied / "chips" / "other.toml")
    path = copied / "chips" / "other.toml"
    path.write_text(path.read_text().replace('name = "mt3620"', 'name = "other"'))
    assert check.main() == 1
    assert "belongs to mt3620/one-bl already" in capsys.readouterr().err


@pytest.mark.parametrize(("manifest", "fault"), [(None, "expected app_manifest.json"), ("{}", "SchemaVersion")])
def test_faulty_application_is_reported(
    copied: Path, capsys: pytest.CaptureFixture[str], manifest: str | None, fault: str
):
    folder = copied / "applications" / "blink"
    folder.mkdir(parents=True)
    if manifest is not None:
        (folder / "app_manifest.json").write_text(manifest)
    assert check.main() == 1
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"Name": "lan', '"Name": "wan', "boards/lan-enc28j60-isu0-int5.json: Name: expected lan-enc28j60-isu0-int5"),
        ("ISU0", "ISU9", "boards/lan-enc28j60-isu0-int5.json: Peripherals.SpiMaster: expected a peripheral"),
        ("mt3620", "esp32", "boards/lan-enc28j60-isu0-int5.json: no chip"),
    ],
)
def test_faulty_board_is_reported(
    copied: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, fault: str
) -> None:
    assert check.main() == 0
    file = copied / "boards" / "lan-enc28j60-isu0-int5.json"
    file.write_text(file.read_text().replace(old, new))
    assert check.main() == 1
    assert fault in capsys.readouterr().err
