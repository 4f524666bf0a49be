# SPDX-License-Identifier: Apache-2.0
"""The board that a machine is told: what its peripherals are (``capability/board.py``, docs/reference/boards.md).

It is read from the first place that has one: what a virtual machine is given by its host (QEMU's ``-fw_cfg
name=opt/armillary/board``), or ``board.json`` on the data partition. A device without its board is still a device: what
is wrong with one is said, and costs its applications the peripherals, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from armillary.capability.board import LIMIT_BYTES, Board, board_platform, parse
from armillary.capability.grant import platform_limits
from armillary.device.boot.startup import chip_profile
from armillary.engines.real_time.selection import with_cores_beside
from armillary.errors import ManifestError

PLACES: Final = (
    Path("/sys/firmware/qemu_fw_cfg/by_name/opt/armillary/board/raw"),
    Path("/data/board.json"),
)
SERIAL_PORT: Final = "Uart"
_NAMED: Final = 3  # peripherals that a sentence names


class WiredBoard(NamedTuple):
    """The board, None for none, and what is wrong with it, in one sentence; empty if nothing is."""

    board: Board | None
    fault: str


def wired_board(chip: str, places: Iterable[Path] = PLACES, root: Path = Path("/")) -> WiredBoard:
    """The board of a machine of this chip; ``root`` is where its nodes are looked for."""
    for place in places:
        try:
            with place.open("rb") as file:
                data = file.read(LIMIT_BYTES + 1)
        except OSError:
            continue
        try:
            board = parse(data)
            board_platform(with_cores_beside(platform_limits(chip_profile(chip))), board)
        except ManifestError as error:
            return WiredBoard(
                None, f"the board of {place} is not used, no application gets a peripheral: {error.message}"
            )
        return WiredBoard(board, _missing(board, root))
    return WiredBoard(None, "")


def serial_ports_of(board: Board, root: Path = Path("/")) -> Mapping[str, Path]:
    """The nodes of its serial ports; one that is another thing would refuse the start, and is left out."""
    nodes = {name: root / node.lstrip("/") for name, node in board.serial_ports.items()}
    return {name: node for name, node in nodes.items() if not node.exists() or _is_terminal(node)}


def _missing(board: Board, root: Path) -> str:
    """Which of its peripherals this kernel has not."""
    missing = []
    for each, wired in sorted(board.wired.items(), key=lambda one: (one[0].kind, one[0].name)):
        for node in wired.nodes:
            place = root / node.lstrip("/")
            if not place.exists():
                missing.append(f"{each.kind} {each.name} ({node})")
            elif each.kind == SERIAL_PORT and not _is_terminal(place):
                missing.append(f"{each.kind} {each.name} ({node}, which is no serial port)")
    if not missing:
        return ""
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return (
        f"the board {board.name} names what this kernel does not have: {', '.join(missing[:_NAMED])}{more}; "
        "applications that use it get ENODEV"
    )


def _is_terminal(node: Path) -> bool:
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)
