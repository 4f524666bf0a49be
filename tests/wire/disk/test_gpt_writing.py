# SPDX-License-Identifier: Apache-2.0
"""The partition table of a new disk: our reader and sgdisk read it, both copies of it, and equal names give equal bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from armillary.engines.flash.os_disk import read_partitions
from armillary.wire.disk.gpt import HEADER_LBA, SECTOR_BYTES, parse_entries, parse_header
from armillary.wire.disk.gpt_writing import EFI_SYSTEM, LINUX_DATA, Layout, Wanted, encode_tables, lay_out, named_guid

MEBIBYTE = 1 << 20


def layout() -> Layout:
    return lay_out("test", [Wanted("boot-a", EFI_SYSTEM, 5 * MEBIBYTE), Wanted("root-a", LINUX_DATA, 1)])


def disk(folder: Path) -> Path:
    made = layout()
    begin, end = encode_tables(made)
    path = folder / "disk"
    path.write_bytes(begin + bytes(made.sectors * SECTOR_BYTES - len(begin) - len(end)) + end)
    return path


def test_partitions_follow_one_another_at_whole_mebibytes() -> None:
    made = layout()
    assert [(each.name, each.first_lba, each.sectors) for each in made.partitions] == [
        ("boot-a", 2048, 5 * 2048),
        ("root-a", 6 * 2048, 2048),
    ]
    assert made.sectors == 8 * 2048
    assert made.partition("root-a").guid == named_guid("test/root-a")


def test_our_reader_finds_the_same_partitions_and_so_it_does_by_the_copy_at_the_end(tmp_path: Path) -> None:
    path, made = disk(tmp_path), layout()
    assert read_partitions(path) == made.partitions
    with path.open("r+b") as file:
        file.seek(SECTOR_BYTES)
        file.write(b"NO TABLE")
    assert read_partitions(path) == made.partitions


def test_the_same_layout_gives_the_same_bytes() -> None:
    assert encode_tables(layout()) == encode_tables(layout())


def test_header_and_entries_carry_their_checksums() -> None:
    begin, _ = encode_tables(layout())
    header = parse_header(begin[SECTOR_BYTES : 2 * SECTOR_BYTES], HEADER_LBA)
    assert parse_entries(header, begin[2 * SECTOR_BYTES :]) == layout().partitions


@pytest.mark.parametrize("name", ["a" * 37, "wörter"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at most 36 ASCII characters"):
        lay_out("test", [Wanted(name, LINUX_DATA, 1)])


@pytest.mark.skipif(shutil.which("sgdisk", path="/usr/sbin:/sbin") is None, reason="sgdisk: sudo apt-get install gdisk")
def test_sgdisk_finds_nothing_wrong(tmp_path: Path) -> None:
    command = [shutil.which("sgdisk", path="/usr/sbin:/sbin") or "", "--verify", "--print", str(disk(tmp_path))]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "No problems found" in said
    assert "boot-a" in said
    assert "EF00" in said
