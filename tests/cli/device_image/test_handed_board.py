# SPDX-License-Identifier: Apache-2.0
"""A board goes to a machine as a file that its host hands it, where it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.cli.device_image.handed_board import BOARD, FILE, board_words
from armillary.device.machine.wired_board import PLACES
from armillary.errors import InvalidArgumentError


def test_a_board_is_handed_where_the_machine_looks_for_it(tmp_path: Path) -> None:
    words = board_words(tmp_path / "machine", "x86_64", b"{}")
    assert words == ("-fw_cfg", f"name={BOARD},file={tmp_path / 'machine' / FILE}")
    assert (tmp_path / "machine" / FILE).read_bytes() == b"{}"
    assert PLACES[0].match(f"*/by_name/{BOARD}/raw")
    assert board_words(tmp_path, "x86_64", None) == ()


def test_a_machine_that_can_be_handed_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="imx8mp is none"):
        board_words(tmp_path, "imx8mp", b"{}")
