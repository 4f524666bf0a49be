# SPDX-License-Identifier: Apache-2.0
"""Makes what U-Boot starts, and U-Boot itself: the files of a built image that one with UEFI has others in place of.

::

    slot.fit            the signed file of a slot
    started.img         the first partition's content: slot.fit, whole blocks
    u-boot-nodtb.bin    U-Boot's program, which has its control device tree behind it in memory
    u-boot-emmc.dtb     that tree with the key, for a disk that is the eMMC
    u-boot-sd.dtb       the same for a disk that is an SD card
    boot.bin            what QEMU starts: U-Boot with its tree, behind a page where the board needs one
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import BLOCK_BYTES, SLOT_FILE_BYTES, STARTED_FILE
from armillary.device_image.kernel import Kernel
from armillary.device_image.keys import KeyPair
from armillary.device_image.tools import MADE_AT
from armillary.device_image.uboot.boards import BOARDS
from armillary.device_image.uboot.building import build_uboot
from armillary.device_image.uboot.hand_over import with_hand_over
from armillary.device_image.uboot.signed_file import chosen, compiled, join, with_overlay
from armillary.errors import InvalidArgumentError
from armillary.update.install.component import SLOTS
from armillary.wire.device_image.command_line import VerifiedRoot, command_line

FILE, PROGRAM, BOOT = "slot.fit", "u-boot-nodtb.bin", "boot.bin"
# What joins a slot's file.
JOINER: Final = "mkimage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a slot's file is made of.

    ``name`` is what it is called in itself, ``tree`` the device tree that comes with the kernel (empty where the
    board's own is whole), ``words`` are more of the command line, ``recipe`` is U-Boot's folder.
    """

    name: str
    kernel: Kernel
    initial: bytes
    tree: bytes
    root: VerifiedRoot
    words: tuple[str, ...]
    target: Architecture
    recipe: Path


def files_of(architecture: Architecture) -> tuple[str, ...]:
    """The files of an image that U-Boot starts, but for the content of its first partition."""
    return (FILE, PROGRAM, *BOARDS[architecture.name].trees, BOOT)


def write_files(parts: Parts, output: Path, *, key: KeyPair, cache: Path, progress: Callable[[str], None]) -> bytes:
    """Write the files into ``output``; returns the slot's.

    Raises:
        HostError: a program is missing or fails.
        InvalidArgumentError: the fragment is wrong, or the slot's file is longer than what U-Boot reads.
    """
    board = BOARDS[parts.target.name]
    uboot = build_uboot(board, parts.recipe, cache, progress)
    source = (parts.recipe / board.tree).read_text("utf-8")
    if board.has_whole_tree:
        tree = control_tree = compiled(source)
    else:
        tree, control_tree = with_overlay(parts.tree, source), with_overlay(uboot.tree, source)
    trees = {slot: with_overlay(tree, chosen(_line(parts, slot))) for slot in SLOTS}
    made = join(
        parts.kernel.image,
        parts.initial,
        trees,
        form=board.kernel,
        name=parts.name,
        key=key,
        control_tree=control_tree,
    )
    if len(made.content) > SLOT_FILE_BYTES:
        raise InvalidArgumentError(
            f"{FILE}: expected at most {SLOT_FILE_BYTES:,} bytes, got {len(made.content):,}",
            remedy=f"Leave something out of the kernel, or have U-Boot read more: image/uboot/{board.built_in}.",
        )
    (output / FILE).write_bytes(made.content)
    (output / STARTED_FILE).write_bytes(first_partition(made.content))
    (output / PROGRAM).write_bytes(uboot.program)
    for name, overlay in board.trees.items():
        changed = with_overlay(made.control_tree, (parts.recipe / overlay).read_text("utf-8")) if overlay else None
        (output / name).write_bytes(changed or made.control_tree)
    program = uboot.program + made.control_tree
    (output / BOOT).write_bytes(with_hand_over(program) if board.has_page else program)
    progress("signed file of a slot, and U-Boot with its key")
    return made.content


def first_partition(signed: bytes) -> bytes:
    """The content of a slot's first partition: its signed file in whole blocks."""
    return signed.ljust(-(-len(signed) // BLOCK_BYTES) * BLOCK_BYTES, b"\0")


def _line(parts: Parts, slot: str) -> str:
    more = (*parts.words, f"armillary.slot={slot}")
    return command_line(parts.root, consoles=parts.target.consoles, built_at=MADE_AT, more=more)
