# SPDX-License-Identifier: Apache-2.0
"""An image's partition table on a larger disk: GUIDs of its own, the last partition to the end; sgdisk finds no fault."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from armillary.engines.flash.os_disk import read_partitions
from armillary.errors import WireError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_fitting import TABLE_BYTES, fitted, read_layout
from armillary.wire.disk.gpt_writing import EFI_SYSTEM, LINUX_DATA, Layout, Wanted, encode_tables, lay_out

MEBIBYTE = 1 << 20
GUIDS = [UUID(int=number) for number in range(1, 4)]


def layout() -> Layout:
    return lay_out("test", [Wanted("boot-a", EFI_SYSTEM, 5 * MEBIBYTE), Wanted("data", LINUX_DATA, 2 * MEBIBYTE)])


def test_the_layout_of_an_image_is_read_as_it_was_written() -> None:
    begin, _ = encode_tables(layout())
    assert len(begin) == TABLE_BYTES
    assert read_layout(begin, sectors=layout().sectors) == layout()


@pytest.mark.parametrize("sectors", [layout().sectors, 100_001, 1 << 32])
def test_the_last_partition_reaches_the_end_and_no_guid_is_the_images(sectors: int) -> None:
    made = fitted(layout(), sectors=sectors, guids=GUIDS)
    data = made.partition("data")
    assert (made.guid, *(each.guid for each in made.partitions)) == (*GUIDS,)
    assert made.partition("boot-a").first_lba == layout().partition("boot-a").first_lba
    end = data.first_lba + data.sectors
    assert sectors - 34 - 2048 < end <= sectors - 33 or data.sectors == layout().partition("data").sectors
    assert read_layout(encode_tables(made)[0], sectors=sectors) == made


@pytest.mark.skipif(shutil.which("sgdisk") is None, reason="sgdisk: sudo apt-get install gdisk")
def test_sgdisk_finds_no_fault(tmp_path: Path) -> None:
    made = fitted(layout(), sectors=100_001, guids=GUIDS)
    begin, end = encode_tables(made)
    path = tmp_path / "disk"
    path.write_bytes(begin + bytes(made.sectors * SECTOR_BYTES - len(begin) - len(end)) + end)
    assert read_partitions(path) == made.partitions
    said = subprocess.run(["sgdisk", "-v", path], capture_output=True, text=True, check=True).stdout
    assert "No problems found" in said


def test_a_smaller_disk_and_a_damaged_table_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a disk of at least"):
        fitted(layout(), sectors=layout().sectors - 1, guids=GUIDS)
    begin = bytearray(encode_tables(layout())[0])
    begin[2 * SECTOR_BYTES + 40] ^= 1
    with pytest.raises(WireError):
        read_layout(bytes(begin), sectors=layout().sectors)
    with pytest.raises(WireError):
        read_layout(b"", sectors=1)
