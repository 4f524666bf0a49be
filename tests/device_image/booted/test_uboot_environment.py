# SPDX-License-Identifier: Apache-2.0
"""A machine whose slot state is damaged in both copies comes up, and says so once: U-Boot's own reading and writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.uboot.attacks import damaged_copies
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.engines.flash.os_disk import read_partitions
from armillary.engines.flash.uboot_slots import BEGUN_ANEW, PARTITION
from armillary.wire.disk.gpt import SECTOR_BYTES


def said_until_ready(settings: MachineSettings) -> str:
    with running(settings) as machine:
        line, seen = machine.wait_for(READY, within_s=BOOT_S)
        machine.pull_the_plug()
    assert line is not None, "\n".join(seen)
    return "\n".join(seen)


@pytest.mark.image_full
def test_both_copies_damaged_are_said_once(image: Path, architecture: Architecture, tmp_path: Path) -> None:
    if architecture.has_uefi:
        pytest.skip("its slots are UEFI's; to enable, for images that U-Boot starts: make image-test-full")
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)
    assert BEGUN_ANEW not in said_until_ready(settings), "a new disk"
    (found,) = (each for each in read_partitions(settings.folder / DISK) if each.name == PARTITION)
    with (settings.folder / DISK).open("r+b") as file:
        file.seek(found.first_lba * SECTOR_BYTES)
        file.write(damaged_copies())
    said = said_until_ready(settings)
    assert BEGUN_ANEW in said
    assert "armillary: slot a, verified root" in said
    assert BEGUN_ANEW not in said_until_ready(settings)
