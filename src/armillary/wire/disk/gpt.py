# SPDX-License-Identifier: Apache-2.0
"""The GUID partition table of a disk, as far as a device reads it: names, identities and places of partitions.

::

    "EFI PART", revision u32, header size u32, CRC-32 of the header with this field zero, u32 zero, own LBA u64,
    LBA of the other table u64, first and last usable LBA u64, disk GUID, LBA of the entries u64, count u32,
    size of an entry u32, CRC-32 of the entries
    entry: type GUID, partition GUID, first LBA u64, last LBA u64, attributes u64, name 72 bytes UTF-16

All integers are little endian, a sector has 512 bytes. Specification: UEFI 2.10, §5.3.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.errors import WireError

SECTOR_BYTES: Final = 512
HEADER_LBA: Final = 1  # of the table at the start; the other one is in the last sector
MAX_ENTRIES: Final = 128  # what every tool writes
ENTRY_BYTES: Final = 128

_WHAT: Final = "partition table"
_SIGNATURE: Final = b"EFI PART"
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_CRC_OFFSET: Final = 16
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_UNUSED: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class TableHeader:
    """A header whose checksum is right; ``entries_lba`` says where ``entries_bytes`` bytes of entries are."""

    entries_lba: int
    entries_bytes: int
    entries_crc: int


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: ``number`` counts from 1, ``first_lba`` and ``sectors`` are in sectors of 512 bytes."""

    number: int
    name: str
    guid: UUID
    first_lba: int
    sectors: int


def parse_header(sector: bytes, lba: int) -> TableHeader:
    """The header in the sector at ``lba``; WireError unless it is one, whole, and says that it is there."""
    if len(sector) < _HEADER.size or not sector.startswith(_SIGNATURE):
        raise WireError(_WHAT, expected=f"{_SIGNATURE!r} at sector {lba}", got=repr(sector[: len(_SIGNATURE)]))
    _, _, size, crc, _, own, _, _, _, _, entries_lba, count, entry_bytes, entries_crc = _HEADER.unpack_from(sector)
    if not _HEADER.size <= size <= len(sector):
        raise WireError(_WHAT, expected=f"a header of {_HEADER.size} to {len(sector)} bytes", got=f"{size}")
    zeroed = sector[:_CRC_OFFSET] + bytes(4) + sector[_CRC_OFFSET + 4 : size]
    if crc32(zeroed) != crc or own != lba:
        raise WireError(_WHAT, expected=f"a whole header at sector {lba}", got="one that is damaged or of elsewhere")
    if entry_bytes != ENTRY_BYTES or not 0 < count <= MAX_ENTRIES:
        raise WireError(
            _WHAT, expected=f"1 to {MAX_ENTRIES} entries of {ENTRY_BYTES} bytes", got=f"{count} of {entry_bytes}"
        )
    return TableHeader(entries_lba, count * entry_bytes, entries_crc)


def parse_entries(header: TableHeader, data: bytes) -> tuple[Partition, ...]:
    """The partitions in the entries that ``header`` names; WireError if they are damaged or contradict themselves."""
    if len(data) != header.entries_bytes or crc32(data) != header.entries_crc:
        raise WireError(_WHAT, expected="the entries that its header sums up", got="others")
    return tuple(_partitions(data))


def _partitions(data: bytes) -> Iterator[Partition]:
    for index in range(len(data) // ENTRY_BYTES):
        kind, guid, first, last, _, name = _ENTRY.unpack_from(data, index * ENTRY_BYTES)
        if kind == _UNUSED:
            continue
        if last < first:
            raise WireError(
                _WHAT, expected=f"partition {index + 1} to end at or after sector {first}", got=f"sector {last}"
            )
        try:
            text = name.decode("utf-16-le").split("\0", 1)[0]
        except UnicodeDecodeError as error:
            raise WireError(_WHAT, expected=f"a name of partition {index + 1} in UTF-16", got="other bytes") from error
        yield Partition(index + 1, text, UUID(bytes_le=guid), first, last - first + 1)
