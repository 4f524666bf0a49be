# SPDX-License-Identifier: Apache-2.0
"""The program in a slot's first partition is found, by our own file systems and by mtools'; anything else is refused."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from tests.fixtures.boot_partitions import DATA, SECTOR, boot_partition

from armillary.device_image import disk
from armillary.errors import WireError
from armillary.wire.device_image.boot_partition import started_program

PROGRAM = bytes(range(256)) * 9 + b"end"


def test_a_program_is_read_cluster_by_cluster() -> None:
    assert started_program(boot_partition(PROGRAM)) == PROGRAM


def test_what_is_missing_at_the_end_is_zero() -> None:
    program = PROGRAM + bytes(3000)
    assert started_program(boot_partition(program).rstrip(b"\0")) == program


@pytest.mark.skipif(shutil.which("mcopy") is None, reason="mtools are missing: scripts/install-image-tools")
def test_what_a_build_writes_is_read(tmp_path: Path) -> None:
    program = PROGRAM * 500
    disk.boot_partition(program, tmp_path / "started.img", "BOOTAA64.EFI")
    assert started_program((tmp_path / "started.img").read_bytes()) == program


def changed(place: int, content: bytes) -> bytes:
    image = boot_partition(PROGRAM)
    return image[:place] + content + image[place + len(content) :]


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (b"", "boot sector"),
        (b"\0" * 4096, "FAT16"),
        (changed(11, struct.pack("<H", 500)), "FAT16"),
        (changed(DATA, b"BOOK"), "a folder BOOT"),
        (boot_partition(PROGRAM, name=b"BOOTX64 TXT"), "one program"),
        (boot_partition(PROGRAM, twice=True), "one program"),
        (changed(DATA + SECTOR + 28, struct.pack("<I", 1 << 30)), "one program of at most"),
        (changed(SECTOR + 8, struct.pack("<H", 0xFFFF)), "a file of 2307 bytes"),
        (changed(DATA + SECTOR + 26, struct.pack("<H", 3000)), "a cluster of the table"),
    ],
    ids=["nothing", "zeros", "sector", "folder", "ending", "two", "huge", "short chain", "outside"],
)
def test_anything_else_is_refused(image: bytes, got: str) -> None:
    with pytest.raises(WireError, match=got):
        started_program(image)


def test_a_chain_that_goes_round_ends_with_the_file() -> None:
    image = changed(SECTOR + 2 * 4, struct.pack("<H", 4))
    assert started_program(image) == (PROGRAM[:SECTOR] * 5)[: len(PROGRAM)]
