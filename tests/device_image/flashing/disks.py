# SPDX-License-Identifier: Apache-2.0
"""Disks of tests: files that tables of a kernel call disks; and a flash without its command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from armillary.device_image import tools
from armillary.device_image.architecture.description import read_description
from armillary.device_image.flashing.image_disk import Piece, image_disk
from armillary.device_image.flashing.medium import opened
from armillary.device_image.flashing.target import Kernel, Target, look_at_disk
from armillary.device_image.flashing.writing import write
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import Layout

# A device number of none: what a file that is opened in place of a disk has.
NUMBER = "0:0"


def tables(folder: Path, sectors: int, *, model: str = "Stick") -> Kernel:
    """Tables of a kernel that calls the file that is opened a disk."""
    disk = folder / "sys/dev/block" / NUMBER
    (disk / "device").mkdir(parents=True)
    (disk / "device/model").write_text(f"{model}\n")
    (disk / "size").write_text(f"{sectors}\n")
    (disk / "diskseq").write_text("7\n")
    return Kernel(folder / "sys", folder / "proc")


def seen(path: Path, kernel: Kernel) -> Target:
    """The disk that a look at these tables gives."""
    return look_at_disk(path, NUMBER, least_sectors=1, kernel=kernel)


def describe(image: Path, **more: object) -> None:
    """Write what the disk of the image in a folder is."""
    about = {"architecture": "x86_64", "sha256": {"disk.img": tools.digest_of(image / "disk.img")}}
    (image / "image.json").write_text(json.dumps(about | more))


def written(
    image: Path,
    target: Target,
    *,
    kernel: Kernel | None = None,
    guids: Iterator[UUID],
    progress: Callable[[str], None] = lambda _: None,
    loader: Piece | None = None,
    enrolment: bytes | None = None,
) -> Layout:
    """What the command does after its looks: the image in a folder, written to a target."""
    with image_disk(image, read_description(image)) as disk, opened(target, kernel) as medium:
        disk.verify()
        return write(disk, medium, guids=lambda: next(guids), progress=progress, loader=loader, enrolment=enrolment)


def table_bytes(disk: Path, sectors: int) -> bytes:
    """What stands at the places of both partition tables, the beginning and the end of a disk."""
    with disk.open("rb") as file:
        begin = file.read(34 * SECTOR_BYTES)
        file.seek((sectors - 33) * SECTOR_BYTES)
        return begin + file.read(33 * SECTOR_BYTES)
