# SPDX-License-Identifier: Apache-2.0
"""The disk of an image that is open stays that file, and is what was built or is said not to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.device_image.flashing.disks import describe

from armillary.device_image import disk as disk_image
from armillary.device_image.architecture.description import read_description
from armillary.device_image.flashing.image_disk import ImageDisk, image_disk
from armillary.engines.flash.os_disk import read_partitions
from armillary.errors import InvalidArgumentError
from armillary.wire.disk.gpt_writing import Layout


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an image, with small partitions."""
    for name in ("STARTED_BYTES", "ROOT_BYTES", "DATA_BYTES"):
        monkeypatch.setattr(disk_image, name, 8 << 20)
    parts = {name: tmp_path / name for name in ("started", "root", "data")}
    for name, file in parts.items():
        file.write_bytes(name.encode())
    disk_image.write_disk(tmp_path / "disk.img", **parts)
    describe(tmp_path)
    return tmp_path


def layout_of(image: Path) -> Layout:
    with image_disk(image, read_description(image)) as disk:
        return disk.layout


def read_of(disk: ImageDisk) -> bytes:
    return b"".join(piece.content for piece in disk.pieces())


def test_all_of_it_is_read_in_order_and_is_the_file_that_was_built(image: Path) -> None:
    with image_disk(image, read_description(image)) as disk:
        disk.verify()
        pieces = list(disk.pieces())
    assert b"".join(piece.content for piece in pieces) == (image / "disk.img").read_bytes()
    assert [piece.at for piece in pieces] == [number << 20 for number in range(len(pieces))]


def test_a_build_that_ends_meanwhile_does_not_change_what_is_read(image: Path) -> None:
    before = (image / "disk.img").read_bytes()
    with image_disk(image, read_description(image)) as disk:
        (image / "new").write_bytes(b"another image" * 1000)
        (image / "new").replace(image / "disk.img")
        assert read_of(disk) == before


def test_a_change_in_its_place_is_found_by_who_reads_it_after_a_look(image: Path) -> None:
    with image_disk(image, read_description(image)) as disk:
        disk.verify()
        with (image / "disk.img").open("r+b") as changed:
            changed.seek(9 << 20)
            changed.write(b"another system")
        with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the file that was built \(SHA-256 "):
            read_of(disk)
        os.truncate(image / "disk.img", 5 << 20)
        with pytest.raises(InvalidArgumentError, match=r"got 5,242,880 bytes with "):
            disk.verify()


def test_another_file_is_no_image(image: Path) -> None:
    (image / "disk.img").write_bytes(b"text" * 10_000)
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the disk of a device image"):
        layout_of(image)
    (image / "disk.img").unlink()
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected the disk of a device image: .*No such file"):
        layout_of(image)


def test_an_image_that_was_copied_in_part_is_refused(image: Path) -> None:
    whole = (image / "disk.img").stat().st_size
    os.truncate(image / "disk.img", 20_000_000)
    with pytest.raises(InvalidArgumentError, match=r"disk\.img: expected at least [0-9,]+ bytes, .* got 19,999,744"):
        layout_of(image)
    os.truncate(image / "disk.img", whole)
    assert layout_of(image).partitions == read_partitions(image / "disk.img")
