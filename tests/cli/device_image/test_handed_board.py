# SPDX-License-Identifier: Apache-2.0
"""A board goes to a machine as a file that its host hands it, where it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.cli.device_image.handed_board import BOARD, FILE, board_words
from armillary.cli.release.board_file import board_bytes
from armillary.device.machine.wired_board import PLACES
from armillary.device.state.layout import MACHINE_DISK
from armillary.device_image.virtual_machine import DISK
from armillary.errors import InvalidArgumentError, ManifestError


def test_a_board_is_handed_where_the_machine_looks_for_it(tmp_path: Path) -> None:
    words = board_words(tmp_path / "machine", "x86_64", b"{}")
    assert words == ("-fw_cfg", f"name={BOARD},file={tmp_path / 'machine' / FILE}")
    assert (tmp_path / "machine" / FILE).read_bytes() == b"{}"
    assert PLACES[0].match(f"*/by_name/{BOARD}/raw")
    assert board_words(tmp_path, "x86_64", None) == ()


def test_a_machine_that_can_be_handed_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="imx8mp is none"):
        board_words(tmp_path, "imx8mp", b"{}")


def test_what_is_no_board_is_told_of_the_page_of_boards(tmp_path: Path) -> None:
    (tmp_path / "board.json").write_bytes(b"{}")
    with pytest.raises(ManifestError, match=r"board\.json") as caught:
        board_bytes(str(tmp_path / "board.json"))
    assert "docs/reference/boards.md" in caught.value.remedy


def test_a_machine_is_told_by_its_disk() -> None:
    assert MACHINE_DISK == DISK
