# SPDX-License-Identifier: Apache-2.0
"""The table of docs/guides/flash-the-device-image.md: its boards are those there are, and their images have its drivers."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

import pytest
from tests.fixtures.source_code import ROOT

from armillary.cli.device_image.flash import BoardName
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.flashing.boards import BOARDS
from armillary.device_image.own_kernel import fragments

PAGE = ROOT / "docs/guides/flash-the-device-image.md"
HEAD = "| `--board` | for | build it by | disk | Ethernet | what starts it |"
# What the table calls a driver -> what the own kernel's fragments, or the modules of image.toml, call it.
OWN: Mapping[str, tuple[str, ...]] = {
    "SATA": ("CONFIG_SATA_AHCI", "CONFIG_BLK_DEV_SD"),
    "NVMe": ("CONFIG_BLK_DEV_NVME",),
    "SD card": ("CONFIG_MMC_SDHCI_ESDHC_IMX", "CONFIG_MMC_BLOCK"),
    "eMMC": ("CONFIG_MMC_SDHCI_ESDHC_IMX", "CONFIG_MMC_BLOCK"),
    "e1000e": ("CONFIG_E1000E",),
    "igb": ("CONFIG_IGB",),
    "FEC": ("CONFIG_FEC",),
}
DEBIANS: Mapping[str, tuple[str, ...]] = {"virtio": ("virtio_blk", "virtio_net"), "SATA": ("ahci", "sd_mod")}


class Row(NamedTuple):
    """A row: the board, how its image is built, and the drivers that it shall have."""

    board: str
    build: str
    drivers: tuple[str, ...]


def rows(text: str) -> Iterator[Row]:
    """Each row of the table."""
    for line in text.partition(f"{HEAD}\n|---|---|---|---|---|---|\n")[2].splitlines():
        if not line.startswith("| "):
            return
        board, _, build, disk, ethernet, _ = (cell.strip() for cell in line.strip("| ").split(" | "))
        yield Row(board.strip("`"), build.strip("`"), tuple(f"{disk}, {ethernet}".split(", ")))


def drivers_of(row: Row) -> tuple[Mapping[str, tuple[str, ...]], set[str]]:
    """How the kernel of a row's image calls drivers, and which of them it has."""
    root = ARCHITECTURES[BOARDS[row.board].image].root
    recipe = tomllib.loads((ROOT / "image/image.toml").read_text("utf-8"))["kernel"]
    if "--kernel own" in row.build or BOARDS[row.board].image not in recipe:
        options = fragments.read_fragments(fragments.kernel_folder(), root)
        return OWN, {option.name for option in options if option.value == "y"}
    return DEBIANS, {*recipe[root]["modules"], *recipe[root]["other_disks"]}


def lacking(row: Row) -> list[str]:
    """The drivers that a row names and its image does not have."""
    called, there = drivers_of(row)
    return [name for name in row.drivers if name not in called or not there.issuperset(called[name])]


@pytest.mark.parametrize("row", [*rows(PAGE.read_text("utf-8"))], ids=lambda row: f"{row.board} {row.build}")
def test_an_image_has_the_drivers_that_the_table_names(row: Row) -> None:
    assert lacking(row) == []


def test_the_table_has_every_board_and_builds_its_image() -> None:
    found = list(rows(PAGE.read_text("utf-8")))
    assert {row.board for row in found} == set(BOARDS) == set(get_args(BoardName))
    for row in found:
        image = BOARDS[row.board].image
        assert (f"--arch {image}" in row.build) == (image != "x86_64"), row


@pytest.mark.parametrize(
    ("build", "names", "lacks"),
    [
        ("make image", "virtio, SATA | virtio", []),
        ("make image", "SATA, NVMe, USB | e1000e", ["NVMe", "USB", "e1000e"]),
        ('make image ARGS="--kernel own"', "SATA, USB | igb, virtio", ["USB", "virtio"]),
    ],
)
def test_a_driver_that_an_image_does_not_have_is_found(build: str, names: str, lacks: list[str]) -> None:
    (row,) = rows(f"{HEAD}\n|---|---|---|---|---|---|\n| `x86-gateway` | it | `{build}` | {names} | UEFI |\n\n")
    assert lacking(row) == lacks
