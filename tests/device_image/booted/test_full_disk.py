# SPDX-License-Identifier: Apache-2.0
"""The data partition is full to the last block: the device starts, says so, is attested, and takes no update."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.test_machine_faults import ATTESTED, seen_until, service

from armillary.cli.device_image.trial_service import FIRST_VERSION, TrialService
from armillary.device.machine.data_partition import RESERVE_BYTES
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import DATA, MEBIBYTE
from armillary.device_image.tools import run
from armillary.device_image.virtual_machine import DISK, MachineSettings, prepare, running
from armillary.engines.flash.os_disk import read_partitions
from armillary.wire.disk.gpt import SECTOR_BYTES

__all__ = ["service"]  # the fixture

FILLER = "filler"


class DataPartition:
    """A copy of the data partition of a machine that is off, for e2fsprogs: nothing is mounted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        run(["e2fsck", "-p", "-E", "journal_only", file])  # what a power cut left to be done

    def free_blocks(self) -> int:
        """By the groups, as the kernel counts: the superblock's own count is of the last time it was unmounted."""
        return sum(map(int, re.findall(r"^  (\d+) free blocks,", run(["dumpe2fs", self._file]).decode(), re.MULTILINE)))

    def fill(self) -> None:
        """Give a file all blocks that are free."""
        self.tell(f"write /dev/null {FILLER}")
        taken = 0
        while (free := self.free_blocks()) > 0:
            # A file that is in many pieces needs blocks for their list, too: less and less is asked for.
            asked = max(1, free - free // 256 - 8)
            self.tell(f"fallocate {FILLER} {taken} {taken + asked - 1}")
            taken += asked

    def tell(self, command: str) -> None:
        run(["debugfs", "-w", "-R", command, self._file])


@contextlib.contextmanager
def data_of(settings: MachineSettings) -> Iterator[DataPartition]:
    """Take it out, and put it back."""
    (found,) = (each for each in read_partitions(settings.folder / DISK) if each.name == DATA)
    copy, begin, count = settings.folder / "data.img", found.first_lba * SECTOR_BYTES, found.sectors * SECTOR_BYTES
    with copy.open("wb") as file, (settings.folder / DISK).open("rb") as disk:
        file.truncate(count)
        for at in range(0, count, MEBIBYTE):
            if any(block := os.pread(disk.fileno(), MEBIBYTE, begin + at)):
                os.pwrite(file.fileno(), block, at)
    yield DataPartition(copy)
    with copy.open("rb") as file, (settings.folder / DISK).open("r+b") as disk:
        for at in range(0, count, MEBIBYTE):
            block = os.pread(file.fileno(), MEBIBYTE, at)
            if block != os.pread(disk.fileno(), len(block), begin + at):
                os.pwrite(disk.fileno(), block, begin + at)
    copy.unlink()


@pytest.mark.image_full
@pytest.mark.timeout(12 * BOOT_S)
def test_a_device_whose_data_partition_is_full_starts_says_so_and_keeps_its_os(
    service: TrialService, image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    told = tmp_path / "enrolment.json"
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name, enrolment=told)
    prepare(settings)
    service.prepare(settings.folder, told)
    seen_until(settings, ATTESTED)

    with data_of(settings) as data:
        data.fill()
        assert data.free_blocks() == 0

    with running(settings) as machine:
        lines: list[str] = []
        for wanted in ("the data partition is full", ATTESTED):
            line, seen = machine.wait_for(wanted, within_s=BOOT_S)
            lines += seen
            assert line is not None, "\n".join(lines)
        service.publish_next()
        line, seen = machine.wait_for("update-postponed", "update-refused", "update-started", within_s=BOOT_S)
        lines += seen
        told_service, seen = machine.wait_for(ATTESTED, within_s=BOOT_S)  # the check-in after it says what became of it
        lines += seen
        machine.pull_the_plug()
    text = "\n".join(lines)
    (said,) = [each for each in lines if "the data partition is full" in each]
    assert f"0 bytes are free, {RESERVE_BYTES:,} without the device's reserve" in said, text
    assert line is not None, text
    assert told_service is not None, text
    assert "update-postponed" in line, text
    assert re.search(r"the set needs \d+ bytes of flash: expected at most the \d+ bytes that are free", line), text
    (device,) = service.ask("device", "list")
    assert device["os_version"] == FIRST_VERSION
    told_faults = [each["description"] for each in service.ask("device", "insights", "--device", device["device_id"])]
    assert any("the data partition is full" in each for each in told_faults), told_faults
    stands = service.ask("device", "update-status", "--device", device["device_id"])
    assert "no-room" in str(stands), stands

    with data_of(settings) as data:
        data.tell(f"rm {FILLER}")
    seen_until(settings, ATTESTED, "update-started")  # what did not fit is taken
