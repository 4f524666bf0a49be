# SPDX-License-Identifier: Apache-2.0
"""The disk that is written is the one that was looked at, whatever gets its name or its drive meanwhile."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.device_image.flashing.disks import (
    NUMBER,
    describe,
    seen,
    table_bytes,
    tables,
    written,
)

from armillary.device_image import disk as disk_image, tools
from armillary.device_image.flashing import writing
from armillary.device_image.flashing.medium import opened
from armillary.device_image.flashing.target import Target, look
from armillary.engines.flash.os_disk import read_partitions
from armillary.errors import ConflictError, HostError
from armillary.wire.disk.gpt import SECTOR_BYTES

SECTORS = 200_000
Attach = Callable[[Path], Path]


@pytest.fixture
def attach() -> Iterator[Attach]:
    """What makes a loop device of a file, where there are any (for root)."""
    made: list[Path] = []

    def attached(file: Path) -> Path:
        file.write_bytes(b"\xaa" * (1 << 20))
        os.truncate(file, SECTORS * SECTOR_BYTES)
        try:
            said = tools.run(["losetup", "--find", "--show", file])
        except HostError:
            pytest.skip("no loop devices; to enable: sudo make test ARGS=tests/device_image/flashing")
        made.append(Path(said.decode().strip()))
        return made[-1]

    yield attached
    for device in made:
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an image, with small partitions."""
    for name in ("STARTED_BYTES", "ROOT_BYTES", "DATA_BYTES"):
        monkeypatch.setattr(disk_image, name, 8 << 20)
    (tmp_path / "image").mkdir()
    parts = {name: tmp_path / name for name in ("started", "root", "data")}
    for name, file in parts.items():
        file.write_bytes(name.encode())
    disk_image.write_disk(tmp_path / "image/disk.img", **parts)
    describe(tmp_path / "image")
    return tmp_path / "image"


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A file that the kernel's tables of these tests call a disk."""
    file = tmp_path / "stick"
    file.write_bytes(b"\xaa" * 4096)
    os.truncate(file, SECTORS * SECTOR_BYTES)
    return file


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("diskseq", "8", r"another one \(Stick 0\.1 GB\)"),
        ("size", "200001", r"another one \(Stick 0\.1 GB\)"),
        ("device/model", "Archive", r"another one \(Archive 0\.1 GB\)"),
        ("size", "0", "none"),
    ],
)
def test_a_disk_that_is_changed_in_its_drive_is_not_written(
    tmp_path: Path, stick: Path, name: str, content: str, found: str
) -> None:
    kernel = tables(tmp_path, SECTORS)
    looked_at = seen(stick, kernel)
    with opened(looked_at, kernel) as medium:
        medium.refuse_another()
        (kernel.sys / "dev/block" / NUMBER / name).write_text(content)
        named = rf"--to .*stick: expected the disk that was looked at \(Stick 0\.1 GB\), found {found}: nothing was"
        with pytest.raises(ConflictError, match=named):
            medium.refuse_another()
    with pytest.raises(ConflictError, match=named), opened(looked_at, kernel):
        pytest.fail("it is opened")


def test_a_disk_that_is_changed_before_the_first_byte_keeps_what_it_has(
    tmp_path: Path, image: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tables(tmp_path, SECTORS)

    def late(*_: object) -> None:
        (kernel.sys / "dev/block" / NUMBER / "diskseq").write_text("8\n")

    monkeypatch.setattr(writing, "_file_system", late)
    before = stick.read_bytes()
    guids = (UUID(int=number) for number in range(1, 100))
    with pytest.raises(ConflictError, match="nothing was written"):
        written(image, seen(stick, kernel), kernel=kernel, guids=guids)
    assert stick.read_bytes() == before


def test_a_kernel_that_counts_no_disks_is_asked_for_the_rest(tmp_path: Path, stick: Path) -> None:
    kernel = tables(tmp_path, SECTORS)
    (kernel.sys / "dev/block" / NUMBER / "diskseq").unlink()
    looked_at = seen(stick, kernel)
    assert looked_at.sequence == ""
    with opened(looked_at, kernel) as medium:
        medium.refuse_another()


def test_a_disk_that_cannot_be_opened_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="none: No such file"), opened(Target(tmp_path / "none", 1, "Stick 0.1 GB")):
        pytest.fail("it is opened")


def test_a_loop_device_is_written_and_has_the_partitions(tmp_path: Path, image: Path, attach: Attach) -> None:
    device = attach(tmp_path / "disk")
    target = look(device, least_sectors=1)
    guids = (UUID(int=number) for number in range(1, 100))
    made = written(image, target, guids=guids)
    assert read_partitions(device) == made.partitions
    assert target.words == f"{device.name} 0.1 GB"


def test_a_loop_device_that_gives_back_something_else_has_no_partition_table(
    tmp_path: Path, image: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, whole = attach(tmp_path / "disk"), os.pwrite

    def broken(descriptor: int, data: bytes, at: int) -> int:
        return whole(descriptor, bytes(data) if at < 20_000_000 or not any(data) else bytes(data)[:-1] + b"?", at)

    monkeypatch.setattr(writing.os, "pwrite", broken)
    guids = (UUID(int=number) for number in range(1, 100))
    with pytest.raises(HostError, match="read something else"):
        written(image, look(device, least_sectors=1), guids=guids)
    assert not any(table_bytes(device, SECTORS))


def test_while_it_is_open_nobody_else_uses_the_device_and_its_name_may_change(tmp_path: Path, attach: Attach) -> None:
    device, other = attach(tmp_path / "disk"), attach(tmp_path / "other")
    link = tmp_path / "sdx"
    link.symlink_to(device)
    with opened(look(link, least_sectors=1)) as medium:
        with pytest.raises(ConflictError, match="something has begun to use it"), opened(look(device, least_sectors=1)):
            pytest.fail("two have it")
        link.unlink()
        link.symlink_to(other)
        medium.refuse_another()
        os.pwrite(medium.descriptor, b"here", 0)
        os.fsync(medium.descriptor)
    assert device.open("rb").read(4) == b"here"
    assert other.open("rb").read(4) == b"\xaa" * 4


def test_another_disk_of_the_same_model_and_size_is_told_by_the_kernels_count(tmp_path: Path, attach: Attach) -> None:
    device = attach(tmp_path / "disk")
    looked_at = look(device, least_sectors=1)
    if not looked_at.sequence:
        pytest.skip("this kernel counts no disks; to enable: Linux 5.15 or newer")
    tools.run(["losetup", "--detach", device])
    (tmp_path / "other").write_bytes(bytes(SECTORS * SECTOR_BYTES))
    tools.run(["losetup", device, tmp_path / "other"])
    assert look(device, least_sectors=1).words == looked_at.words
    with pytest.raises(ConflictError, match="found another one"), opened(looked_at):
        pytest.fail("it is opened")
