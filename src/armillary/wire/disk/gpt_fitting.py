# SPDX-License-Identifier: Apache-2.0
"""Fits the partition table of a disk image to the disk that it is written to.

Every disk gets GUIDs of its own: two disks with equal ones in one machine are told apart by nobody, the firmware
included. The last partition grows to the end of the disk. Format: ``gpt.py``; specification: UEFI 2.10, §5.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.disk.gpt import ENTRY_BYTES, HEADER_LBA, SECTOR_BYTES, parse_entries, parse_header
from armillary.wire.disk.gpt_writing import ALIGNMENT_SECTORS, TABLE_SECTORS, Layout

# Bytes at the start of a disk that are read: protective MBR, header, entries.
TABLE_BYTES: Final = (2 + TABLE_SECTORS) * SECTOR_BYTES
_DISK_GUID_OFFSET: Final = 56


def read_layout(begin: bytes, *, sectors: int) -> Layout:
    """The layout that the first ``TABLE_BYTES`` of a disk of so many sectors describe; WireError if damaged."""
    sector = begin[HEADER_LBA * SECTOR_BYTES : (HEADER_LBA + 1) * SECTOR_BYTES]
    header = parse_header(sector, HEADER_LBA)
    place = header.entries_lba * SECTOR_BYTES
    entries = begin[place : place + header.entries_bytes]
    partitions = parse_entries(header, entries)
    if not partitions or [each.number for each in partitions] != list(range(1, len(partitions) + 1)):
        raise WireError("partition table", expected="partitions numbered from 1", got=f"{len(partitions)} partitions")
    starts = [(each.number - 1) * ENTRY_BYTES for each in partitions]
    kinds = tuple(UUID(bytes_le=entries[start : start + 16]) for start in starts)
    guid = UUID(bytes_le=sector[_DISK_GUID_OFFSET : _DISK_GUID_OFFSET + 16])
    return Layout(guid, sectors, partitions, kinds)


def fitted(layout: Layout, *, sectors: int, guids: Sequence[UUID]) -> Layout:
    """The layout for a disk of so many sectors: ``guids`` are the disk's and its partitions', the last one grows.

    Raises:
        ValueError: the disk is smaller than the layout's, or there are too few GUIDs.
    """
    if sectors < layout.sectors:
        raise ValueError(f"expected a disk of at least {layout.sectors} sectors, got {sectors}")
    own, *others = guids
    placed = [replace(each, guid=guid) for each, guid in zip(layout.partitions, others, strict=True)]
    last = placed[-1]
    free = sectors - TABLE_SECTORS - 1 - last.first_lba
    placed[-1] = replace(last, sectors=max(last.sectors, free // ALIGNMENT_SECTORS * ALIGNMENT_SECTORS))
    return Layout(own, sectors, tuple(placed), layout.kinds)
