# SPDX-License-Identifier: Apache-2.0
"""What may stand where an i.MX 8M Plus looks for its loader: the right kind of file, with this image's U-Boot in it.

The files are joined by mkimage as the guide says, of stand-ins for what is NXP's.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.flashing.loaders import HEAD, joined

from armillary.device_image import disk, tools
from armillary.device_image.flashing.boards import BOARDS
from armillary.device_image.flashing.loader import FIT_AT, loader_piece
from armillary.device_image.uboot.boards import EMMC_TREE, SD_TREE
from armillary.device_image.uboot.image import PROGRAM
from armillary.errors import InvalidArgumentError
from armillary.wire.disk.gpt import SECTOR_BYTES

pytestmark = pytest.mark.skipif(
    bool(tools.missing({"mkimage": "u-boot-tools", "dtc": "device-tree-compiler"})),
    reason="no mkimage or dtc; to enable: sudo apt-get install u-boot-tools device-tree-compiler",
)
LAYOUT = disk.layout(has_uboot=True)
CARD, EMMC = BOARDS["imx8mp-evk"], BOARDS["imx8mp-evk-emmc"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files of a built image that go into a loader."""
    (tmp_path / PROGRAM).write_bytes(b"program" * 9000)
    for name in (SD_TREE, EMMC_TREE):
        (tmp_path / name).write_bytes(
            tools.run(["dtc", "-q", "-O", "dtb"], data=f'/dts-v1/; / {{ a = "{name}"; }};'.encode())
        )
    return tmp_path


@pytest.mark.parametrize("external", [True, False])
def test_a_loader_with_this_images_u_boot_goes_to_the_place_that_the_rom_reads(image: Path, external: bool) -> None:
    for board, tree in ((CARD, SD_TREE), (EMMC, EMMC_TREE)):
        loader = joined(image, image / "join", tree=tree, external=external)
        piece = loader_piece(loader, board, image, LAYOUT)
        assert (piece.at, piece.content) == (32_768, loader)
    assert LAYOUT.partitions[0].first_lba * SECTOR_BYTES == 4 << 20


def test_a_loader_with_another_u_boot_or_tree_is_refused(image: Path) -> None:
    for loader, lacking in (
        (joined(image, image / "join", program=b"another"), PROGRAM),
        (joined(image, image / "join", tree=EMMC_TREE), SD_TREE),
    ):
        with pytest.raises(
            InvalidArgumentError, match=f"has another U-Boot than this image: its {lacking} is not in it"
        ):
            loader_piece(loader, CARD, image, LAYOUT)


@pytest.mark.parametrize(
    ("loader", "named"),
    [
        (b"", "got an empty file"),
        (b"\x7fELF" + bytes(FIT_AT), r"d1002040 or d1002041 first\), got 7f454c46"),
        (HEAD, "expected U-Boot at byte 0x58000"),
        (HEAD.ljust(FIT_AT, b"\0") + b"\xd0\x0d\xfe\xed" * 4, "expected U-Boot at byte 0x58000"),
        (
            HEAD.ljust(5 << 20, b"\0"),
            "expected at most 4,161,536 bytes, which the first partition leaves, got 5,242,880",
        ),
    ],
)
def test_another_file_is_refused_and_named(image: Path, loader: bytes, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"--loader: .*{named}"):
        loader_piece(loader, CARD, image, LAYOUT)


def test_a_fit_without_configurations_or_with_a_name_that_is_nowhere_is_refused(image: Path) -> None:
    for source, named in (
        ('images { a { data = "x"; }; };', "no configuration with a device tree"),
        ('configurations { a { fdt = "nowhere"; firmware = "nowhere"; }; };', "as a FIT with configurations"),
    ):
        fit = tools.run(["dtc", "-q", "-O", "dtb"], data=f"/dts-v1/; / {{ {source} }};".encode())
        with pytest.raises(InvalidArgumentError, match=named):
            loader_piece(HEAD.ljust(FIT_AT, b"\0") + fit, CARD, image, LAYOUT)


def test_an_image_of_an_older_build_and_a_board_without_a_loader_are_refused(image: Path) -> None:
    loader = joined(image, image / "join")
    with pytest.raises(InvalidArgumentError, match="has its firmware on the board, not on the disk"):
        loader_piece(loader, BOARDS["x86-gateway"], image, LAYOUT)
    (image / SD_TREE).unlink()
    with pytest.raises(InvalidArgumentError, match=rf"{SD_TREE}: .* an image of an older build"):
        loader_piece(loader, CARD, image, LAYOUT)
