# SPDX-License-Identifier: Apache-2.0
"""The file flash: what it writes, where, and that it syncs before it renames."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region
from armillary.errors import DataFolderError


def test_write_read_rename_remove(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "flash")
    assert flash.read("boot/kernel") is None
    flash.write("boot/kernel", b"one")
    flash.sync("boot/kernel")
    flash.write("boot/kernel", b"2")
    assert flash.read("boot/kernel") == b"2"
    flash.rename("boot/kernel", "old/kernel")
    assert flash.regions("") == ("old/kernel",)
    flash.remove("old/kernel")
    flash.remove("old/kernel")
    assert flash.regions("") == ()


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "flash")
    flash.write("a/b", b"x")
    assert stat.S_IMODE((tmp_path / "flash" / "a" / "b").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "flash").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../b", "A", "a//b", "a/b/c/d/e", ".hidden", "a b", "a\n"]
)
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    flash = FileFlash(tmp_path / "flash")
    for operation in (lambda: flash.read(name), lambda: flash.write(name, b""), lambda: flash.rename("a", name)):
        with pytest.raises(DataFolderError, match="lower-case words"):
            operation()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "flash")
    (tmp_path / "flash" / "trap").symlink_to(tmp_path / "outside")
    with pytest.raises(DataFolderError):
        flash.write("trap", b"x")
    assert not (tmp_path / "outside").exists()


def test_replace_syncs_the_new_bytes_and_names_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash = FileFlash(tmp_path / "flash")
    replace_region(flash, "device/state", b"old")
    calls: list[str] = []
    real_sync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        calls.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    def rename(self: Path, target: Any) -> Path:
        calls.append(f"rename {self.name}")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    replace_region(flash, "device/state", b"new")
    assert calls == ["sync state.new", "sync device", "sync flash", "rename state.new", "sync device"]
    assert flash.read("device/state") == b"new"


def test_a_full_or_readonly_disk_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataFolderError, match="file") as caught:
        FileFlash(tmp_path / "file" / "flash")
    assert "free space" in caught.value.remedy
