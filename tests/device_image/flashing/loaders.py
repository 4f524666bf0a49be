# SPDX-License-Identifier: Apache-2.0
"""Loaders of an i.MX 8M Plus, joined by mkimage as the guide says: stand-ins for all of it that is not ours."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from armillary.device_image import tools
from armillary.device_image.flashing.loader import FIT_AT
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.uboot.boards import SD_TREE
from armillary.device_image.uboot.image import PROGRAM

HEAD: Final = b"\xd1\x00\x20\x41" + b"first loader and memory training" * 1000
_RECIPE: Final = "imx8mp-loader.its"


def joined(
    image: Path, folder: Path, *, program: bytes | None = None, tree: str = SD_TREE, external: bool = True
) -> bytes:
    """A loader with an image's U-Boot, or another program; made in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copyfile(recipe_folder() / "uboot" / _RECIPE, folder / _RECIPE)
    (folder / "u-boot-nodtb.bin").write_bytes(program or (image / PROGRAM).read_bytes())
    shutil.copyfile(image / tree, folder / "u-boot.dtb")
    (folder / "bl31.bin").write_bytes(b"secure world" * 700)
    tools.run(["mkimage", *(("-E", "-p", "0x3000") if external else ()), "-f", _RECIPE, "u-boot.itb"], folder=folder)
    return HEAD.ljust(FIT_AT, b"\0") + (folder / "u-boot.itb").read_bytes()
