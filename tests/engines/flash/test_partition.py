# SPDX-License-Identifier: Apache-2.0
"""OS slots that are partitions: files stand for the partitions here, a boot in QEMU has real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.partition import Extent, PartitionFlash, extent, read_beginning
from armillary.engines.flash.port import Flash, replace_region, store_region
from armillary.errors import DataFolderError, FlashFullError

ROOM = 64 * 1024
REGION = "boot.b/root-fs"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "vda4"
    path.write_bytes(os.urandom(ROOM).replace(b"\0", b"x"))  # a partition that held something else, up to its end
    return path


@pytest.fixture
def flash(tmp_path: Path, node: Path) -> PartitionFlash:
    return PartitionFlash(FileFlash(tmp_path / "flash"), {REGION: node})


def test_a_package_begins_where_its_partition_begins(flash: Flash, node: Path) -> None:
    assert flash.read(REGION) is None
    store_region(flash, REGION, b"file system, then its metadata")
    assert node.read_bytes().startswith(b"file system, then its metadata")
    assert node.stat().st_size == ROOM
    assert flash.read(REGION) == b"file system, then its metadata"


def test_a_partition_has_room_for_all_but_its_last_sector(flash: Flash, node: Path) -> None:
    room = flash.room(REGION)
    assert room == node.stat().st_size - 512
    store_region(flash, REGION, bytes(room))
    with pytest.raises(FlashFullError):
        flash.write(REGION, bytes(room + 1))
    assert flash.room("device/minimums") is None
    node.unlink()
    with pytest.raises(DataFolderError, match="vda4"):
        flash.room(REGION)


def test_other_regions_are_files(flash: Flash, tmp_path: Path) -> None:
    replace_region(flash, "device/minimums", b"x")
    assert (tmp_path / "flash" / "device" / "minimums").read_bytes() == b"x"
    store_region(flash, REGION, b"os")
    assert flash.regions("") == (REGION, "device/minimums")
    assert flash.regions("boot.b/") == (REGION,)


def test_a_fetched_package_is_put_into_its_slot_and_its_copy_goes(flash: Flash) -> None:
    store_region(flash, "fetched/root", b"new")
    flash.rename("fetched/root", REGION)
    assert flash.read(REGION) == b"new"
    assert flash.read("fetched/root") is None
    with pytest.raises(DataFolderError, match="fetched/root"):
        flash.rename("fetched/root", REGION)
    assert flash.read(REGION) == b"new"


def test_a_cut_while_a_slot_is_written_leaves_the_fetched_package(
    flash: Flash, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_region(flash, "fetched/root", b"n" * 30_000)

    def cut(*_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", cut)
        with pytest.raises(KeyboardInterrupt):
            flash.rename("fetched/root", REGION)
    assert flash.read("fetched/root") == b"n" * 30_000
    flash.rename("fetched/root", REGION)
    assert flash.read(REGION) == b"n" * 30_000


def test_what_does_not_fit_is_refused_before_a_byte_is_written(flash: Flash, node: Path) -> None:
    store_region(flash, REGION, b"before")
    before = node.read_bytes()
    with pytest.raises(FlashFullError, match=f"at most {ROOM - 512} bytes"):
        flash.write(REGION, bytes(ROOM - 511))
    assert node.read_bytes() == before
    store_region(flash, REGION, bytes(ROOM - 512))
    assert flash.read(REGION) == bytes(ROOM - 512)


def test_an_empty_slot_holds_nothing(flash: Flash) -> None:
    store_region(flash, REGION, b"os")
    flash.remove(REGION)
    flash.remove(REGION)
    assert flash.read(REGION) is None
    assert flash.regions("") == ()


@pytest.mark.parametrize("at", [0, 15, 16, 23, 24, 27])
def test_a_damaged_last_sector_is_an_empty_slot(flash: Flash, node: Path, at: int) -> None:
    store_region(flash, REGION, b"os")
    with node.open("r+b") as file:
        file.seek(ROOM - 512 + at)
        byte = file.read(1)[0]
        file.seek(ROOM - 512 + at)
        file.write(bytes([byte ^ 1]))
    assert flash.read(REGION) is None


def test_a_missing_disk_is_a_clear_error(flash: Flash, node: Path) -> None:
    node.unlink()
    for operation in (lambda: flash.read(REGION), lambda: flash.write(REGION, b"x"), lambda: flash.regions("boot")):
        with pytest.raises(DataFolderError, match="vda4"):
            operation()


def test_a_payload_that_is_there_gets_its_metadata_and_is_not_written(flash: PartitionFlash, node: Path) -> None:
    payload = os.urandom(20_000)
    with node.open("r+b") as file:
        file.write(payload)
    flash.complete(REGION, b"metadata", len(payload))
    assert flash.read(REGION) == payload + b"metadata"
    before = node.read_bytes()
    with pytest.raises(FlashFullError, match="at most"):
        flash.complete(REGION, bytes(ROOM), len(payload))
    assert node.read_bytes() == before


def test_how_much_is_in_a_partition(flash: PartitionFlash, node: Path) -> None:
    assert extent(node) == Extent(ROOM - 512, is_package=False), "it is full, but for the sector of the length"
    node.write_bytes(b"payload\0\0".ljust(ROOM - 1, b"\0") + b"x")
    assert extent(node) == Extent(7, is_package=False), "the last sector says nothing, and is not looked at"
    node.write_bytes(bytes(ROOM))
    assert extent(node) == Extent(0, is_package=False)
    node.write_bytes(b"old" * (ROOM // 3 + 1))
    store_region(flash, REGION, b"new")
    assert extent(node) == Extent(3, is_package=True), "what is behind a package is nobody's"


def test_the_content_of_a_large_partition_is_found_piece_by_piece(tmp_path: Path) -> None:
    node = tmp_path / "vda5"
    for end in (1, 512, (1 << 20) - 511, 1 << 20, (1 << 20) + 1, (3 << 20) - 512):
        node.write_bytes((bytes(end - 1) + b"x").ljust(3 << 20, b"\0"))
        assert extent(node).length == end


def test_a_cut_while_a_payload_becomes_a_package_leaves_its_length(
    flash: PartitionFlash, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a part of the metadata would be content of a partition that is not known to be a package's."""
    node.write_bytes(b"payload".ljust(ROOM, b"\0"))
    before, write = read_beginning(node, ROOM), os.write
    for writes in range(2):
        left = [writes]

        def cut(descriptor: int, data: Any, left: list[int] = left) -> int:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return write(descriptor, data)

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", cut)
            with pytest.raises(KeyboardInterrupt):
                flash.complete(REGION, b" and its metadata", 7)
        assert read_beginning(node, ROOM) == before
        assert extent(node) == (Extent(24, is_package=True) if writes else Extent(7, is_package=False))
    flash.complete(REGION, b" and its metadata", 7)
    assert flash.read(REGION) == b"payload and its metadata"
