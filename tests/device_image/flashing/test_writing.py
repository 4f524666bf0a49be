# SPDX-License-Identifier: Apache-2.0
"""An image that is written to a disk: everything as in the image but GUIDs and a data partition up to the end."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from armillary.device_image import disk as disk_image, tools
from armillary.device_image.flashing import writing
from armillary.device_image.flashing.target import Target
from armillary.device_image.flashing.writing import Piece, image_layout, write
from armillary.engines.flash.os_disk import read_partitions
from armillary.errors import HostError, InvalidArgumentError
from armillary.wire.disk.gpt import SECTOR_BYTES

pytestmark = pytest.mark.skipif(
    bool(tools.missing({"mke2fs": "e2fsprogs"})), reason="no mke2fs; to enable: sudo apt-get install e2fsprogs"
)
SECTORS = 2_500_000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk as the build writes it, with a few bytes in each slot."""
    started, root, data = (tmp_path / name for name in ("started", "root", "data"))
    started.write_bytes(b"signed file" * 1000)
    root.write_bytes(b"root" * 5000 + bytes(1 << 20) + b"tree")
    data.write_bytes(b"\1" * 4096)
    disk_image.write_disk(tmp_path / "disk.img", started=started, root=root, data=data)
    return tmp_path / "disk.img"


@pytest.fixture
def guids() -> Iterator[UUID]:
    return (UUID(int=number) for number in range(1, 100))


def slots(path: Path) -> bytes:
    first = read_partitions(path)[0].first_lba * SECTOR_BYTES
    last = read_partitions(path)[-1].first_lba * SECTOR_BYTES
    with path.open("rb") as file:
        file.seek(first)
        return file.read(last - first)


def test_a_file_has_the_slots_of_the_image_and_guids_of_its_own(
    image: Path, tmp_path: Path, guids: Iterator[UUID]
) -> None:
    told: list[str] = []
    made = write(image, Target(tmp_path / "flashed", SECTORS), guids=lambda: next(guids), progress=told.append)
    flashed = tmp_path / "flashed"
    assert flashed.stat().st_size == SECTORS * SECTOR_BYTES
    assert read_partitions(flashed) == made.partitions
    assert [each.name for each in made.partitions] == [each.name for each in read_partitions(image)]
    assert not {each.guid for each in made.partitions} & {each.guid for each in read_partitions(image)}
    assert slots(flashed) == slots(image)
    assert flashed.stat().st_blocks * 512 < 100_000_000, "it is sparse"
    assert told[-1] == "read back: it is what was written"
    assert {path.name for path in tmp_path.iterdir()} == {"started", "root", "data", "disk.img", "flashed"}


def test_the_data_partition_has_a_file_system_up_to_the_end_of_the_disk(
    image: Path, tmp_path: Path, guids: Iterator[UUID]
) -> None:
    made = write(image, Target(tmp_path / "flashed", SECTORS), guids=lambda: next(guids))
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
        for _ in range(340):
            file.write(b"\xaa" * (1 << 20))
        file.truncate(SECTORS * SECTOR_BYTES)
    write(image, Target(used, SECTORS, "Stick 1.3 GB"), guids=lambda: next(guids))
    assert slots(used) == slots(image)


@pytest.mark.parametrize("is_used", [False, True])
def test_a_loader_stands_between_the_table_and_the_slots(
    image: Path, tmp_path: Path, guids: Iterator[UUID], is_used: bool
) -> None:
    flashed, loader, at = tmp_path / "flashed", b"loader" * 10_000, 32 << 10
    if is_used:
        flashed.write_bytes(b"\xaa" * (1 << 20))
        os.truncate(flashed, SECTORS * SECTOR_BYTES)
    target = Target(flashed, SECTORS, "Card 1.3 GB" if is_used else "")
    write(image, target, guids=lambda: next(guids), loader=Piece(at, loader))
    begin = flashed.read_bytes()[: 1 << 20]
    assert begin[at:].startswith(loader)
    assert not any(begin[at + len(loader) :])
    assert not any(begin[34 * SECTOR_BYTES : at]), "what the used disk had is gone"
    assert slots(flashed) == slots(image)


def test_what_the_machine_is_told_is_on_its_data_partition(image: Path, tmp_path: Path, guids: Iterator[UUID]) -> None:
    told = b'{"token": "secret"}'
    made = write(image, Target(tmp_path / "flashed", SECTORS), guids=lambda: next(guids), enrolment=told)
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
        changed = bytes(data) if at < 100_000_000 else bytes(data)[:-1] + b"?"
        return whole(descriptor, changed, at)

    monkeypatch.setattr(writing.os, "pwrite", broken)
    with pytest.raises(HostError, match=r"expected what was written at byte .*, read something else"):
        write(image, Target(tmp_path / "flashed", SECTORS), guids=lambda: next(guids))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("flashed")]


def test_a_medium_that_fails_is_named_and_has_no_partition_table(
    image: Path, tmp_path: Path, guids: Iterator[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = tmp_path / "used"
    used.write_bytes(b"\xaa" * (1 << 20))
    os.truncate(used, SECTORS * SECTOR_BYTES)
    whole = os.pwrite

    def failing(descriptor: int, data: bytes, at: int) -> int:
        if at > 100_000_000:
            raise OSError(5, "Input/output error")
        return whole(descriptor, data, at)

    monkeypatch.setattr(writing.os, "pwrite", failing)
    with pytest.raises(HostError, match="used: Input/output error"):
        write(image, Target(used, SECTORS, "Stick 1.3 GB"), guids=lambda: next(guids))
    assert used.read_bytes()[:17_408] == bytes(17_408)


def test_another_file_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the disk of a device image: .*No such file"):
        image_layout(tmp_path / "disk.img")
    (tmp_path / "disk.img").write_bytes(b"text" * 10_000)
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the disk of a device image"):
        image_layout(tmp_path / "disk.img")


def test_an_image_that_was_copied_in_part_is_refused(image: Path, tmp_path: Path) -> None:
    whole = image.stat().st_size
    os.truncate(image, 200_000_000)
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected at least [0-9,]+ bytes, .* got 200,000,000"):
        image_layout(image)
    os.truncate(image, whole)
    assert image_layout(image).partitions == read_partitions(image)
