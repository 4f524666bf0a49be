# SPDX-License-Identifier: Apache-2.0
"""What an attack changes of variables and tables: what it names, the same for a seed, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fixtures.variable_store import store, variable

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import X86_64
from armillary.device_image.disk import DATA, ROOT, STARTED, layout
from armillary.device_image.tampering import tables, variables
from armillary.device_image.tampering.attacks import attacks_on_device
from armillary.device_image.tampering.tables import Tables
from armillary.engines.flash.os_disk import read_partitions, slot_partition
from armillary.errors import DataFolderError, InvalidArgumentError
from armillary.wire.device_image.variable_store import variables_of
from armillary.wire.disk.gpt import SECTOR_BYTES, Partition
from armillary.wire.disk.gpt_writing import encode_tables

STORE = store(variable("BootOrder", b"\1\0"), variable("PK", bytes(100)), variable("db", bytes(200)))
LAYOUT = layout()
WHOLE = Tables(*encode_tables(LAYOUT))


def content(data: bytes, name: str) -> bytes:
    return next(data[each.at : each.at + each.size] for each in variables_of(data) if each.name == name)


def bits(one: bytes, other: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def test_flipped_bits_are_in_the_named_content_alone_and_those_of_the_seed() -> None:
    changed = variables.flipped_contents(("PK",), seed=1)(STORE)
    assert bits(changed, STORE) == bits(content(changed, "PK"), content(STORE, "PK")) == variables.FLIPS
    assert variables.flipped_contents(("PK",), seed=1)(STORE) == changed
    assert variables.flipped_contents(("PK",), seed=2)(STORE) != changed
    small = variables.flipped_contents(("BootOrder",), seed=1)(STORE)
    assert bits(small, STORE) == variables.FLIPS
    with pytest.raises(InvalidArgumentError, match="expected one of dbx, found none"):
        variables.flipped_contents(("dbx",), seed=1)(STORE)


def test_headers_are_flipped_in_front_of_contents() -> None:
    changed = variables.flipped_headers(("PK",), seed=1)(STORE)
    (pk,) = [each for each in variables_of(STORE) if each.name == "PK"]
    assert bits(changed[pk.begins_at : pk.at], STORE[pk.begins_at : pk.at]) == variables.FLIPS == bits(changed, STORE)
    volume = variables.flipped_volume(1)(STORE)
    first = variables_of(STORE)[0].begins_at
    assert bits(volume[:first], STORE[:first]) == bits(volume, STORE) > 0


def test_variables_are_removed_or_erased_from_one_on() -> None:
    without = variables.removed(("PK",))(STORE)
    assert [each.name for each in variables_of(without)] == ["BootOrder", "db"]
    (pk,) = [each for each in variables_of(STORE) if each.name == "PK"]
    assert without[pk.begins_at + 2] == 0x3D  # what EDK2 writes: VAR_ADDED & VAR_DELETED
    assert bits(without, STORE) == 1
    cut = variables.cut_off("PK")(STORE)
    assert len(cut) == len(STORE)
    assert content(cut, "BootOrder") == content(STORE, "BootOrder")
    assert [each.name for each in variables_of(cut)] == ["BootOrder", "PK"]
    assert content(cut, "PK") == bytes(50) + b"\xff" * 50


def partitions_of(folder: Path, found: Tables) -> dict[str, Partition]:
    """What our reader makes of a disk with these tables."""
    sectors = int.from_bytes(found.begin[SECTOR_BYTES + 32 : SECTOR_BYTES + 40], "little") + 1
    with (folder / "disk").open("wb") as disk:
        disk.truncate(max(sectors, LAYOUT.sectors) * SECTOR_BYTES)
        disk.write(found.begin)
        disk.seek(-len(found.end), 2)
        disk.write(found.end)
    return {f"{each.number} {each.name}": each for each in read_partitions(folder / "disk")}


@pytest.mark.parametrize("change", [tables.first_header, tables.first_entries, tables.second_header])
def test_one_damaged_table_leaves_the_other(change: Callable[[int], tables.Change], tmp_path: Path) -> None:
    changed = change(1)(LAYOUT, WHOLE)
    assert changed != WHOLE
    assert partitions_of(tmp_path, changed) == partitions_of(tmp_path, WHOLE)


def test_two_damaged_tables_leave_none(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="no whole partition table"):
        partitions_of(tmp_path, tables.both_headers(1)(LAYOUT, WHOLE))


def test_tables_that_contradict_the_disk_are_whole(tmp_path: Path) -> None:
    root, started, data = (
        LAYOUT.partition(name) for name in (slot_partition(ROOT, "a"), slot_partition(STARTED, "a"), DATA)
    )
    moved = partitions_of(tmp_path, tables.root_b_at_data(LAYOUT, WHOLE))
    assert moved[f"4 {slot_partition(ROOT, 'b')}"].first_lba == data.first_lba
    assert partitions_of(tmp_path, tables.data_over_root_a(LAYOUT, WHOLE))["5 data"].first_lba == root.first_lba
    over = partitions_of(tmp_path, tables.started_a_over_b(LAYOUT, WHOLE))
    assert over[f"1 {started.name}"].first_lba == over[f"3 {slot_partition(STARTED, 'b')}"].first_lba
    equal = partitions_of(tmp_path, tables.equal_guids(LAYOUT, WHOLE))
    assert equal[f"3 {slot_partition(STARTED, 'b')}"].guid == started.guid


@pytest.mark.parametrize(("component", "number"), [(STARTED, 1), (ROOT, 2)])
def test_somebody_elses_partition_takes_the_place_of_ours_and_lies_behind_all(
    tmp_path: Path, component: str, number: int
) -> None:
    name = slot_partition(component, "a")
    found = partitions_of(tmp_path, tables.foreign_instead(name)(LAYOUT, WHOLE))
    assert found[f"{number} {name}"].guid == found[f"6 {name}"].guid == LAYOUT.partition(name).guid
    ends = max(each.first_lba + each.sectors for each in LAYOUT.partitions)
    assert found[f"{number} {name}"].first_lba == tables.foreign_place(LAYOUT) == ends
    assert found[f"6 {name}"].first_lba == LAYOUT.partition(name).first_lba
    others = {each.name: each for each in LAYOUT.partitions if each.name != name}
    assert {each.name: each for each in found.values() if each.name != name} == others
    if shutil.which("sgdisk", path="/usr/sbin:/usr/bin"):
        said = subprocess.run(
            ["/usr/sbin/sgdisk", "-v", tmp_path / "disk"], capture_output=True, text=True, check=False
        )
        assert "No problems found" in said.stdout, said.stdout


def test_a_strangers_root_is_accepted_by_the_number_that_it_has(tmp_path: Path) -> None:
    (attack,) = [each for each in attacks_on_device(X86_64, 1) if "a stranger's root" in each.name]
    assert attack.table is not None
    found = partitions_of(tmp_path, attack.table(LAYOUT, WHOLE))
    (number,) = [each.number for each in found.values() if each.first_lba == tables.foreign_place(LAYOUT)]
    assert attack.ran == (f"verified root from {HARDWARE['x86_64'].partitions}{number}",)
