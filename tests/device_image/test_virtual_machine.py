# SPDX-License-Identifier: Apache-2.0
"""What no machine can be made of is refused by name, before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.cli.device_image.handed_board import board_words
from armillary.device_image.virtual_machine import MachineSettings, prepare
from armillary.errors import DataFolderError


def test_a_folder_that_would_be_another_option_of_qemu_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "machine,readonly=on"
    with pytest.raises(DataFolderError, match=r"machine,readonly=on: expected a folder without a comma"):
        prepare(MachineSettings(folder=folder, tpm=False))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("has", "expected"), [((), "no machine here, and no image"), (("disk.img",), "another machine")]
)
def test_without_its_image_nothing_is_made(tmp_path: Path, has: tuple[str, ...], expected: str) -> None:
    image, folder = tmp_path / "image", tmp_path / "machine"
    image.mkdir()
    for name in has:
        (image / name).write_bytes(b"")
    with pytest.raises(DataFolderError, match=expected):
        prepare(MachineSettings(folder=folder, image=image))
    assert not folder.exists(), "not even a TPM"


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    for name in ("disk.img", "variables.fd"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataFolderError, match="file cannot be written"):
        prepare(MachineSettings(folder=file, image=tmp_path, tpm=False))
    with pytest.raises(DataFolderError, match="file cannot be written"):
        board_words(file, "x86_64", b"{}")
