# SPDX-License-Identifier: Apache-2.0
"""Hands a machine in QEMU the board that it is told: which peripherals it has, by whichever nodes of its own kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.engines.durable import not_writable, write_file
from armillary.errors import InvalidArgumentError

# Where the machine looks for it (device/machine/wired_board.py), and the file in its folder on this host.
BOARD: Final = "opt/armillary/board"
FILE: Final = "board.json"


def board_words(folder: Path, machine: str, board: bytes | None) -> tuple[str, ...]:
    """QEMU's words by which a machine gets a board's file; none without one.

    Raises:
        InvalidArgumentError: the machine can be handed no file.
        DataFolderError: the folder cannot be written.
    """
    if board is None:
        return ()
    if not HARDWARE[machine].has_fw_cfg:
        raise InvalidArgumentError(
            f"--board: expected a machine that its host can hand a file, {machine} is none",
            remedy="Put the board onto its data partition, as board.json.",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error
    write_file(folder / FILE, board, mode=0o600)
    return ("-fw_cfg", f"name={BOARD},file={folder / FILE}")
