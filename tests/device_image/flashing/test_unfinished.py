# SPDX-License-Identifier: Apache-2.0
"""What a killed flash leaves goes with the next one; what a running one has is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from armillary.device_image.flashing.unfinished import new_file, work_folder
from armillary.errors import ConflictError, HostError


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with new_file(tmp_path / "card") as descriptor:
        os.write(descriptor, b"content")
        assert not (tmp_path / "card").exists()
    assert (tmp_path / "card").read_bytes() == b"content"
    with pytest.raises(OSError, match="full"), new_file(tmp_path / "card"):
        raise OSError(28, "full")
    assert (tmp_path / "card").read_bytes() == b"content", "the earlier one stays"
    assert names(tmp_path) == {"card"}


def test_two_flashes_do_not_write_one_file(tmp_path: Path) -> None:
    with new_file(tmp_path / "card") as descriptor:
        with (
            pytest.raises(ConflictError, match="card: another flash that runs now has it"),
            new_file(tmp_path / "card"),
        ):
            pytest.fail("both write it")
        os.write(descriptor, b"the first")
    assert (tmp_path / "card").read_bytes() == b"the first"


def test_what_a_killed_flash_left_of_a_file_is_removed(tmp_path: Path) -> None:
    with new_file(tmp_path / "card"):
        (left,) = tmp_path.iterdir()
    left.write_bytes(b"half of it")
    with new_file(tmp_path / "card") as descriptor:
        os.write(descriptor, b"new")
    assert (tmp_path / "card").read_bytes() == b"new"
    assert names(tmp_path) == {"card"}


def test_a_file_that_another_puts_there_between_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two flashes that begin at one instant: the second finds nothing to remove, and then a file."""
    opened = os.open

    def slow(path: Path, flags: int, mode: int) -> int:
        if flags & os.O_EXCL:
            path.write_bytes(b"the other's")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", slow)
    with pytest.raises(ConflictError, match="another flash"), new_file(tmp_path / "card"):
        pytest.fail("it takes the other's file")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"the other's"]


def test_folders_of_killed_flashes_are_removed_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "armillary-flash-killed/content").mkdir(parents=True)
    (tmp_path / "armillary-flash-killed/content/enrolment.json").write_text("a token")
    (tmp_path / "others").mkdir()
    (tmp_path / "armillary-flash-link").symlink_to(tmp_path / "others")
    with work_folder(tmp_path) as first, work_folder(tmp_path) as second:
        assert names(tmp_path) == {first.name, second.name, "others", "armillary-flash-link"}
        assert first != second
    assert names(tmp_path) == {"others", "armillary-flash-link"}


def test_without_a_place_for_temporary_files_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"none: expected a folder .*No such file"), work_folder(tmp_path / "none"):
        pytest.fail("it has none")
