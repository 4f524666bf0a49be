# SPDX-License-Identifier: Apache-2.0
"""Makes what U-Boot starts, and U-Boot itself: the files of a built image that one with UEFI has others in place of.

::

    slot.fit            the signed file of a slot
    started.img         the first partition's content: slot.fit, whole blocks
    u-boot-nodtb.bin    U-Boot's program, which has its control device tree behind it in memory
    u-boot-emmc.dtb     that tree with the key, for a disk that is the eMMC
    u-boot-sd.dtb       the same for a disk that is an SD card
    boot.bin            U-Boot for the eMMC behind the page that QEMU starts
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
from armillary.device_image.uboot.building import build_uboot
from armillary.device_image.uboot.hand_over import with_hand_over
from armillary.device_image.uboot.signed_file import chosen, join, with_overlay
from armillary.errors import InvalidArgumentError
from armillary.update.install.component import SLOTS
from armillary.wire.device_image.command_line import VerifiedRoot, command_line

FILE, PROGRAM, BOOT = "slot.fit", "u-boot-nodtb.bin", "boot.bin"
EMMC_TREE, SD_TREE = "u-boot-emmc.dtb", "u-boot-sd.dtb"
FILES: Final = (FILE, PROGRAM, EMMC_TREE, SD_TREE, BOOT)
# What joins a slot's file.
JOINER: Final = "mkimage"
OVERLAY, SD_OVERLAY = "imx8mp.dts", "imx8mp-sd.dts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a slot's file is made of.

    ``name`` is what it is called in itself, ``words`` are more of the command line, ``recipe`` is U-Boot's folder.
    """

    name: str
    kernel: Kernel
    initial: bytes
    tree: bytes
    root: VerifiedRoot
    words: tuple[str, ...]
    target: Architecture
    recipe: Path


def write_files(parts: Parts, output: Path, *, key: KeyPair, cache: Path, progress: Callable[[str], None]) -> bytes:
    """Write the files into ``output``; returns the slot's.

    Raises:
        HostError: a program is missing or fails.
        InvalidArgumentError: the fragment is wrong, or the slot's file is longer than what U-Boot reads.
    """
    uboot = build_uboot(parts.recipe, cache, progress)
    overlay = (parts.recipe / OVERLAY).read_text("utf-8")
    tree = with_overlay(parts.tree, overlay)
    trees = {slot: with_overlay(tree, chosen(_line(parts, slot))) for slot in SLOTS}
    made = join(
        parts.kernel.image,
        parts.initial,
        trees,
        name=parts.name,
        key=key,
        control_tree=with_overlay(uboot.tree, overlay),
    )
    if len(made.content) > SLOT_FILE_BYTES:
        raise InvalidArgumentError(
            f"{FILE}: expected at most {SLOT_FILE_BYTES:,} bytes, got {len(made.content):,}",
            remedy="Leave something out of the kernel, or have U-Boot read more: image/uboot/imx8mp.env.",
        )
    (output / FILE).write_bytes(made.content)
    (output / STARTED_FILE).write_bytes(made.content.ljust(-(-len(made.content) // BLOCK_BYTES) * BLOCK_BYTES, b"\0"))
    (output / PROGRAM).write_bytes(uboot.program)
    (output / EMMC_TREE).write_bytes(made.control_tree)
    (output / SD_TREE).write_bytes(with_overlay(made.control_tree, (parts.recipe / SD_OVERLAY).read_text("utf-8")))
    (output / BOOT).write_bytes(with_hand_over(uboot.program + made.control_tree))
    progress("signed file of a slot, and U-Boot with its key")
    return made.content


def _line(parts: Parts, slot: str) -> str:
    more = (*parts.words, f"armillary.slot={slot}")
    return command_line(parts.root, consoles=parts.target.consoles, built_at=MADE_AT, more=more)
