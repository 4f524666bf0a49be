# SPDX-License-Identifier: Apache-2.0
"""The first program finds the disk that U-Boot started, in C as it is compiled, on a /sys that the test makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.device_image.test_root_tree import compiler_of

from armillary.device_image.recipe import recipe_folder

PROGRAM = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "started_disk.h"
int main(int count, char **disks) {
    struct place place;
    (void)started_place;
    if (count == 3 && !strcmp(disks[1], "root")) return is_root_of(disks[2], 'a');
    if (!started_node(&place)) return 3;
    for (int i = 1; i < count; i++)
        if (lies_at(disks[i], &place)) puts(disks[i]);
    return 0;
}
"""
# As Linux has them: the controller of the SD card and that of the eMMC of an i.MX 8M Plus, and one on a PCI bus.
BUS = "soc@0/bus@30800000"
SD, EMMC, PCI = f"/{BUS}/mmc@30b50000", f"/{BUS}/mmc@30b60000", "/pcie@10000000/mmc@1,0"
DISKS = {
    "mmcblk1": ("platform/soc@0/30800000.bus/30b50000.mmc", "mmc_host/mmc1/mmc1:0001", SD),
    "mmcblk2": ("platform/soc@0/30800000.bus/30b60000.mmc", "mmc_host/mmc2/mmc2:0001", EMMC),
    "mmcblk0": ("platform/3f000000.pcie/pci0000:00/0000:00:01.0", "mmc_host/mmc0/mmc0:4567", PCI),
    "sda": ("platform/soc@0/32f10108.usb/usb1/1-1/1-1:1.0", "host0/target0:0:0/0:0:0:0", None),
}


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    made = tmp_path / "sys"
    (made / "block").mkdir(parents=True)
    tree = made / "firmware/devicetree/base"
    (tree / "chosen").mkdir(parents=True)
    for name, (controller, card, node) in DISKS.items():
        place = made / "devices" / controller / card / "block" / name
        place.mkdir(parents=True)
        (made / "block" / name).symlink_to(place)
        if node is not None:
            (tree / node[1:]).mkdir(parents=True)
            (made / "devices" / controller / "of_node").symlink_to(tree / node[1:])
    return made


def compiled(sys: Path) -> Path:
    (sys.parent / "main.c").write_text(PROGRAM, "ascii")
    program = sys.parent / "started"
    words = [compiler_of("x86_64"), "-Os", "-D_FORTIFY_SOURCE=2", "-Wall", "-Wextra", "-Werror"]
    words += [f'-DSYS="{sys}"', "-I", recipe_folder() / "init"]
    subprocess.run([*words, "-o", program, sys.parent / "main.c"], check=True, timeout=60)
    return program


def taken(sys: Path, told: bytes | None) -> list[str] | None:
    """The disks that are taken; None if U-Boot has said nothing."""
    chosen = sys / "firmware/devicetree/base/chosen/armillary,disk"
    if told is not None:
        chosen.write_bytes(told)
    done = subprocess.run([compiled(sys), *DISKS], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode in {0, 3}
    return None if done.returncode else done.stdout.split()


@pytest.mark.parametrize(("node", "disk"), [(SD, "mmcblk1"), (EMMC, "mmcblk2"), (PCI, "mmcblk0")])
def test_the_disk_of_the_controller_that_u_boot_names_is_taken(sys: Path, node: str, disk: str) -> None:
    assert taken(sys, node.encode() + b"\0") == [disk]


def test_no_other_is_taken_where_the_named_one_is_not_there(sys: Path) -> None:
    (sys / "block/mmcblk2").unlink()
    assert taken(sys, EMMC.encode() + b"\0") == []
    assert taken(sys, f"/{BUS}/mmc@30b40000".encode() + b"\0") == []


@pytest.mark.parametrize("told", [None, b"", b"\0"])
def test_a_u_boot_that_names_none_is_known(sys: Path, told: bytes | None) -> None:
    assert taken(sys, told) is None


@pytest.mark.parametrize(
    "name", ["root-fs-a", "root-fs-b", "x-a", "kernels-a", "root-fs-", "root-fs-aa", "root-fs", "my-root-fs-a", ""]
)
def test_a_root_is_known_by_its_whole_name(sys: Path, name: str) -> None:
    done = subprocess.run([compiled(sys), "root", name], check=False, timeout=60)
    assert bool(done.returncode) == (name == "root-fs-a")
