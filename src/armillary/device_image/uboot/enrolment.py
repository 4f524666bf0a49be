# SPDX-License-Identifier: Apache-2.0
"""Puts an enrolment onto the data partition of a machine whose host cannot hand it a file otherwise."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from armillary.device_image.disk import DATA, ENROLMENT_FILE, copy_changed
from armillary.device_image.machine_folder.checks import PRIVATE
from armillary.device_image.tools import run
from armillary.engines.flash.os_disk import read_partitions
from armillary.wire.disk.gpt import SECTOR_BYTES

# Beside the disk: SHA-256 of the enrolment that is on it. The file system of a machine that runs is never written.
PUT: Final = "enrolment.put"


def put_enrolment(disk: Path, enrolment: Path) -> None:
    """Put a file onto the data partition, unless that very file was put there before; the machine has to be off.

    The disk is replaced by one with the file on it, or stays as it is.

    Raises:
        HostError: the file system is damaged, or a program is missing.
        DataFolderError: the disk has no partition table.
    """
    digest, told = hashlib.sha256(enrolment.read_bytes()).hexdigest(), disk.with_name(PUT)
    if told.is_file() and told.read_text("ascii") == digest:
        return
    (data,) = (each for each in read_partitions(disk) if each.name == DATA)
    place, size = data.first_lba * SECTOR_BYTES, data.sectors * SECTOR_BYTES
    with tempfile.TemporaryDirectory(dir=disk.parent, prefix="enrolment-") as folder:
        # Programs of ext4 do not find a file system inside a disk again once they have recovered its journal.
        fresh, alone = Path(folder) / disk.name, Path(folder) / DATA
        fresh.touch(mode=PRIVATE)  # the token is good until the machine has used it
        run(["cp", "--sparse=always", disk, fresh])
        with fresh.open("r+b") as whole, alone.open("w+b") as part:
            part.truncate(size)
            copy_changed(whole.fileno(), part.fileno(), size, begin=place)
            _write(alone, enrolment.read_bytes(), Path(folder))
            copy_changed(part.fileno(), whole.fileno(), size, to=place)
            os.fsync(whole.fileno())
        fresh.rename(disk)
    told.write_text(digest, "ascii")


def _write(data: Path, enrolment: bytes, folder: Path) -> None:
    """Put a file into a file system, and what was left to be done when the machine was switched off is done.

    It goes by a file in ``folder`` without a path: debugfs takes a space in one for the end of it, and says nothing.
    """
    (folder / ENROLMENT_FILE).write_bytes(enrolment)
    run(["e2fsck", "-p", "-E", "journal_only", data])
    run(["debugfs", "-w", "-R", f"rm {ENROLMENT_FILE}", data])
    run(["debugfs", "-w", "-R", f"write {ENROLMENT_FILE} {ENROLMENT_FILE}", data], folder=folder)
