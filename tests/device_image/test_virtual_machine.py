# SPDX-License-Identifier: Apache-2.0
"""A machine's folder stands in QEMU's words: one that would end a word early is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.device_image.virtual_machine import MachineSettings, prepare
from armillary.errors import DataFolderError


def test_a_folder_that_would_be_another_option_of_qemu_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "machine,readonly=on"
    with pytest.raises(DataFolderError, match=r"machine,readonly=on: expected a folder without a comma"):
        prepare(MachineSettings(folder=folder, tpm=False))
    assert not folder.exists()
