# SPDX-License-Identifier: Apache-2.0
"""The file that the ROM of an i.MX 8M Plus starts (``flash.bin``), looked at before it is put onto a disk.

::

    0         header of the first loader's image (IVT): d1, u16 big-endian length 32, version 40 or 41; then SPL and
              the firmware that trains the memory
    0x58000   a FIT: Trusted Firmware-A, U-Boot and its device tree, which SPL loads

The memory training is NXP's and has NXP's licence: whoever flashes makes the file. A wrong U-Boot in it is what
nothing on the board would tell of: another build's has another key, and one without a key in its tree starts any slot
at all. So it has to be this image's.

Specification: i.MX 8M Plus reference manual, chapter on system boot; U-Boot, ``doc/usage/fit/source_file_format.rst``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from armillary.device_image.flashing.boards import Board
from armillary.device_image.flashing.image_disk import Piece
from armillary.device_image.uboot.image import PROGRAM
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.device_image.flattened_tree import properties_of
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import Layout

# A loader has a megabyte and a half; more than there is room for is another file.
MAX_BYTES: Final = 16 << 20
FIT_AT: Final = 0x58000
_HEADERS: Final = (b"\xd1\x00\x20\x40", b"\xd1\x00\x20\x41")
_WORD_BYTES: Final = 4


def loader_piece(loader: bytes, board: Board, image: Path, layout: Layout) -> Piece:
    """A loader at its place on a board's disk; ``image`` is the folder of the built image.

    Raises:
        InvalidArgumentError: the board has its firmware elsewhere, the file is no loader of this processor, is too long
            for the place before the first partition, or has another U-Boot than the image's.
    """
    place = board.loader
    if place is None:
        raise InvalidArgumentError(
            "--loader: this board has its firmware on the board, not on the disk", remedy="Leave it out."
        )
    if loader[:_WORD_BYTES] not in _HEADERS:
        raise InvalidArgumentError(
            f"--loader: expected the file that the processor's ROM starts (d1002040 or d1002041 first), got "
            f"{loader[:_WORD_BYTES].hex() or 'an empty file'}",
            remedy="Give it flash.bin, neither U-Boot alone nor the image of a disk.",
        )
    room = layout.partitions[0].first_lba * SECTOR_BYTES - place.at
    if len(loader) > room:
        raise InvalidArgumentError(
            f"--loader: expected at most {room:,} bytes, which the first partition leaves, got {len(loader):,}",
            remedy="Give it flash.bin alone, not the image of a disk.",
        )
    try:
        program, tree = (image / PROGRAM).read_bytes(), (image / place.tree).read_bytes()
    except OSError as error:
        raise InvalidArgumentError(
            f"{error.filename}: {error.strerror}: an image of an older build", remedy="Build it again."
        ) from error
    _refuse_another(_programs(loader[FIT_AT:]), program, tree, place.tree)
    return Piece(place.at, loader)


def _refuse_another(
    configurations: Mapping[str, tuple[list[bytes], bytes]], program: bytes, tree: bytes, name: str
) -> None:
    """InvalidArgumentError unless every configuration starts this program with this tree."""
    for configuration, (programs, found) in configurations.items():
        other = PROGRAM if program not in programs else name if found != tree else None
        if other is not None:
            raise InvalidArgumentError(
                f"--loader: configuration {configuration} has another U-Boot than this image: its {other} is not in it",
                remedy="Make flash.bin again of the image's files: docs/guides/flash-the-device-image.md.",
            )


def _programs(fit: bytes) -> dict[str, tuple[list[bytes], bytes]]:
    """Of each configuration of a FIT, the programs that SPL loads and the device tree."""
    try:
        properties = properties_of(fit)
        found = {}
        for path in properties:
            _, *nodes = path.split("/")
            if nodes[:1] == ["configurations"] and nodes[2:] == ["fdt"]:
                node = f"/configurations/{nodes[1]}"
                names = [
                    name for kind in ("firmware", "loadables") for name in _texts(fit, properties, f"{node}/{kind}")
                ]
                (tree,) = _texts(fit, properties, path)
                found[nodes[1]] = ([_content(fit, properties, name) for name in names], _content(fit, properties, tree))
    except (WireError, KeyError, ValueError) as error:
        raise InvalidArgumentError(
            f"--loader: expected U-Boot at byte {FIT_AT:#x} of it, as a FIT with configurations: {error}",
            remedy="Join flash.bin as docs/guides/flash-the-device-image.md says.",
        ) from error
    if not found:
        raise InvalidArgumentError(
            f"--loader: the FIT at byte {FIT_AT:#x} has no configuration with a device tree",
            remedy="Join flash.bin as docs/guides/flash-the-device-image.md says.",
        )
    return found


def _texts(fit: bytes, properties: Mapping[str, tuple[int, int]], path: str) -> list[str]:
    """The texts of a property; none where there is no such one."""
    if path not in properties:
        return []
    place, size = properties[path]
    return fit[place : place + size].decode("ascii").rstrip("\0").split("\0")


def _content(fit: bytes, properties: Mapping[str, tuple[int, int]], name: str) -> bytes:
    """What an image of a FIT has: in the tree itself, or behind it."""
    node = f"/images/{name}"
    if f"{node}/data" in properties:
        place, size = properties[f"{node}/data"]
    else:
        place, size = (_number(fit, properties[f"{node}/{each}"]) for each in ("data-position", "data-size"))
    return fit[place : place + size]


def _number(fit: bytes, where: tuple[int, int]) -> int:
    return int.from_bytes(fit[where[0] : where[0] + _WORD_BYTES])
