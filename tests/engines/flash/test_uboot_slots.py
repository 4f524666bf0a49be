# SPDX-License-Identifier: Apache-2.0
"""Slots by U-Boot's environment, over a pretended U-Boot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.pretended_uboot import PretendedUBoot
from tests.fixtures.pretended_uefi import Start

from armillary.device_image import disk
from armillary.engines.flash import uboot_slots
from armillary.engines.flash.os_disk import open_os_disk
from armillary.engines.flash.uboot_slots import COMMAND_LINE, UBootSlots
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import encode_tables


@pytest.fixture
def uboot(tmp_path: Path) -> PretendedUBoot:
    return PretendedUBoot(tmp_path)


def a_disk(folder: Path) -> tuple[Path, Path]:
    """A disk with its partition table, and the node that its partition with the environment would have."""
    made = disk.layout(has_uboot=True)
    path = folder / "mmcblk0"
    with path.open("wb") as file:
        file.write(encode_tables(made)[0])
        file.truncate(made.sectors * SECTOR_BYTES)
    return path, folder / f"mmcblk0p{made.partition(uboot_slots.PARTITION).number}"


@pytest.mark.parametrize("settled", ["a", "b"])
@pytest.mark.parametrize("slot", ["a", "b"])
def test_the_wanted_slot_is_started(uboot: PretendedUBoot, slot: str, settled: str) -> None:
    uboot.slots().start_next(slot, settled=settled)
    assert uboot.start(lambda _: Start.RUNS) == slot
    assert uboot.slots().booted() == slot
    uboot.slots().start_next(slot, settled=settled)
    assert uboot.start(lambda _: Start.RUNS) == slot


@pytest.mark.parametrize("how", [Start.REFUSED, Start.KERNEL_STOPS, Start.INIT_STOPS])
@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_slot_that_stops_leads_to_the_other_one(uboot: PretendedUBoot, slot: str, how: Start) -> None:
    uboot.slots().start_next(slot, settled=slot)
    assert uboot.start(lambda one: how if one == slot else Start.RUNS) != slot


def test_one_that_came_up_and_was_not_confirmed_leads_to_the_other_one(uboot: PretendedUBoot) -> None:
    uboot.slots().start_next("b", settled="a")
    assert [uboot.start(lambda _: Start.RUNS) for _ in range(3)] == ["b", "a", "b"]


@pytest.mark.parametrize(("spoilt", "wanted"), [((0,), "b"), ((1,), "b"), ((0, 1), "a")])
def test_one_damaged_copy_changes_nothing_and_two_lead_to_slot_a(
    uboot: PretendedUBoot, spoilt: tuple[int, ...], wanted: str
) -> None:
    for settled in ("a", "b"):  # both copies say that slot b is next
        uboot.slots().start_next("b", settled=settled)
    uboot.spoil(*spoilt)
    assert uboot.start(lambda _: Start.RUNS) == wanted
    uboot.slots().start_next("b", settled="b")
    assert uboot.start(lambda _: Start.RUNS) == "b"


def test_what_is_set_already_is_not_written_again(uboot: PretendedUBoot) -> None:
    uboot.slots().start_next("b", settled="a")
    before = uboot.copies()
    uboot.slots().start_next("b", settled="a")
    assert uboot.copies() == before


def test_the_copy_that_counts_is_never_overwritten(uboot: PretendedUBoot) -> None:
    for slot in "abababab":
        before = uboot.copies()
        uboot.slots().start_next(slot, settled="a")
        assert sum(old != new for old, new in zip(before, uboot.copies(), strict=True)) == 1
        assert uboot.variables() == {"boot_next": slot, "boot_order": "a b"}


def test_variables_that_u_boot_does_not_take_are_not_kept(uboot: PretendedUBoot) -> None:
    uboot.save({"bootcmd": "mmc read", "boot_next": "a"})
    uboot.slots().start_next("a", settled="a")
    assert uboot.variables() == {"boot_next": "a", "boot_order": "a b"}


@pytest.mark.parametrize(
    "line", ["quiet", "armillary.slot=c", "armillary.slot=a armillary.slot=b", "xarmillary.slot=a"]
)
def test_a_command_line_that_names_no_slot_is_refused(uboot: PretendedUBoot, line: str) -> None:
    uboot.command_line.write_text(line)
    with pytest.raises(HostError, match="does not say which slot"):
        uboot.slots().booted()


def test_both_copies_damaged_are_told_at_the_start_that_they_cost_and_no_other(uboot: PretendedUBoot) -> None:
    told = []

    def start() -> None:
        uboot.start(lambda _: Start.RUNS)
        told.append(uboot.slots().was_begun_anew())
        uboot.slots().start_next("a", settled="a")

    start()  # a new disk
    start()
    uboot.spoil(0)
    start()
    uboot.spoil(1)
    start()
    assert told == [False] * 4
    uboot.spoil(0, 1)
    start()
    start()
    assert told == [False] * 4 + [True, False]
    uboot.node.unlink()
    assert not uboot.slots().was_begun_anew()


def test_the_sentence_about_both_copies_is_handed_on(tmp_path: Path) -> None:
    path, environment = a_disk(tmp_path)
    for damaged in (True, False):
        uboot = PretendedUBoot(tmp_path)
        uboot.save({})
        uboot.save({})
        if damaged:
            uboot.spoil(0, 1)
        uboot.start(lambda _: Start.RUNS)
        uboot.node.replace(environment)
        told: list[str] = []
        open_os_disk(path, (disk.STARTED, disk.ROOT), lost=told.append)
        assert told == ([uboot_slots.BEGUN_ANEW] if damaged else [])


def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"{tmp_path}: "):
        UBootSlots(tmp_path, COMMAND_LINE).start_next("a", settled="a")


def test_a_disk_with_a_partition_for_its_environment_is_started_by_u_boot(tmp_path: Path) -> None:
    path, environment = a_disk(tmp_path)
    found = open_os_disk(path, (disk.STARTED, disk.ROOT))
    assert found.slots == UBootSlots(environment)
