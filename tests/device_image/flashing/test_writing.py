# SPDX-License-Identifier: Apache-2.0
"""An image that is written to a disk: everything as in the image but GUIDs and a data partition up to the end."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.device_image.flashing.disks import describe, seen, table_bytes, tables, written

from armillary.device_image import disk as disk_image, tools
from armillary.device_image.architecture.description import read_description
from armillary.device_image.flashing import writing
from armillary.device_image.flashing.image_disk import Piece, image_disk
from armillary.device_image.flashing.medium import Medium, opened
from armillary.device_image.flashing.target import Target
from armillary.device_image.flashing.writing import write
from armillary.engines.flash.os_disk import read_partitions
from armillary.errors import HostError, InvalidArgumentError
from armillary.wire.disk.gpt import SECTOR_BYTES

pytestmark = pytest.mark.skipif(
    bool(tools.missing({"mke2fs": "e2fsprogs"})), reason="no mke2fs; to enable: sudo apt-get install e2fsprogs"
)
SECTORS = 2_500_000


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk as the build writes it, with a few bytes in each slot, which are smaller."""
    for name, mebibytes in (("STARTED_BYTES", 8), ("ROOT_BYTES", 16), ("DATA_BYTES", 16)):
        monkeypatch.setattr(disk_image, name, mebibytes << 20)
    started, root, data = (tmp_path / name for name in ("started", "root", "data"))
    started.write_bytes(b"signed file" * 1000)
    root.write_bytes(b"root" * 5000 + bytes(1 << 20) + b"tree")
    data.write_bytes(b"\1" * 4096)
    disk_image.write_disk(tmp_path / "disk.img", started=started, root=root, data=data)
    describe(tmp_path)
    return tmp_path / "disk.img"


@pytest.fixture
def guids() -> Iterator[UUID]:
    return (UUID(int=number) for number in range(1, 100))


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A disk that had something else, with a partition table at both ends."""
    file = tmp_path / "used"
    file.write_bytes(b"\xaa" * (1 << 20))
    os.truncate(file, SECTORS * SECTOR_BYTES)
    with file.open("r+b") as disk:
        disk.seek((SECTORS - 33) * SECTOR_BYTES)
        disk.write(b"\xaa" * 33 * SECTOR_BYTES)
    return file


def slots_at(path: Path) -> int:
    return read_partitions(path)[0].first_lba * SECTOR_BYTES


def slots(path: Path) -> bytes:
    first = slots_at(path)
    last = read_partitions(path)[-1].first_lba * SECTOR_BYTES
    with path.open("rb") as file:
        file.seek(first)
        return file.read(last - first)


def test_a_file_has_the_slots_of_the_image_and_guids_of_its_own(
    image: Path, tmp_path: Path, guids: Iterator[UUID]
) -> None:
    told: list[str] = []
    made = written(image.parent, Target(tmp_path / "flashed", SECTORS), guids=guids, progress=told.append)
    flashed = tmp_path / "flashed"
    assert flashed.stat().st_size == SECTORS * SECTOR_BYTES
    assert read_partitions(flashed) == made.partitions
    assert [each.name for each in made.partitions] == [each.name for each in read_partitions(image)]
    assert not {each.guid for each in made.partitions} & {each.guid for each in read_partitions(image)}
    assert slots(flashed) == slots(image)
    assert flashed.stat().st_blocks * 512 < 20_000_000, "it is sparse"
    assert told[-1] == "read back: it is what was written"
    assert {path.name for path in tmp_path.iterdir()} == {
        "started",
        "root",
        "data",
        "disk.img",
        "image.json",
        "flashed",
    }


def test_the_data_partition_has_a_file_system_up_to_the_end_of_the_disk(
    image: Path, tmp_path: Path, guids: Iterator[UUID]
) -> None:
    made = written(image.parent, Target(tmp_path / "flashed", SECTORS), guids=guids)
    data = made.partition("data")
    place = f"{tmp_path}/flashed?offset={data.first_lba * SECTOR_BYTES}"
    checked = subprocess.run(
        ["/usr/sbin/e2fsck", "-fn", place], capture_output=True, text=True, check=False, env={"PATH": tools.PATH}
    )
    assert checked.returncode == 0, checked.stdout
    said = tools.run(["debugfs", "-R", "show_super_stats -h", place]).decode()
    (blocks,) = [int(line.split()[-1]) for line in said.splitlines() if line.startswith("Block count:")]
    whole = data.sectors * SECTOR_BYTES // 4096
    assert whole - 32_768 < blocks <= whole  # mke2fs leaves out a last group that has hardly room for its own tables
    assert data.first_lba + data.sectors > SECTORS - 4096


def test_what_a_used_disk_had_before_shows_through_nowhere_in_the_slots(
    image: Path, tmp_path: Path, guids: Iterator[UUID]
) -> None:
    used = tmp_path / "used"
    with used.open("wb") as file:
        for _ in range(52):
            file.write(b"\xaa" * (1 << 20))
        file.truncate(SECTORS * SECTOR_BYTES)
    kernel = tables(tmp_path, SECTORS)
    written(image.parent, seen(used, kernel), kernel=kernel, guids=guids)
    assert slots(used) == slots(image)


@pytest.mark.parametrize("is_used", [False, True])
def test_a_loader_stands_between_the_table_and_the_slots(
    image: Path, tmp_path: Path, guids: Iterator[UUID], is_used: bool
) -> None:
    flashed, loader, at = tmp_path / "flashed", b"loader" * 10_000, 32 << 10
    if is_used:
        flashed.write_bytes(b"\xaa" * (1 << 20))
        os.truncate(flashed, SECTORS * SECTOR_BYTES)
    kernel = tables(tmp_path, SECTORS)
    target = seen(flashed, kernel) if is_used else Target(flashed, SECTORS)
    written(image.parent, target, kernel=kernel, guids=guids, loader=Piece(at, loader))
    begin = flashed.read_bytes()[: 1 << 20]
    assert begin[at:].startswith(loader)
    assert not any(begin[at + len(loader) :])
    assert not any(begin[34 * SECTOR_BYTES : at]), "what the used disk had is gone"
    assert slots(flashed) == slots(image)


def test_what_the_machine_is_told_is_on_its_data_partition(image: Path, tmp_path: Path, guids: Iterator[UUID]) -> None:
    told = b'{"token": "secret"}'
    made = written(image.parent, Target(tmp_path / "flashed", SECTORS), guids=guids, enrolment=told)
    place = f"{tmp_path}/flashed?offset={made.partition('data').first_lba * SECTOR_BYTES}"
    assert tools.run(["debugfs", "-R", "cat /enrolment.json", place]) == told
    said = tools.run(["debugfs", "-R", "stat /enrolment.json", place]).decode()
    assert "Mode:  0600" in said
    assert re.search(r"User: +0 ", said)


def test_a_medium_that_gives_back_something_else_is_found_and_no_file_is_left(
    image: Path, tmp_path: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.pwrite

    def broken(descriptor: int, data: bytes, at: int) -> int:
        changed = bytes(data) if at < 20_000_000 else bytes(data)[:-1] + b"?"
        return whole(descriptor, changed, at)

    monkeypatch.setattr(writing.os, "pwrite", broken)
    with pytest.raises(HostError, match=r"expected what was written at byte .*, read something else"):
        written(image.parent, Target(tmp_path / "flashed", SECTORS), guids=guids)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("flashed")]


@pytest.mark.parametrize(("begin", "end"), [(20_000_000, 40_000_000), ((SECTORS - 33) * SECTOR_BYTES, 2 << 30)])
def test_a_disk_that_gives_back_something_else_has_no_partition_table(
    image: Path, used: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch, begin: int, end: int
) -> None:
    """In a slot, and at the end of the disk, where the second table is: neither table stays, nor does the old one."""
    whole = os.pwrite
    begun: list[int] = []

    def broken(descriptor: int, data: bytes, at: int) -> int:
        begun.append(at)
        changed = bytes(data) if not begin <= at < end or not any(data) else bytes(data)[:-1] + b"?"
        return whole(descriptor, changed, at)

    monkeypatch.setattr(writing.os, "pwrite", broken)
    kernel = tables(used.parent, SECTORS)
    with pytest.raises(HostError, match=r"used: expected what was written at byte .*, read something else"):
        written(image.parent, seen(used, kernel), kernel=kernel, guids=guids)
    assert len(begun) > 50
    assert not any(table_bytes(used, SECTORS))


def test_a_table_is_written_when_all_else_was_read_back(
    image: Path, used: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flash that is killed between, or whose disk is pulled out, has left none."""
    verify = writing._verify
    before: list[bytes] = []

    def looking(medium: Medium, pieces: list[writing._Written]) -> None:
        before.append(table_bytes(used, SECTORS))
        verify(medium, pieces)

    monkeypatch.setattr(writing, "_verify", looking)
    kernel = tables(used.parent, SECTORS)
    written(image.parent, seen(used, kernel), kernel=kernel, guids=guids)
    content, tables_ = before
    assert not any(content)
    assert tables_.count(b"EFI PART") == 2


def test_a_medium_that_fails_is_named_and_has_no_partition_table(
    image: Path, used: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.pwrite

    def failing(descriptor: int, data: bytes, at: int) -> int:
        if 20_000_000 < at < 40_000_000:
            raise OSError(5, "Input/output error")
        return whole(descriptor, data, at)

    monkeypatch.setattr(writing.os, "pwrite", failing)
    kernel = tables(used.parent, SECTORS)
    with pytest.raises(HostError, match="used: Input/output error"):
        written(image.parent, seen(used, kernel), kernel=kernel, guids=guids)
    assert not any(table_bytes(used, SECTORS))


def test_an_image_that_changes_while_it_is_written_leaves_no_partition_table(
    image: Path, used: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed in its place, which an open file does not keep out, and after the look at it."""
    whole = Medium.refuse_another

    def change(self: Medium) -> None:
        whole(self)
        with image.open("r+b") as disk:
            disk.seek(slots_at(image))
            disk.write(b"another system")

    monkeypatch.setattr(writing.Medium, "refuse_another", change)
    kernel = tables(used.parent, SECTORS)
    with (
        image_disk(image.parent, read_description(image.parent)) as disk,
        opened(seen(used, kernel), kernel) as stick,
        pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the file that was built \(SHA-256 "),
    ):
        write(disk, stick, guids=lambda: next(guids))
    assert not any(table_bytes(used, SECTORS))


def test_a_disk_for_whose_data_no_temporary_file_can_be_made_is_not_touched(
    image: Path, used: Path, guids: Iterator[UUID]
) -> None:
    kernel = tables(used.parent, SECTORS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 20, hard))
    try:
        with pytest.raises(HostError, match=r"expected room for the file system .*: File too large") as refused:
            written(image.parent, seen(used, kernel), kernel=kernel, guids=guids)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "TMPDIR=DIR" in refused.value.remedy
    assert used.read_bytes()[: 1 << 20] == b"\xaa" * (1 << 20)
