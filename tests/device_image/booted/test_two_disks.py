# SPDX-License-Identifier: Apache-2.0
"""Two disks with the same image: the one that was started is taken, and where UEFI does not say which, that is said.

UEFI firmware has to start the second one: on the first there is nothing in either slot that it could start.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import STARTED
from armillary.device_image.tools import run
from armillary.device_image.virtual_machine import DISK, MachineSettings, prepare, running
from armillary.engines.flash.os_disk import read_partitions, slot_partition
from armillary.update.install.component import SLOTS
from armillary.wire.disk.gpt import SECTOR_BYTES

# The first sectors of a FAT file system: without them there is none.
FAT_BEGINS_BYTES = 64 << 10
# A partition table, at the beginning behind the first sector and again at the end.
TABLE_BYTES = 33 * SECTOR_BYTES


def machine_with_two(image: Path, architecture: Architecture, folder: Path, *, tpm: bool) -> MachineSettings:
    second = folder / "second.img"
    run(["cp", "--sparse=always", image / DISK, second])
    settings = MachineSettings(
        folder=folder / "machine",
        image=image,
        machine=architecture.name,
        tpm=tpm,
        attached=("-drive", f"if=none,id=second,format=raw,file={second}", "-device", "virtio-blk-pci,drive=second"),
    )
    prepare(settings)
    partitions = {each.name: each for each in read_partitions(settings.folder / DISK)}
    with (settings.folder / DISK).open("r+b") as disk:
        for slot in SLOTS:
            disk.seek(partitions[slot_partition(STARTED, slot)].first_lba * SECTOR_BYTES)
            disk.write(bytes(FAT_BEGINS_BYTES))
    return settings


@pytest.mark.image_full
@pytest.mark.parametrize("tpm", [True, False], ids=["with-a-log", "without-a-log"])
def test_of_two_disks_the_started_one_is_taken(
    image: Path, architecture: Architecture, tmp_path: Path, tpm: bool
) -> None:
    if not architecture.has_uefi:
        pytest.skip("U-Boot starts one disk, UEFI any that has the image; its machines do: make image-test-full")
    settings = machine_with_two(image, architecture, tmp_path, tpm=tpm)
    with running(settings) as machine:
        line, seen = machine.wait_for("verified root from", within_s=BOOT_S)
        machine.pull_the_plug()
    text = "\n".join(seen)
    assert line is not None, text
    unclear = "2 disks have the partition that was started, and no log says which; vda is taken"
    assert ("verified root from /dev/vdb" in line, unclear in text) == (tpm, not tpm), text


# QEMU's words for a second card of machines that U-Boot starts: it is the first by name on i.MX.
SECOND_CARD = {
    "imx8mp": ("-drive", "if=sd,bus=1,id=second,format=raw,file={card}"),
    "armhf": (
        *("-device", "sdhci-pci", "-drive", "if=none,id=second,format=raw,file={card}"),
        *("-device", "sd-card,drive=second"),
    ),
}


def machine_with_two_cards(image: Path, architecture: Architecture, folder: Path) -> MachineSettings:
    if architecture.has_uefi:
        pytest.skip("UEFI says by its log which disk it started; machines with U-Boot do: make image-test-full")
    second = folder / "second.img"
    run(["cp", "--sparse=always", image / DISK, second])
    settings = MachineSettings(
        folder=folder / "machine",
        image=image,
        machine=architecture.name,
        tpm=HARDWARE[architecture.name].needs_tpm,
        attached=tuple(word.replace("{card}", str(second)) for word in SECOND_CARD[architecture.name]),
    )
    prepare(settings)
    return settings


@pytest.mark.image_full
def test_of_two_cards_the_one_that_u_boot_started_is_taken(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    settings = machine_with_two_cards(image, architecture, tmp_path)
    with running(settings) as machine:
        line, seen = machine.wait_for("verified root from", within_s=BOOT_S)
        machine.pull_the_plug()
    assert line is not None, "\n".join(seen)
    assert f"verified root from {HARDWARE[architecture.name].partitions}" in line


@pytest.mark.image_full
def test_a_card_that_u_boot_did_not_start_gives_no_root(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    """The started one has lost its partition table, of which U-Boot reads nothing; the other has the whole image."""
    settings = machine_with_two_cards(image, architecture, tmp_path)
    with (settings.folder / DISK).open("r+b") as disk:
        disk.seek(SECTOR_BYTES)
        disk.write(bytes(TABLE_BYTES))
        disk.seek(-TABLE_BYTES, os.SEEK_END)
        disk.write(bytes(TABLE_BYTES))
    with running(settings) as machine:
        line, seen = machine.wait_for("verified root from", "boot failed", within_s=BOOT_S)
        machine.pull_the_plug()
    assert line is not None, "\n".join(seen)
    assert "boot failed: no disk with the partition root-fs-a at /" in line, "\n".join(seen)
