# SPDX-License-Identifier: Apache-2.0
"""What is changed of the partition table by who writes the disk: pure, sectors in, sectors out.

A table is written twice, at the start of the disk and at its end. Where only one of them is damaged the firmware
repairs it by the other one. Tables that contradict the disk are whole: their checksums are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from armillary.device_image.disk import DATA, ROOT, STARTED
from armillary.device_image.tampering.variables import flipped
from armillary.engines.flash.os_disk import slot_partition
from armillary.wire.disk.gpt import SECTOR_BYTES, Partition
from armillary.wire.disk.gpt_writing import Layout, encode_tables

# A header has 92 bytes. The entries of the partitions that the disk has are the first of the table.
_HEADER_BYTES: Final = 92
_ENTRY_BYTES: Final = 128
_HEADER_AT, _ENTRIES_AT = SECTOR_BYTES, 2 * SECTOR_BYTES
# Where a table of somebody else has its partition: behind the last one of ours, on a disk that is larger.
FOREIGN_SECTORS: Final = 1 << 17


class Tables(NamedTuple):
    """What stands at the beginning of a disk (34 sectors), and at its end (33 sectors)."""

    begin: bytes
    end: bytes


Change = Callable[[Layout, Tables], Tables]


def first_header(seed: int) -> Change:
    """Bits of the header at the start."""
    return lambda _, found: found._replace(begin=flipped(found.begin, [(_HEADER_AT, _HEADER_BYTES)], seed=seed))


def first_entries(seed: int) -> Change:
    """Bits of the entries at the start: their checksum is wrong then."""

    def change(layout: Layout, found: Tables) -> Tables:
        entries = [(_ENTRIES_AT + number * _ENTRY_BYTES, _ENTRY_BYTES) for number in range(len(layout.partitions))]
        return found._replace(begin=flipped(found.begin, entries, seed=seed))

    return change


def second_header(seed: int) -> Change:
    """Bits of the header in the last sector."""
    return lambda _, found: found._replace(end=_flipped_end(found.end, seed))


def both_headers(seed: int) -> Change:
    """Bits of both headers."""
    return lambda layout, found: second_header(seed)(layout, first_header(seed)(layout, found))


def root_b_at_data(layout: Layout, _: Tables) -> Tables:
    """The root file system of slot B is said to be where the data are."""
    data = layout.partition(DATA)
    return _tables(_moved(layout, slot_partition(ROOT, "b"), data.first_lba))


def started_a_over_b(layout: Layout, _: Tables) -> Tables:
    """The partition that the firmware starts in slot A lies over that of slot B."""
    other = layout.partition(slot_partition(STARTED, "b"))
    return _tables(_moved(layout, slot_partition(STARTED, "a"), other.first_lba))


def data_over_root_a(layout: Layout, _: Tables) -> Tables:
    """The data are said to begin where the root file system of slot A does: what is written to them would change it."""
    return _tables(_moved(layout, DATA, layout.partition(slot_partition(ROOT, "a")).first_lba))


def equal_guids(layout: Layout, _: Tables) -> Tables:
    """Both partitions that the firmware starts have the GUID of slot A's."""
    guid = layout.partition(slot_partition(STARTED, "a")).guid
    return _tables(_with(layout, slot_partition(STARTED, "b"), lambda each: replace(each, guid=guid)))


def foreign_instead(name: str) -> Change:
    """Somebody else's partition, behind the others, has number, name and GUID of one of ours, which comes last then.

    All others keep their numbers, by which the firmware finds what it starts. The disk is larger by
    :data:`FOREIGN_SECTORS`.
    """

    def change(layout: Layout, _: Tables) -> Tables:
        original = layout.partition(name)
        foreign = replace(original, first_lba=foreign_place(layout), sectors=FOREIGN_SECTORS)
        kinds = dict(zip((each.name for each in layout.partitions), layout.kinds, strict=True))
        partitions = (*(foreign if each.name == name else each for each in layout.partitions), original)
        return _tables(
            replace(
                layout,
                sectors=layout.sectors + FOREIGN_SECTORS,
                partitions=partitions,
                kinds=tuple(kinds[each.name] for each in partitions),
            )
        )

    return change


def foreign_place(layout: Layout) -> int:
    """The first sector of somebody else's partition: what was the room for the table at the disk's end."""
    return max(each.first_lba + each.sectors for each in layout.partitions)


def _flipped_end(end: bytes, seed: int) -> bytes:
    return flipped(end, [(len(end) - SECTOR_BYTES, _HEADER_BYTES)], seed=seed)


def _tables(layout: Layout) -> Tables:
    return Tables(*encode_tables(layout))


def _moved(layout: Layout, name: str, first_lba: int) -> Layout:
    return _with(layout, name, lambda each: replace(each, first_lba=first_lba))


def _with(layout: Layout, name: str, change: Callable[[Partition], Partition]) -> Layout:
    return replace(layout, partitions=tuple(change(each) if each.name == name else each for each in layout.partitions))
