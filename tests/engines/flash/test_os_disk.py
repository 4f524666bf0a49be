# SPDX-License-Identifier: Apache-2.0
"""The disk of a device image: its slots, with a damaged table, and disks that are none."""

from __future__ import annotations

import itertools
from binascii import crc32
from pathlib import Path

import pytest
from tests.fixtures.images import COMPONENT, IMAGE, P256
from tests.fixtures.pretended_uefi import PretendedUefi, Start
from tests.wire.disk.test_gpt import END, SECTORS, START

from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk, open_os_disk, partition_node, read_partitions
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.flash.port import store_region
from armillary.errors import DataFolderError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.image import package as image_package

COMPONENTS = ("unified-kernel-image", "root-fs")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "vda"
    with path.open("wb") as file:
        file.write(START)
        file.truncate(SECTORS * SECTOR_BYTES - len(END))
        file.seek(0, 2)
        file.write(END)
    return path


def spoil(disk: Path, sector: int) -> None:
    with disk.open("r+b") as file:
        file.seek(sector * SECTOR_BYTES)
        file.write(bytes(SECTOR_BYTES))


def test_the_slots_of_a_disk(disk: Path, tmp_path: Path) -> None:
    found = open_os_disk(disk, COMPONENTS)
    assert {region: node.name for region, node in found.nodes.items()} == {
        "boot/unified-kernel-image": "vda1",
        "boot/root-fs": "vda2",
        "boot.b/unified-kernel-image": "vda3",
        "boot.b/root-fs": "vda4",
    }
    assert isinstance(found.flash(FileFlash(tmp_path / "flash")), PartitionFlash)


def test_the_firmware_relies_on_the_other_slot_before_one_is_written(tmp_path: Path) -> None:
    firmware = PretendedUefi(tmp_path)
    node = tmp_path / "vda3"
    node.write_bytes(bytes(4096))
    disk = OsDisk({"boot.b/kernel": node, "boot.b/root-fs": node}, firmware.slots(), "kernel")
    firmware.slots().start_next("a", settled="b")
    assert firmware.start(lambda _: Start.RUNS) == "a"
    firmware.slots().start_next("b", settled="b")
    flash = disk.flash(FileFlash(tmp_path / "flash"))
    before = firmware.value("BootNext"), firmware.value("BootOrder")
    flash.write("boot.b/root-fs", b"x")
    assert (firmware.value("BootNext"), firmware.value("BootOrder")) == before
    flash.write("boot.b/kernel", b"x")
    assert firmware.start(lambda _: Start.RUNS) == "a"
    assert firmware.start(lambda slot: Start.REFUSED if slot == "b" else Start.RUNS) == "a"


def image(payload: bytes) -> bytes:
    sections = image_package.standard_sections(
        image_type=8, component_id=COMPONENT, image_id=IMAGE, name="root-fs", built=1_790_000_000
    )
    return image_package.build(payload, sections=sections, key=P256[0], certificate=P256[1])


@pytest.fixture
def runs_across(tmp_path: Path) -> tuple[OsDisk, PretendedUefi]:
    """The disk of a machine that runs from slot b, with the root file system of slot a: its kernel was updated alone."""
    firmware = PretendedUefi(tmp_path / "efivars")
    firmware.folder.mkdir()
    mounted = tmp_path / "slaves"
    nodes = {
        f"{folder}/{name}": tmp_path / f"vda{number}"
        for number, (folder, name) in enumerate(
            itertools.product(("boot", "boot.b"), ("kernel", "root-fs")),
            start=1,
        )
    }
    for node in nodes.values():
        node.write_bytes(b"as it was".ljust(4096, b"\0"))
    firmware.slots().start_next("b", settled="b")
    assert firmware.start(lambda _: Start.RUNS) == "b"
    mounted.mkdir()
    (mounted / nodes["boot/root-fs"].name).touch()
    return OsDisk(nodes, firmware.slots(), "kernel", root_nodes=mounted), firmware


RUNNING = ("boot.b/kernel", "boot/root-fs")


@pytest.mark.parametrize("region", RUNNING)
def test_nothing_is_written_into_what_the_machine_runs_from_whoever_says_so(
    runs_across: tuple[OsDisk, PretendedUefi], tmp_path: Path, region: str
) -> None:
    disk, firmware = runs_across
    assert {each for each in disk.nodes if disk.runs_from(each)} == {*RUNNING}
    flash = disk.flash(FileFlash(tmp_path / "flash"))
    before = firmware.value("BootNext"), firmware.value("BootOrder")
    flash.write("fetched/package", b"new")
    flash.sync("fetched/package")
    with pytest.raises(DataFolderError, match=f"{region}: expected the slot that the machine does not run from"):
        flash.rename("fetched/package", region)
    assert all(node.read_bytes().startswith(b"as it was") for node in disk.nodes.values())
    assert flash.read("fetched/package") == b"new"
    assert (firmware.value("BootNext"), firmware.value("BootOrder")) == before
    for free in disk.nodes.keys() - {*RUNNING}:
        flash.write(free, b"x")


def test_a_slot_that_the_machine_runs_from_is_not_removed_either(
    runs_across: tuple[OsDisk, PretendedUefi], tmp_path: Path
) -> None:
    disk, _ = runs_across
    files = FileFlash(tmp_path / "flash")
    for region in disk.nodes:
        store_region(PartitionFlash(files, disk.nodes), region, b"a package")
    flash = disk.flash(files)
    before = {region: disk.nodes[region].read_bytes() for region in RUNNING}
    for region in disk.nodes:
        flash.remove(region)
    assert {region: disk.nodes[region].read_bytes() for region in RUNNING} == before
    assert flash.regions("boot") == tuple(sorted(RUNNING))


@pytest.mark.parametrize("region", RUNNING)
def test_where_the_payload_runs_already_only_what_follows_it_is_written(
    runs_across: tuple[OsDisk, PretendedUefi], tmp_path: Path, region: str
) -> None:
    disk, _ = runs_across
    flash = disk.flash(FileFlash(tmp_path / "flash"))
    payload = b"as it was".ljust(512, b"\0")
    store_region(flash, region, package := image(payload))
    assert flash.read(region) == package
    assert disk.nodes[region].read_bytes().startswith(payload)
    before = disk.nodes[region].read_bytes()
    with pytest.raises(DataFolderError, match="the machine does not run from"):
        flash.write(region, image(payload[:-1] + b"x"))
    assert disk.nodes[region].read_bytes() == before


@pytest.mark.parametrize("sector", [1, 2])
def test_the_table_at_the_end_counts_where_the_first_is_damaged(disk: Path, sector: int) -> None:
    whole = read_partitions(disk)
    spoil(disk, sector)
    assert read_partitions(disk) == whole


def test_a_table_that_leads_outside_of_the_disk_gives_way_to_the_other(disk: Path) -> None:
    whole = read_partitions(disk)
    with disk.open("r+b") as file:
        file.seek(SECTOR_BYTES)
        header = bytearray(file.read(92))
        header[72:80] = b"\xff" * 8  # where its entries are
        header[16:20] = bytes(4)
        header[16:20] = crc32(header).to_bytes(4, "little")
        file.seek(SECTOR_BYTES)
        file.write(header)
    assert read_partitions(disk) == whole


def test_a_disk_with_no_whole_table_is_refused(disk: Path) -> None:
    spoil(disk, 1)
    spoil(disk, SECTORS - 1)
    with pytest.raises(DataFolderError, match="no whole partition table"):
        read_partitions(disk)


def test_a_disk_without_a_slot_names_it(disk: Path) -> None:
    with pytest.raises(DataFolderError, match="expected a partition modem-a, found data, root-fs-a"):
        open_os_disk(disk, ("unified-kernel-image", "modem"))


def test_an_empty_or_missing_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("empty", "missing"):
        with pytest.raises(DataFolderError, match=name):
            read_partitions(tmp_path / name)


def test_partitions_are_named_as_linux_does() -> None:
    assert [partition_node(Path("/dev") / name, 3).name for name in ("vda", "nvme0n1", "mmcblk0", "sdb")] == [
        "vda3",
        "nvme0n1p3",
        "mmcblk0p3",
        "sdb3",
    ]
