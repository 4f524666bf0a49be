# SPDX-License-Identifier: Apache-2.0
"""One machine meets one fault after the other: each is one clear line, and the machine is a device again afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.cli.device_image.trial_service import TrialService
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import DATA
from armillary.device_image.virtual_machine import DISK, TPM, MachineSettings, prepare, running
from armillary.engines.flash.os_disk import read_partitions
from armillary.wire.disk.gpt import SECTOR_BYTES

ATTESTED = "check-in  verdict=attested"
# Of the data partition: where ext4's first superblock is; behind it is what it describes.
SUPERBLOCK_AT, SUPERBLOCK_BYTES = 1024, 1024


@pytest.fixture
def service(tmp_path: Path, image: Path) -> Iterator[TrialService]:
    found = TrialService(tmp_path / "service", image)
    found.start()
    try:
        yield found
    finally:
        found.close()


def seen_until(settings: MachineSettings, *wanted: str) -> str:
    """Boot, wait for one line after the other, cut the power; all that was said."""
    lines: list[str] = []
    with running(settings) as machine:
        for text in wanted:
            line, said = machine.wait_for(text, within_s=BOOT_S)
            lines += said
            assert line is not None, "\n".join(lines)
        machine.pull_the_plug()
    return "\n".join(lines)


def overwrite(settings: MachineSettings, at: int, content: bytes) -> None:
    """Write into the data partition."""
    (found,) = (each for each in read_partitions(settings.folder / DISK) if each.name == DATA)
    with (settings.folder / DISK).open("r+b") as file:
        file.seek(found.first_lba * SECTOR_BYTES + at)
        file.write(content)


@pytest.mark.image_full
@pytest.mark.timeout(12 * BOOT_S)
def test_faults_are_said_and_the_machine_is_a_device_again(
    service: TrialService, image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    told = tmp_path / "enrolment.json"
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name, enrolment=told)
    prepare(settings)
    service.prepare(settings.folder, told)

    with running(settings) as machine:
        line, seen = machine.wait_for(ATTESTED, within_s=2 * BOOT_S)
        assert line is not None, "\n".join(seen)
        machine.break_tpm()
        line, seen = machine.wait_for("check-in-failed  code=host.root-of-trust", within_s=BOOT_S)
        assert line is not None, "\n".join(seen)
        machine.pull_the_plug()

    if not HARDWARE[architecture.name].needs_tpm:
        said = seen_until(replace(settings, tpm=False), "the device does not start")
        assert "no TPM" in said
        assert "TPM device:/dev/tpmrm0" in said

    kept = settings.folder / "tpm.kept"
    (settings.folder / TPM).rename(kept)
    other = replace(settings, folder=tmp_path / "other")
    prepare(other)
    (other.folder / TPM).rename(settings.folder / TPM)
    said = seen_until(settings, "the device does not start")
    assert "it was cleared, or is another TPM" in said
    shutil.rmtree(settings.folder / TPM)
    kept.rename(settings.folder / TPM)

    overwrite(settings, SUPERBLOCK_AT, bytes(SUPERBLOCK_BYTES))
    said = seen_until(settings, "is repaired", ATTESTED)
    assert "its superblock is damaged" in said

    (device,) = service.ask("device", "list")
    reported = [each["description"] for each in service.ask("device", "insights", "--device", device["device_id"])]
    for sentence in ("the root of trust failed while the device ran: TPM", "its superblock is damaged"):
        assert any(sentence in each for each in reported), reported
