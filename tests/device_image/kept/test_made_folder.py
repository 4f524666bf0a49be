# SPDX-License-Identifier: Apache-2.0
"""Folders that are made once are taken only as they were made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.device_image.kept.made_folder import digest_of_folder, is_as_made, made_folder


class Maker:
    """Fills a folder, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, folder: Path) -> None:
        assert [*folder.iterdir()] == [], "what was half done is gone"
        self.made += 1
        (folder / "package/empty").mkdir(parents=True)
        (folder / "package/module.py").write_text("a = 1\n")
        (folder / "program").write_text("a program\n")
        (folder / "program").chmod(0o755)
        (folder / "link").symlink_to("program")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "package/module.py").write_text("a = 2\n"),
    "one more": lambda folder: (folder / "package/other.py").touch(),
    "one more folder": lambda folder: (folder / "package/other").mkdir(),
    "one less": lambda folder: (folder / "package/module.py").unlink(),
    "one folder less": lambda folder: (folder / "package/empty").rmdir(),
    "another name": lambda folder: (folder / "package/module.py").rename(folder / "package/module2.py"),
    "a program": lambda folder: (folder / "package/module.py").chmod(0o755),
    "another link": lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("package")),
    "a file for a link": lambda folder: ((folder / "link").unlink(), (folder / "link").write_text("a program\n")),
    "gone": shutil.rmtree,
    "without a note, as older versions left it": lambda folder: folder.with_name("kept.sha256").unlink(),
    "with another note": lambda folder: folder.with_name("kept.sha256").write_text("0" * 64),
}


def test_what_was_made_is_taken_again(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "store/kept"
    for _ in range(2):
        assert made_folder(folder, make) == folder
        assert (folder / "package/module.py").read_text() == "a = 1\n"
    assert make.made == 1
    assert {each.name for each in folder.parent.iterdir()} == {"kept", "kept.sha256"}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_made_again(change: Callable[[Path], object], tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "kept"
    made_folder(folder, make)
    before = digest_of_folder(folder)
    change(folder)
    assert not is_as_made(folder)
    made_folder(folder, make)
    assert (make.made, digest_of_folder(folder), is_as_made(folder)) == (2, before, True)


def test_a_copy_is_as_it_was_made(tmp_path: Path) -> None:
    made_folder(tmp_path / "kept", Maker())
    shutil.copytree(tmp_path / "kept", tmp_path / "elsewhere/kept", symlinks=True)
    shutil.copy(tmp_path / "kept.sha256", tmp_path / "elsewhere")
    assert is_as_made(tmp_path / "elsewhere/kept")


def test_of_what_could_not_be_made_nothing_stays(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "kept"

    def fails(fresh: Path) -> None:
        make(fresh)
        raise OSError("no space left")

    (tmp_path / "kept.new").mkdir()
    (tmp_path / "kept.new/half").touch()  # of one that was killed
    with pytest.raises(OSError, match="no space left"):
        made_folder(folder, fails)
    assert [*tmp_path.iterdir()] == []
    made_folder(folder, make)
    assert is_as_made(folder)
