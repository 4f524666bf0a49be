# SPDX-License-Identifier: Apache-2.0
"""Puts an enrolment onto the data partition of a machine whose host cannot hand it a file otherwise."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from armillary.device_image.disk import DATA, ENROLMENT_FILE
from armillary.device_image.tools import run
from armillary.engines.flash.os_disk import read_partitions
from armillary.wire.disk.gpt import SECTOR_BYTES

# Beside the disk: SHA-256 of the enrolment that is on it. The file system of a machine that runs is never written.
PUT: Final = "enrolment.put"


def put_enrolment(disk: Path, enrolment: Path) -> None:
    """Put a file onto the data partition, unless that very file was put there before; the machine has to be off.

    Raises:
        HostError: the file system is damaged, or a program is missing.
        DataFolderError: the disk has no partition table.
    """
    digest, told = hashlib.sha256(enrolment.read_bytes()).hexdigest(), disk.with_name(PUT)
    if told.is_file() and told.read_text("ascii") == digest:
        return
    (data,) = (each for each in read_partitions(disk) if each.name == DATA)
    place = f"{disk}?offset={data.first_lba * SECTOR_BYTES}"
    run(["e2fsck", "-p", "-E", "journal_only", place])  # what a machine that was switched off left to be done
    run(["debugfs", "-w", "-R", f"rm {ENROLMENT_FILE}", place])
    run(["debugfs", "-w", "-R", f"write {enrolment.absolute()} {ENROLMENT_FILE}", place])
    told.write_text(digest, "ascii")
