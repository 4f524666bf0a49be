# SPDX-License-Identifier: Apache-2.0
"""A damaged data partition is repaired, or said; a machine without one is no device that would be lost again."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

import pytest

from armillary.device.machine import data_partition, enrolling, first, kernel_calls, program
from armillary.device.machine.data_partition import has_errors, keep_reserve, lies_over, mount_data, repair
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk

pytestmark = pytest.mark.skipif(
    not (shutil.which("mke2fs", path="/usr/sbin") and Path(data_partition.REPAIR).exists()),
    reason="no mke2fs or e2fsck; to enable: sudo apt-get install e2fsprogs",
)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A file with ext4 as the data partition has it, with a copy of its superblock."""
    found = tmp_path / "data.img"
    with found.open("wb") as file:
        file.truncate(160 << 20)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", found], check=True)
    return found


def overwrite(node: Path, at: int, content: bytes) -> None:
    with node.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_one_that_is_well_is_mounted_as_it_is(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted: list[tuple[object, ...]] = []
    monkeypatch.setattr(kernel_calls, "mount", lambda *words: mounted.append(words))
    monkeypatch.setattr(data_partition, "REPAIR", "/nowhere")
    assert mount_data(str(node), "/data", alive=lambda: None) == ""
    assert len(mounted) == 1


@pytest.mark.parametrize(
    ("at", "content", "said"),
    [
        (1024, bytes(1024), "its superblock is damaged"),
        (1024 + 0x3A, b"\3\0", "the kernel found errors in it"),
    ],
)
def test_one_that_is_damaged_is_repaired_and_said(
    node: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at: int, content: bytes, said: str
) -> None:
    monkeypatch.setattr(kernel_calls, "mount", lambda *_: None)
    overwrite(node, at, content)
    told = mount_data(str(node), "/data", alive=lambda: None)
    assert f"was damaged ({said}) and repaired: what could not be saved is lost" in told
    assert "is repaired" in capsys.readouterr().out
    assert has_errors(str(node)) == ""


def test_one_that_the_kernel_refuses_is_repaired_and_tried_again(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [OSError(errno.EUCLEAN, "Structure needs cleaning")]

    def mount(*_: object) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(kernel_calls, "mount", mount)
    assert "Structure needs cleaning" in mount_data(str(node), "/data", alive=lambda: None)


def partitions(folder: Path, monkeypatch: pytest.MonkeyPatch, **places: tuple[int, int]) -> None:
    """What the kernel says of the partitions of one disk: begin and size of each, in sectors."""
    disk = folder / "devices/vda"
    for name, (begin, size) in places.items():
        (disk / name).mkdir(parents=True)
        (disk / name / "partition").write_text(name[-1])
        (disk / name / "start").write_text(f"{begin}\n")
        (disk / name / "size").write_text(f"{size}\n")
        (folder / name).symlink_to(disk / name)
    (disk / "queue").mkdir()
    monkeypatch.setattr(data_partition, "_PARTITIONS", str(folder))


@pytest.mark.parametrize(
    ("begin", "size", "other"),
    [
        (200, 50, ""),
        (50, 50, ""),
        (199, 50, "/dev/vda1"),
        (50, 51, "/dev/vda1"),
        (120, 10, "/dev/vda1"),
        (0, 300, "/dev/vda1"),
    ],
)
def test_one_that_has_sectors_of_another_one_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: int, size: int, other: str
) -> None:
    partitions(tmp_path, monkeypatch, vda1=(100, 100), vda2=(400, 100), vda5=(begin, size))
    assert lies_over("/dev/vda5") == other
    assert lies_over("/dev/vdz9") == ""


def test_one_that_lies_over_another_one_is_neither_mounted_nor_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    partitions(tmp_path, monkeypatch, vda2=(100, 100), vda5=(100, 300))
    monkeypatch.setattr(kernel_calls, "mount", lambda *_: done.append("mounted"))
    monkeypatch.setattr(data_partition, "repair", lambda *_: done.append("repaired"))
    with pytest.raises(OSError, match="it lies over /dev/vda2, by the partition table"):
        mount_data("/dev/vda5", "/data", alive=lambda: None)
    assert done == []


def test_one_that_is_no_file_system_any_more_is_not_repaired(node: Path) -> None:
    overwrite(node, 0, bytes(159 << 20))
    assert not repair(str(node), lambda: None)


def test_a_machine_whose_data_does_not_mount_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = []

    def mount(_source: str, _target: str, kind: str, *_: object) -> None:
        kinds.append(kind)
        if kind == "ext4":
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(kernel_calls, "mount", mount)
    machine = first.Machine("a", "/dev/vda", "/nowhere/vda5", 0.0)
    machine._mount_data()
    assert kinds[-1] == "tmpfs"
    assert "identity, applications and settings of this device are out of reach" in capsys.readouterr().out
    assert not machine._keeps_data


def test_a_full_partition_gives_up_its_reserve_once_and_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 100 << 20
    monkeypatch.setattr(data_partition, "_free", lambda _target: free)
    reserve = tmp_path / data_partition.RESERVE
    assert keep_reserve(str(tmp_path)) == ""
    assert reserve.stat().st_size == data_partition.RESERVE_BYTES
    free = 12_288
    assert "the data partition is full: 12,288 bytes are free" in keep_reserve(str(tmp_path))
    assert not reserve.exists()
    assert "the data partition is full" in keep_reserve(str(tmp_path))  # nothing is left to give up
    free = 40 << 20  # too little for another reserve
    assert keep_reserve(str(tmp_path)) == ""
    assert not reserve.exists()


class StoppedError(Exception):
    """The machine would wait now."""


def test_nothing_is_enrolled_where_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_seconds: float) -> None:
        raise StoppedError

    monkeypatch.setattr(enrolling, "read_enrolment", dict)
    monkeypatch.setattr(enrolling, "enrol", lambda *_: pytest.fail("it enrolled"))
    monkeypatch.setattr(program.time, "sleep", stop)
    disk = OsDisk({}, EfiBootSlots({}, variables=tmp_path), "x")
    with pytest.raises(StoppedError):
        program.become_device(DeviceFolder(tmp_path / "device"), program.Words({}), disk, keeps=False)
    assert "what an enrolment makes could not be kept" in capsys.readouterr().out
