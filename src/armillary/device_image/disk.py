# SPDX-License-Identifier: Apache-2.0
"""The disk of a device: two slots of the OS, and the data of the device.

::

       uboot-environment        only where U-Boot starts the image: which slot is next, twice
    1  unified-kernel-image-a   FAT with one file, EFI/BOOT/BOOTX64.EFI (BOOTAA64.EFI): the signed unified image;
                                where U-Boot starts it, the signed file (FIT) itself
    2  root-fs-a                EROFS and its verity tree
    3  unified-kernel-image-b   as 1: a new image has the same in both slots; a damaged one gives way
    4  root-fs-b                as 2
    5  data                     ext4: what the device keeps

Slots are called as the boot components of the chip and the slot (``engines/flash/os_disk.py``). What is in them is the
payload of the release's packages: the device gets their metadata and signatures from its factory.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from armillary.device_image.tools import MADE_AT, run
from armillary.engines.flash import uboot_slots
from armillary.engines.flash.os_disk import slot_partition
from armillary.errors import HostError
from armillary.update.install.component import SLOTS
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import EFI_SYSTEM, LINUX_DATA, Layout, Wanted, encode_tables, lay_out, named_guid

MEBIBYTE: Final = 1 << 20
BLOCK_BYTES: Final = 4096
NAME: Final = "armillary device"
# The components of a gateway's chip that are on the disk: what the firmware starts, and what that mounts.
STARTED, ROOT = "unified-kernel-image", "root-fs"
DATA: Final = "data"
# On the data partition: whose device the machine becomes (``device/machine/enrolling.py``).
ENROLMENT_FILE: Final = "enrolment.json"
# In the folder of a built image: what a slot's first partition has, a payload of its own of a release.
STARTED_FILE: Final = "started.img"
# Room for images of later years: a partition cannot grow over the air.
STARTED_BYTES: Final = 64 * MEBIBYTE
ROOT_BYTES: Final = 96 * MEBIBYTE
DATA_BYTES: Final = 512 * MEBIBYTE
# Where U-Boot starts the image: behind the first partition table there is room for it, 4 MiB in all; then its
# environment. It reads so much of a slot's first partition (image/uboot/imx8mp.env).
UBOOT_BYTES: Final = 4 * MEBIBYTE
ENVIRONMENT_BYTES: Final = MEBIBYTE
# QEMU's memory cards have a size that is a power of two: this disk has one gibibyte.
UBOOT_DATA_BYTES: Final = 698 * MEBIBYTE
SLOT_FILE_BYTES: Final = 8 * MEBIBYTE
# Said in full, because a host's mke2fs.conf may say otherwise: ext4 with a journal, which a power cut needs.
FEATURES: Final = (
    "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
# Of a file system that has one file: its tables and folders.
_FAT_BYTES: Final = 3 * MEBIBYTE
_FAT_LEAST_BYTES: Final = 16 * MEBIBYTE


def layout(*, has_uboot: bool = False) -> Layout:
    """The partitions of every device image; with U-Boot, there is room for it and its environment before the slots."""
    kind = LINUX_DATA if has_uboot else EFI_SYSTEM
    slots = [
        wanted
        for slot in SLOTS
        for wanted in (
            Wanted(slot_partition(STARTED, slot), kind, STARTED_BYTES),
            Wanted(slot_partition(ROOT, slot), LINUX_DATA, ROOT_BYTES),
        )
    ]
    if not has_uboot:
        return lay_out(NAME, [*slots, Wanted(DATA, LINUX_DATA, DATA_BYTES)])
    data = Wanted(DATA, LINUX_DATA, UBOOT_DATA_BYTES)
    environment = Wanted(uboot_slots.PARTITION, LINUX_DATA, ENVIRONMENT_BYTES)
    return lay_out(NAME, [environment, *slots, data], first=UBOOT_BYTES // SECTOR_BYTES)


def boot_partition(unified: bytes, file: Path, name: str) -> None:
    """A FAT file system with the unified image where the firmware looks for it, and called as it wants (``name``)."""
    with tempfile.TemporaryDirectory(prefix="armillary-boot-") as folder:
        image = Path(folder) / name
        image.write_bytes(unified)
        os.utime(image, (MADE_AT, MADE_AT))
        with file.open("wb") as made:
            made.truncate(_whole(max(_FAT_LEAST_BYTES, len(unified) + _FAT_BYTES)))
        run(["mkfs.vfat", "--invariant", "-F", "16", "-i", "A0317A12", "-n", "ARMILLARY", file])
        run(["mmd", "-i", file, "::EFI", "::EFI/BOOT"])
        run(["mcopy", "-m", "-i", file, image, f"::EFI/BOOT/{name}"])
        _cut_off_zeros(file)


def _cut_off_zeros(file: Path) -> None:
    """Leave out what is free at the end of a file system: it is in every release, and zero on every new disk."""
    content = file.read_bytes().rstrip(b"\0")
    with file.open("r+b") as made:
        made.truncate(-(-len(content) // BLOCK_BYTES) * BLOCK_BYTES)


def data_partition(file: Path, size: int = DATA_BYTES) -> None:
    """An empty ext4 file system of so many bytes for what the device keeps."""
    with file.open("wb") as made:
        made.truncate(size)
    guid = str(named_guid(f"{NAME}/data file system"))
    run(
        [
            *("mke2fs", "-q", "-F", "-L", "data", "-m", "1", "-U", guid, "-b", "4096", "-I", "256", "-O", FEATURES),
            *("-E", f"hash_seed={guid},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", file),
        ],
        environment={"MKE2FS_CONFIG": "/dev/null", "E2FSPROGS_FAKE_TIME": str(MADE_AT)},
    )


def write_disk(file: Path, *, started: Path, root: Path, data: Path, has_uboot: bool = False) -> Layout:
    """Write a whole disk, sparse; both slots get the same."""
    made = layout(has_uboot=has_uboot)
    begin, end = encode_tables(made)
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("wb") as disk:
        disk.truncate(made.sectors * SECTOR_BYTES)
        disk.write(begin)
        for slot in SLOTS:
            _copy(disk.fileno(), started, made, slot_partition(STARTED, slot))
            _copy(disk.fileno(), root, made, slot_partition(ROOT, slot))
        _copy(disk.fileno(), data, made, DATA)
        os.pwrite(disk.fileno(), end, made.sectors * SECTOR_BYTES - len(end))
    fresh.replace(file)
    return made


def copy_changed(source: int, target: int, size: int, *, begin: int = 0, to: int = 0) -> None:
    """Copy so many bytes from one file to another, from and to these offsets, where they differ: holes stay holes."""
    for at in range(0, size, MEBIBYTE):
        block = os.pread(source, min(MEBIBYTE, size - at), begin + at)
        if os.pread(target, len(block), to + at) != block:
            os.pwrite(target, block, to + at)


def _copy(disk: int, source: Path, made: Layout, name: str) -> None:
    """Copy a file to a partition, leaving holes where there are only zeros; HostError if it does not fit."""
    partition = made.partition(name)
    # A slot keeps its length in its last sector.
    room = partition.sectors * SECTOR_BYTES - (0 if name == DATA else SECTOR_BYTES)
    if source.stat().st_size > room:
        raise HostError(
            f"{name}: expected at most {room:,} bytes, got {source.stat().st_size:,}",
            remedy="Leave something out of the image: image/image.toml.",
        )
    offset = partition.first_lba * SECTOR_BYTES
    with source.open("rb") as file:
        while block := file.read(MEBIBYTE):
            if any(block):
                os.pwrite(disk, block, offset)
            offset += len(block)


def _whole(size: int) -> int:
    return -(-size // MEBIBYTE) * MEBIBYTE
