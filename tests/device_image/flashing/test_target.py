# SPDX-License-Identifier: Apache-2.0
"""What may be written to: a whole disk that nothing uses. The kernel's tables of the tests are folders of theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from armillary.device_image.flashing.target import (
    MAX_FILE_BYTES,
    Kernel,
    backing_file,
    file_target,
    look,
    look_at_disk,
    means_disk,
)
from armillary.errors import ConflictError, InvalidArgumentError

STICK = Path("/dev/sdx")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A host with a stick of 16 GB as sdx (8:16) with two partitions."""
    disk = tmp_path / "sys/devices/usb/sdx"
    for name, number in (("", "8:16"), ("sdx1", "8:17"), ("sdx2", "8:18")):
        (disk / name / "holders").mkdir(parents=True)
        (disk / name / "dev").write_text(f"{number}\n")
        if name:
            (disk / name / "partition").write_text(f"{name[-1]}\n")
    (disk / "size").write_text("31250000\n")
    (disk / "ro").write_text("0\n")
    (disk / "device").mkdir()
    (disk / "device/vendor").write_text("SanDisk \n")
    (disk / "device/model").write_text("Ultra           \n")
    links = tmp_path / "sys/dev/block"
    links.mkdir(parents=True)
    for name, number in (("", "8:16"), ("sdx1", "8:17")):
        (links / number).symlink_to(disk / name)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("29 1 253:0 / / rw - ext4 /dev/vda rw\n")
    (tmp_path / "proc/swaps").write_text("Filename Type Size Used Priority\n")
    return Kernel(tmp_path / "sys", tmp_path / "proc")


def disk_of(kernel: Kernel) -> Path:
    return (kernel.sys / "dev/block/8:16").resolve()


def test_a_disk_that_nothing_uses_is_called_as_its_maker_does(kernel: Kernel) -> None:
    target = look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel)
    assert (target.words, target.sectors, target.is_disk) == ("SanDisk Ultra 16.0 GB", 31_250_000, True)
    for name in ("vendor", "model"):
        (disk_of(kernel) / "device" / name).unlink()
    (disk_of(kernel) / "device/name").write_text("SD16G\n")
    assert look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel).words == "SD16G 16.0 GB"
    (disk_of(kernel) / "device/name").unlink()
    assert look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel).words == "sdx 16.0 GB"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("30 29 8:17 / /media/stick rw - vfat /dev/sdx1 rw", "sdx1 is mounted at /media/stick"),
        ("30 29 8:16 / /mnt rw - ext4 /dev/sdx rw", "sdx is mounted at /mnt"),
        ("30 29 0:41 /@ / rw - btrfs /dev/sdx2 rw", "sdx2 is mounted at /; this host runs from it"),
        ("30 29 8:17 / /boot/efi rw - vfat /dev/sdx1 rw", "this host runs from it"),
    ],
)
def test_a_mounted_disk_is_refused(kernel: Kernel, line: str, named: str) -> None:
    with (kernel.proc / "self/mountinfo").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ConflictError, match=rf"--to /dev/sdx \(SanDisk Ultra 16.0 GB\): .*{named}"):
        look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel)


def test_swap_and_what_is_below_a_mapping_are_refused(kernel: Kernel) -> None:
    (kernel.proc / "swaps").write_text("Filename Type Size Used Priority\n/dev/sdx2 partition 1 0 -2\n")
    with pytest.raises(ConflictError, match="sdx2 is swap"):
        look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel)
    (kernel.proc / "swaps").unlink()
    (disk_of(kernel) / "sdx1/holders/dm-0").mkdir()
    with pytest.raises(ConflictError, match="sdx1 is used by dm-0"):
        look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel)


def test_a_partition_a_locked_and_a_small_disk_are_refused(kernel: Kernel) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a whole disk, got a partition of sdx") as refused:
        look_at_disk(Path("/dev/sdx1"), "8:17", least_sectors=100, kernel=kernel)
    assert "/dev/sdx." in refused.value.remedy
    with pytest.raises(InvalidArgumentError, match=r"expected a disk of at least 16\.0 GB, got SanDisk"):
        look_at_disk(STICK, "8:16", least_sectors=31_250_001, kernel=kernel)
    (disk_of(kernel) / "ro").write_text("1\n")
    with pytest.raises(InvalidArgumentError, match="write-protected"):
        look_at_disk(STICK, "8:16", least_sectors=100, kernel=kernel)


def test_what_is_no_disk_and_no_file_is_refused(tmp_path: Path) -> None:
    for path, named in (
        (Path("/dev/null"), "expected a disk or a file"),
        (tmp_path, "expected a disk or a file"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(InvalidArgumentError, match=named):
            look(path, least_sectors=1)
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        file_target(tmp_path / "none/disk", None, least_sectors=1)
    with pytest.raises(InvalidArgumentError, match="--size: expected at least 1,024 bytes, got 512"):
        file_target(tmp_path / "disk", 512, least_sectors=2)
    with pytest.raises(
        InvalidArgumentError, match="--size: expected at most 2,199,023,255,552 bytes, got 2,199,023,256,064"
    ):
        file_target(tmp_path / "disk", MAX_FILE_BYTES + 512, least_sectors=2)
    assert file_target(tmp_path / "disk", MAX_FILE_BYTES, least_sectors=2).sectors == 1 << 32
    assert file_target(tmp_path / "disk", 4096, least_sectors=2).sectors == 8


def test_what_is_below_dev_and_no_device_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = tmp_path / "dev"
    (devices / "disk").mkdir(parents=True)
    (devices / "sdq").write_bytes(b"a file that an earlier slip made")
    monkeypatch.setattr("armillary.device_image.flashing.target._NODES", devices)
    (tmp_path / "link").symlink_to(devices / "sdx")
    for name, found in (
        ("dev/sdx", "nothing"),
        ("dev/sdq", "a file"),
        ("dev/disk/by-id", "nothing"),
        ("other/../dev/sdx", "nothing"),
        ("link", "nothing"),
    ):
        with pytest.raises(InvalidArgumentError, match=f"--to .*{name}: expected a disk, found {found} of that name"):
            means_disk(tmp_path / name)
    assert means_disk(Path("/dev/null"))  # look() says what it is
    assert means_disk(tmp_path)
    assert not means_disk(tmp_path / "disk.img")


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="needs a host with /dev/shm")
def test_what_is_mounted_below_dev_takes_files() -> None:
    assert not means_disk(Path("/dev/shm/armillary-none"))


def test_the_file_behind_a_loop_device_is_known(tmp_path: Path) -> None:
    tables = Kernel(tmp_path / "sys", tmp_path / "proc")
    assert backing_file(tmp_path, tables) is None
    assert backing_file(tmp_path / "none", tables) is None
    node = next((each for each in Path("/dev").iterdir() if each.is_block_device()), None)
    if node is None:
        pytest.skip("no block device in /dev; to enable: sudo mknod /dev/loop0 b 7 0")
    about = node.stat()
    folder = tmp_path / "sys/dev/block" / f"{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}/loop"
    assert backing_file(node, tables) is None
    folder.mkdir(parents=True)
    (folder / "backing_file").write_text(f"{tmp_path}/disk.img\n")
    assert backing_file(node, tables) == tmp_path / "disk.img"
