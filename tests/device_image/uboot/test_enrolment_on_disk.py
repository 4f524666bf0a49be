# SPDX-License-Identifier: Apache-2.0
"""An enrolment is put onto the data partition of a machine that is off, once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.fixtures.machine_files import files_of

from armillary.device_image import disk, tools, virtual_machine
from armillary.device_image.tools import run
from armillary.device_image.uboot import enrolment
from armillary.device_image.uboot.enrolment import put_enrolment
from armillary.device_image.virtual_machine import MachineSettings, running
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import LINUX_DATA, Wanted, encode_tables, lay_out

pytestmark = pytest.mark.skipif(shutil.which("debugfs", path="/usr/sbin") is None, reason="needs e2fsprogs")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    size = 8 << 20
    made = lay_out("test", [Wanted("other", LINUX_DATA, 1 << 20), Wanted(disk.DATA, LINUX_DATA, size)])
    disk.data_partition(tmp_path / "data.img", size)
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.write(encode_tables(made)[0])
        file.truncate(made.sectors * SECTOR_BYTES)
        os.pwrite(file.fileno(), (tmp_path / "data.img").read_bytes(), made.partitions[1].first_lba * SECTOR_BYTES)
    return path


def kept(path: Path) -> str:
    return run(["debugfs", "-R", "cat enrolment.json", f"{path}?offset={2 * (1 << 20)}"]).decode()


def test_it_is_put_once_and_another_one_takes_its_place(whole: Path, tmp_path: Path) -> None:
    told = tmp_path / "told to it, by us.json"
    told.write_text('{"token": "1"}')
    put_enrolment(whole, told)
    assert kept(whole) == '{"token": "1"}'
    assert whole.stat().st_mode & 0o777 == 0o600  # who reads it has the token
    before = whole.read_bytes()
    put_enrolment(whole, told)
    assert whole.read_bytes() == before
    told.write_text('{"token": "2"}')
    put_enrolment(whole, told)
    assert kept(whole) == '{"token": "2"}'
    run(["e2fsck", "-f", "-n", f"{whole}?offset={2 * (1 << 20)}"])


def test_a_machine_that_was_cut_off_is_told_another_one(whole: Path, tmp_path: Path) -> None:
    """Its file system's journal is recovered first; nothing is left beside the disk."""
    data = f"{whole}?offset={2 * (1 << 20)}"
    run(["debugfs", "-w", "-R", "feature needs_recovery", data])
    assert b"needs_recovery" in run(["debugfs", "-R", "features", data])
    told = tmp_path / "told.json"
    told.write_text('{"token": "1"}')
    before = sorted(each.name for each in tmp_path.iterdir())
    put_enrolment(whole, told)
    assert kept(whole) == '{"token": "1"}'
    assert b"needs_recovery" not in run(["debugfs", "-R", "features", data])
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*before, "enrolment.put"])
    run(["e2fsck", "-f", "-n", data])


def test_a_disk_stays_as_it_is_where_the_file_is_not_put(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    told.write_text("{}")
    before, names = whole.read_bytes(), sorted(tmp_path.iterdir())

    def fails(*_: object) -> None:
        raise HostError("debugfs failed")

    monkeypatch.setattr(enrolment, "_write", fails)
    with pytest.raises(HostError, match="debugfs failed"):
        put_enrolment(whole, told)
    assert (whole.read_bytes(), sorted(tmp_path.iterdir())) == (before, names)


def test_a_data_partition_that_is_none_is_said(whole: Path, tmp_path: Path) -> None:
    with whole.open("r+b") as file:
        os.pwrite(file.fileno(), bytes(1 << 20), 2 * (1 << 20))
    told = tmp_path / "told.json"
    told.write_text("{}")
    with pytest.raises(HostError, match="e2fsck failed"):
        put_enrolment(whole, told)


@pytest.mark.parametrize(("machine", "is_put"), [("imx8mp", True), ("x86_64", False)])
def test_it_is_put_before_a_machine_is_switched_on_that_takes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, is_put: bool
) -> None:
    """A program that ends at once stands for QEMU."""
    done: list[object] = []

    def arguments(*_: object) -> list[str]:
        done.append("switched on")
        return ["true"]

    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "put_enrolment", lambda *given: done.append(given))
    folder = files_of(tmp_path / "machine", machine)
    settings = MachineSettings(folder=folder, machine=machine, enrolment=tmp_path / "told.json", tpm=False)
    words = virtual_machine.arguments(settings, None)
    assert (f"name={virtual_machine.ENROLMENT},file={tmp_path}/told.json" in words) is not is_put
    monkeypatch.setattr(virtual_machine, "arguments", arguments)
    with running(settings):
        pass
    put = [(folder / virtual_machine.DISK, tmp_path / "told.json")] if is_put else []
    assert done == [*put, "switched on"]
