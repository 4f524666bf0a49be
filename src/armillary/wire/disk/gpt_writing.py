# SPDX-License-Identifier: Apache-2.0
"""Lays out and writes the GUID partition table of a new disk; ``gpt.py`` has the format and reads it.

GUIDs are made of names (:func:`named_guid`): the same layout gives the same bytes. Sector 0 has the protective MBR that
keeps tools which know no such table from taking the disk for an empty one.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from armillary.wire.disk.gpt import ENTRY_BYTES, HEADER_LBA, MAX_ENTRIES, SECTOR_BYTES, Partition

TABLE_SECTORS: Final = MAX_ENTRIES * ENTRY_BYTES // SECTOR_BYTES
# Partitions begin at whole mebibytes: every flash of today has erase blocks that divide it.
ALIGNMENT_SECTORS: Final = 2048
MAX_NAME_CHARACTERS: Final = 36
EFI_SYSTEM: Final = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_DATA: Final = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

_NAMES: Final = UUID("6e0b5f2c-64a0-5c0f-9a3d-5d0f4d1b7a16")
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_REVISION: Final = 0x00010000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A partition that a new disk shall have: its name, the GUID of its kind, at least so many bytes."""

    name: str
    kind: UUID
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk's partitions, with their kinds in the same order; ``sectors`` is its size."""

    guid: UUID
    sectors: int
    partitions: tuple[Partition, ...]
    kinds: tuple[UUID, ...]

    def partition(self, name: str) -> Partition:
        """The partition of a name; KeyError if there is none."""
        return {each.name: each for each in self.partitions}[name]


def named_guid(name: str) -> UUID:
    """The GUID of a name, the same in every image."""
    return uuid5(_NAMES, name)


def lay_out(name: str, wanted: Sequence[Wanted], *, first: int = ALIGNMENT_SECTORS) -> Layout:
    """Partitions one after the other from sector ``first`` on; the disk is as large as they need.

    ValueError for a name that does not fit.
    """
    partitions = []
    for number, each in enumerate(wanted, 1):
        if len(each.name) > MAX_NAME_CHARACTERS or not each.name.isascii():
            raise ValueError(f"partition: expected at most {MAX_NAME_CHARACTERS} ASCII characters, got {each.name!r}")
        sectors = -(-each.size // (SECTOR_BYTES * ALIGNMENT_SECTORS)) * ALIGNMENT_SECTORS
        partitions.append(Partition(number, each.name, named_guid(f"{name}/{each.name}"), first, sectors))
        first += sectors
    kinds = tuple(each.kind for each in wanted)
    return Layout(named_guid(name), first + ALIGNMENT_SECTORS, tuple(partitions), kinds)


def encode_tables(layout: Layout) -> tuple[bytes, bytes]:
    """What stands at the beginning of the disk (34 sectors), and at its end (33 sectors)."""
    entries = b"".join(
        _ENTRY.pack(
            kind.bytes_le,
            each.guid.bytes_le,
            each.first_lba,
            each.first_lba + each.sectors - 1,
            0,
            each.name.encode("utf-16-le"),
        )
        for each, kind in zip(layout.partitions, layout.kinds, strict=True)
    ).ljust(MAX_ENTRIES * ENTRY_BYTES, b"\0")
    last = layout.sectors - 1
    begin = _protective(layout.sectors) + _header(layout, entries, own=HEADER_LBA, other=last, at=2) + entries
    return begin, entries + _header(layout, entries, own=last, other=HEADER_LBA, at=last - TABLE_SECTORS)


def _header(layout: Layout, entries: bytes, *, own: int, other: int, at: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return _HEADER.pack(
            b"EFI PART", _REVISION, _HEADER.size, checksum, 0, own, other, 2 + TABLE_SECTORS,
            layout.sectors - TABLE_SECTORS - 2, layout.guid.bytes_le, at, MAX_ENTRIES, ENTRY_BYTES, crc32(entries),
        )  # fmt: skip

    return packed(crc32(packed(0))).ljust(SECTOR_BYTES, b"\0")


def _protective(sectors: int) -> bytes:
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
