# SPDX-License-Identifier: Apache-2.0
"""The data folder: made whole or begun again, one holder, no other version, nothing half done."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.engines.durable import write_file
from armillary.engines.records import folder as folder_module
from armillary.engines.records.folder import DataFolder
from armillary.errors import DataFolderError, DataFolderInUseError


def make(path: Path) -> None:
    with DataFolder.open(path) as made:
        assert made.fresh
        made.database.write_bytes(b"")
        made.finish()
        assert not made.fresh


def listing(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_new_folder_is_private_and_complete_only_when_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "keys").stat().st_mode) == 0o700
    assert (path / "format").read_text("utf-8") == "armillary-data 1\n"
    with DataFolder.open(path) as again:
        assert not again.fresh


def test_a_second_holder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    make(tmp_path / "data")
    code = f"from pathlib import Path; from armillary.engines.records.folder import DataFolder; DataFolder.open(Path({str(tmp_path / 'data')!r}))"
    with DataFolder.open(tmp_path / "data"):
        with pytest.raises(DataFolderInUseError, match=str(os.getpid())):
            DataFolder.open(tmp_path / "data")
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "DataFolderInUseError" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_interrupted_first_start_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "data"
    half = DataFolder.open(path)
    half.database.write_bytes(b"half")
    (path / "keys" / "root.pem").write_bytes(b"half")
    half.close()
    with DataFolder.open(path) as again:
        assert again.fresh
        assert not again.database.exists()
        assert list((path / "keys").iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine", "utf-8")
    with pytest.raises(DataFolderError) as refused:
        DataFolder.open(tmp_path)
    assert refused.value.remedy
    assert "thesis.tex" in refused.value.message
    assert listing(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize("content", ["armillary-data 2\n", "something else\n", ""])
def test_another_version_is_refused_and_nothing_changes(tmp_path: Path, content: str) -> None:
    make(tmp_path / "data")
    (tmp_path / "data" / "format").write_text(content, "utf-8")
    before = listing(tmp_path / "data")
    with pytest.raises(DataFolderError) as refused:
        DataFolder.open(tmp_path / "data")
    assert refused.value.remedy
    assert listing(tmp_path / "data") == before


@pytest.mark.parametrize("name", ["records.db", "keys", "blobs"])
def test_a_folder_that_lost_something_is_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path / "data")
    lost = tmp_path / "data" / name
    if lost.is_dir():
        lost.rmdir()
    else:
        lost.unlink()
    with pytest.raises(DataFolderError, match=name):
        DataFolder.open(tmp_path / "data")
    if name != "records.db":
        lost.write_bytes(b"no folder")
        with pytest.raises(DataFolderError, match=name):
            DataFolder.open(tmp_path / "data")


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataFolderError) as refused:
        DataFolder.open(tmp_path / "file" / "data")
    assert refused.value.remedy


def test_a_full_disk_in_the_middle_leaves_no_format_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = DataFolder.open(tmp_path / "data")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module.os, "fsync", full)
    with pytest.raises(DataFolderError, match="No space left"):
        opened.finish()
    monkeypatch.undo()
    assert not (tmp_path / "data" / "format").exists()
    opened.close()
    with DataFolder.open(tmp_path / "data") as again:
        assert again.fresh


def test_files_are_replaced_whole_with_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_file(path, b"one", mode=0o600)
    write_file(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert listing(tmp_path) == {"key"}
