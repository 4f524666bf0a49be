# SPDX-License-Identifier: Apache-2.0
"""A root partition's content that an earlier build made: taken as it was made, never as somebody has changed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary.device_image import root_image
from armillary.device_image.root_image import RootImage, add_tree, placed, remember, remembered
from armillary.errors import HostError
from armillary.wire.device_image.command_line import VerifiedRoot


def kept(folder: Path) -> RootImage:
    (folder / "root.img").write_bytes(b"root" * 5000)
    image = RootImage(folder / "root.img", VerifiedRoot("ab" * 32, "cd" * 32, 4), {"python": 20_000})
    remember(image)
    return image


def test_what_was_kept_is_taken_as_it_is(tmp_path: Path) -> None:
    image = kept(tmp_path)
    assert remembered(image.file) == image


def test_what_was_changed_cut_or_is_without_its_description_is_not_taken(tmp_path: Path) -> None:
    image = kept(tmp_path)
    with image.file.open("r+b") as file:
        file.write(b"ROOT")
    assert remembered(image.file) is None
    kept(tmp_path).file.write_bytes(b"root")
    assert remembered(image.file) is None
    kept(tmp_path)
    about = json.loads((tmp_path / "root.json").read_bytes())
    del about["sha256"]
    (tmp_path / "root.json").write_text(json.dumps(about))
    assert remembered(image.file) is None, "of an older version, which did not look"
    (tmp_path / "root.json").unlink()
    assert remembered(image.file) is None


def test_the_image_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Also where an older version left a hard link to what is kept."""
    image = kept(tmp_path)
    (tmp_path / "image").mkdir()
    (tmp_path / "image/root.img").hardlink_to(image.file)
    own = placed(image, tmp_path / "image/root.img")
    assert (own.file, own.verified, own.sizes) == (tmp_path / "image/root.img", image.verified, image.sizes)
    own.file.write_bytes(b"somebody changes it")
    assert remembered(image.file) == image
    assert {each.name for each in own.file.parent.iterdir()} == {"root.img"}


def test_of_a_root_that_could_not_be_finished_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_words: object) -> bytes:
        assert (tmp_path / "root.img").stat().st_size == 4096
        raise HostError("veritysetup failed with 1: No space left on device", remedy="")

    monkeypatch.setattr(root_image, "run", full)
    with pytest.raises(HostError, match="No space left"):
        add_tree(bytes(4096), tmp_path / "root.img", salt="ab" * 32)
    assert [*tmp_path.iterdir()] == []
