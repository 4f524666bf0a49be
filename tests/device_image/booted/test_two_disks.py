# SPDX-License-Identifier: Apache-2.0
"""Two disks with the same image: the one that the firmware started is taken, and where nothing says which, that is said.

The firmware has to start the second one: on the first there is nothing in either slot that it could start.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import STARTED
from armillary.device_image.tools import run
from armillary.device_image.virtual_machine import DISK, MachineSettings, prepare, running
from armillary.engines.flash.os_disk import read_partitions, slot_partition
from armillary.update.install.component import SLOTS
from armillary.wire.disk.gpt import SECTOR_BYTES

# The first sectors of a FAT file system: without them there is none.
FAT_BEGINS_BYTES = 64 << 10


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
        pytest.skip("U-Boot starts one disk, UEFI any that has the image; those machines do: make image-test-full")
    settings = machine_with_two(image, architecture, tmp_path, tpm=tpm)
    with running(settings) as machine:
        line, seen = machine.wait_for("verified root from", within_s=BOOT_S)
        machine.pull_the_plug()
    text = "\n".join(seen)
    assert line is not None, text
    unclear = "2 disks have the partition that was started, and no log says which; vda is taken"
    assert ("verified root from /dev/vdb" in line, unclear in text) == (tpm, not tpm), text
