# SPDX-License-Identifier: Apache-2.0
"""The boards that U-Boot is built for, each with what is another in ``image/uboot``, in U-Boot and of the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.device_image.uboot.signed_file import KernelForm

# Control device trees with the key, in the folder of a built image: for a disk that is the eMMC, and for an SD card.
EMMC_TREE, SD_TREE = "u-boot-emmc.dtb", "u-boot-sd.dtb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board.

    ``name`` is that of its files in ``image/uboot``: ``NAME.config``, ``NAME.env``, ``NAME.dts``. ``configuration`` is
    U-Boot's own file that the options are put behind, ``environment`` where the source has the built-in environment
    (CONFIG_DEFAULT_ENV_FILE). ``trees`` are the control device trees of its disks: name -> file of what is put over it.
    ``has_whole_tree``: its file is the whole device tree, else it is put over those that U-Boot and the kernel bring.
    ``has_page``: QEMU starts U-Boot behind a page of ours (``hand_over.py``).
    """

    name: str
    configuration: str
    environment: str
    prefix: str
    kernel: KernelForm
    trees: Mapping[str, str]
    has_whole_tree: bool = False
    has_page: bool = False

    @property
    def options(self) -> str:
        """File of the options."""
        return f"{self.name}.config"

    @property
    def built_in(self) -> str:
        """File of the built-in environment."""
        return f"{self.name}.env"

    @property
    def tree(self) -> str:
        """File of the device tree, or of what is put over one."""
        return f"{self.name}.dts"


# By the name of the architecture (``architecture/table.py``).
BOARDS: Final[Mapping[str, Board]] = {
    "imx8mp": Board(
        name="imx8mp",
        configuration="imx8mp_evk_defconfig",
        environment="board/freescale/imx8mp_evk/armillary.env",
        prefix="aarch64-linux-gnu-",
        # Two megabytes of an address that is whole in two, behind U-Boot's first page of memory.
        kernel=KernelForm(architecture="arm64", compression="zstd", load_at=0x40400000),
        trees={EMMC_TREE: "", SD_TREE: "imx8mp-sd.dts"},
        has_page=True,
    ),
    # The kernel unpacks itself to the beginning of memory, below this address.
    "armhf": Board(
        name="armhf",
        configuration="qemu_arm_defconfig",
        environment="board/emulation/qemu-arm/armillary.env",
        prefix="arm-linux-gnueabihf-",
        kernel=KernelForm(architecture="arm", compression="none", load_at=0x44000000),
        trees={SD_TREE: ""},
        has_whole_tree=True,
    ),
}
