# SPDX-License-Identifier: Apache-2.0
"""The disk of a device image: which of its partitions are slots of the OS.

A slot's partition is called as the boot component of the chip and the slot: ``root-fs-a``, ``root-fs-b``. The table at
the end of the disk counts where the one at its start is damaged. A disk with a partition for U-Boot's environment is
started by U-Boot, any other by UEFI.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.engines.flash import uboot_slots
from armillary.engines.flash.boot_slots import BootSlots, EfiBootSlots
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.flash.port import Flash
from armillary.engines.flash.uboot_slots import UBootSlots
from armillary.errors import DataFolderError, WireError
from armillary.update.install.component import SLOTS, os_region, other_slot
from armillary.wire.disk.gpt import HEADER_LBA, SECTOR_BYTES, Partition, parse_entries, parse_header

# The partition that the root file system is verified from, as long as it is mounted.
ROOT_NODES: Final = Path("/sys/block/dm-0/slaves")


@dataclass(frozen=True, slots=True)
class OsDisk:
    """The slots of the OS on a disk.

    ``nodes`` are the device nodes of flash regions; ``slots`` is what starts one of them, by its component ``started``.
    ``ahead`` are packages that are read before anybody asks (``PartitionFlash``). ``over`` is put over the files that
    all else is in. ``root_nodes`` has the node that the running root file system is on.
    """

    nodes: Mapping[str, Path]
    slots: BootSlots
    started: str
    ahead: dict[str, Future[bytes | None]] = field(default_factory=dict)
    over: Callable[[Flash], Flash] = lambda files: files
    root_nodes: Path = ROOT_NODES

    def flash(self, files: Flash) -> PartitionFlash:
        """The device's flash: OS slots on the disk, all else in ``files``."""
        return PartitionFlash(self.over(files), self.nodes, self.before_write, self.runs_from, self.ahead)

    def before_write(self, region: str) -> None:
        """Have the firmware rely on the other slot before one is overwritten that it starts.

        Else a start that stops early would lead to a slot that is half written, or to an OS that nobody has tried.

        Raises:
            DataFolderError: the machine runs from this slot, whatever its install record says of it.
            HostError: the firmware does not say which slot runs, or does not take what is next.
        """
        if self.runs_from(region):
            raise DataFolderError(
                f"{region}: expected the slot that the machine does not run from, got the one that it runs from",
                remedy="Restart the device: its install record names another OS than the one that runs.",
            )
        for slot in SLOTS:
            if region == os_region(self.started, slot):
                self.slots.start_next(other_slot(slot), settled=other_slot(slot))

    def runs_from(self, region: str) -> bool:
        """Whether the machine runs from this slot: its firmware started it, or it has the mounted root file system.

        What is in the slot beside it may be the same; a component that is neither of these runs from none.

        Raises:
            HostError: the firmware does not say which slot runs.
        """
        if region in (os_region(self.started, slot) for slot in SLOTS):
            return region == os_region(self.started, self.slots.booted())
        node = self.nodes.get(region)
        return node is not None and (self.root_nodes / node.name).exists()


def open_os_disk(
    disk: Path, components: Sequence[str], *, lost: Callable[[str], None] = lambda _sentence: None
) -> OsDisk:
    """Open the slots of a chip's boot components on ``disk``; UEFI or U-Boot starts the first component.

    ``lost`` gets a sentence for each boot entry of UEFI firmware that was missing and is made again, and one where
    U-Boot found both copies of its environment damaged.

    Raises:
        DataFolderError: the disk cannot be read, has no partition table, or lacks a slot.
    """
    partitions = {partition.name: partition for partition in read_partitions(disk)}
    nodes = {}
    for component in components:
        for slot in SLOTS:
            name = slot_partition(component, slot)
            if name not in partitions:
                raise DataFolderError(
                    f"{disk}: expected a partition {name}, found {', '.join(sorted(partitions)) or 'none'}",
                    remedy="Write the device image to this disk again, or name the disk that has it.",
                )
            nodes[os_region(component, slot)] = partition_node(disk, partitions[name].number)
    if uboot_slots.PARTITION in partitions:
        environment = partition_node(disk, partitions[uboot_slots.PARTITION].number)
        slots = UBootSlots(environment)
        if slots.was_begun_anew():
            lost(uboot_slots.BEGUN_ANEW)
        return OsDisk(nodes, slots, components[0])
    started = {slot: partitions[slot_partition(components[0], slot)] for slot in SLOTS}
    return OsDisk(nodes, EfiBootSlots(started, lost=lost), components[0])


def slot_partition(component: str, slot: str) -> str:
    """The name of a slot's partition."""
    return f"{component.lower()}-{slot}"


def partition_node(disk: Path, number: int) -> Path:
    """The device node of a partition, as Linux names it: ``vda3``, ``nvme0n1p3``."""
    return disk.with_name(f"{disk.name}{'p' if disk.name[-1].isdigit() else ''}{number}")


def read_partitions(disk: Path) -> tuple[Partition, ...]:
    """The partition table of a disk; DataFolderError if neither of its two copies is whole."""
    with _explained(disk):
        descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
        try:
            last = os.lseek(descriptor, 0, os.SEEK_END) // SECTOR_BYTES - 1
            problem: Exception | None = None
            for lba in (HEADER_LBA, last):
                try:
                    header = parse_header(os.pread(descriptor, SECTOR_BYTES, lba * SECTOR_BYTES), lba)
                    entries = os.pread(descriptor, header.entries_bytes, header.entries_lba * SECTOR_BYTES)
                    return parse_entries(header, entries)
                except (WireError, OSError, OverflowError) as error:  # one that leads outside of the disk included
                    problem = error
        finally:
            os.close(descriptor)
    raise DataFolderError(
        f"{disk}: no whole partition table: {problem}", remedy="Write the device image to this disk again."
    )


@contextlib.contextmanager
def _explained(disk: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, OverflowError) as error:
        raise DataFolderError(f"{disk}: {error}", remedy="Name the disk that the device image is on.") from error
