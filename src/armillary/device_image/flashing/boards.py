# SPDX-License-Identifier: Apache-2.0
"""Boards that a disk is flashed for: whose image they start, where their loader lies, and what of that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.device_image.uboot.boards import EMMC_TREE, SD_TREE


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderPlace:
    """Where a processor's ROM reads its first loader from the disk: the byte, and U-Boot's device tree for that disk.

    ``lacks`` says what is missing on a disk without one.
    """

    at: int
    tree: str
    lacks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board: the architecture of its image; without ``loader`` its firmware is on the board, not on the disk.

    ``shown`` is what was seen of it in QEMU, ``not_shown`` what was seen nowhere: no board was ever tried.
    """

    image: str
    shown: str
    not_shown: str
    loader: LoaderPlace | None = None


# i.MX 8M Plus reference manual, chapter on system boot: the same on an SD card and in the user's area of an eMMC.
# The partition table ends at 17 KiB, the first partition begins at 4 MiB (device_image/disk.py).
IMX8MP_LOADER_AT: Final = 32 << 10
_IMX8MP_LACKS: Final = (
    f"the disk has no loader. At byte {IMX8MP_LOADER_AT:,} the processor's ROM looks for a file (flash.bin) with NXP's "
    "first loader, its memory training, Trusted Firmware-A and this image's U-Boot; without it no board starts from "
    "the disk. How to make it stands in docs/guides/flash-the-device-image.md; give it by --loader"
)
_IMX8MP_NOT_SHOWN: Final = (
    "all before U-Boot (the boot ROM that finds the loader, its check by HAB, memory training, Trusted Firmware-A); "
    "a board"
)
BOARDS: Final[Mapping[str, Board]] = {
    "x86-gateway": Board(
        image="x86_64",
        shown="the disk starts on QEMU's q35 with UEFI firmware that has never heard of it",
        not_shown="a gateway, its own firmware and TPM",
    ),
    "arm64-gateway": Board(
        image="arm64",
        shown="the disk starts on QEMU's virt with UEFI firmware that has never heard of it",
        not_shown="a gateway, its own firmware and TPM",
    ),
    "imx8mp-evk": Board(
        image="imx8mp",
        shown="from U-Boot on, the disk starts on QEMU's imx8mp-evk as its SD card",
        not_shown=_IMX8MP_NOT_SHOWN,
        loader=LoaderPlace(at=IMX8MP_LOADER_AT, tree=SD_TREE, lacks=_IMX8MP_LACKS),
    ),
    "imx8mp-evk-emmc": Board(
        image="imx8mp",
        shown="from U-Boot on, the disk starts on QEMU's imx8mp-evk in the place of its eMMC",
        not_shown=_IMX8MP_NOT_SHOWN,
        loader=LoaderPlace(at=IMX8MP_LOADER_AT, tree=EMMC_TREE, lacks=_IMX8MP_LACKS),
    ),
}
