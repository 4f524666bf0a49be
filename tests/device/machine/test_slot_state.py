# SPDX-License-Identifier: Apache-2.0
"""No copy of the install record is readable: the OS that runs stays in force, and the device is one again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.rig import Rig
from tests.device.test_os_disk import Machine, blank_disk, machine, outcome, said
from tests.fixtures.pretended_uefi import PretendedUefi, Start
from tests.fixtures.waiting import until

from armillary.device.boot.slot_choice import TRIES
from armillary.device.boot.startup import chip_profile, load_minimums
from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.device.machine.slot_state import mend_record
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import BootRefusedError, WireError
from armillary.update.install.component import Kind, os_region

__all__ = ["machine"]  # the fixture

pytestmark = pytest.mark.anyio


def damage_record(files: FileFlash) -> None:
    for region in RECORD_REGIONS:
        data = bytearray(files.read(region) or b"ARMR")
        data[len(data) // 2] ^= 1
        files.write(region, bytes(data))


async def updated(rig: Rig, machine: Machine, *, security_version: int = 1) -> FileFlash:
    """The device runs the OS that an update brought into slot b, with an application, and is off."""
    await machine.start()
    rig.service.security_version = security_version
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    checks = len(rig.service.checks)
    rig.device.check_in_now()  # the one that raises the lowest security version
    await until(lambda: len(rig.service.checks) > checks, "another check-in")
    await rig.stop()
    return FileFlash(rig.folder / "flash")


async def test_the_os_that_runs_stays_and_the_applications_come_back(rig: Rig, machine: Machine) -> None:
    files = await updated(rig, machine)
    damage_record(files)
    with pytest.raises(WireError):  # without it there is no device any more
        Installer(files, lambda: 0)

    told = mend_record(DeviceFolder(rig.folder), machine.disk)

    assert "both copies of the install record are damaged" in told
    assert "the OS in slot b stays, the next check-in brings the applications" in told
    slots = {each.name: each.slot for each in Installer(files, lambda: 0).record.active}
    assert slots == {each.name: "b" for each in chip_profile("mt3620").boot_components}
    checks = len(rig.service.checks)
    await machine.start()
    await until(lambda: len(rig.service.checks) > checks + 1, "it checks in")
    assert machine.firmware.started[-1] == "b"
    assert said(rig)[-1] == "26.12"
    await until(lambda: rig.sandbox.alive == ["app1"], "its application is back")


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ((), "the install record is lost (both copies are missing)"),
        (RECORD_REGIONS[:1], "the install record is lost (one copy is damaged, one missing)"),
        (RECORD_REGIONS[1:], "the install record is lost (one copy is damaged, one missing)"),
    ],
)
async def test_a_record_that_is_lost_costs_no_os_though_the_one_before_may_not_boot_any_more(
    rig: Rig, machine: Machine, damaged: tuple[str, ...], told: str
) -> None:
    """Without a record slot a would be wanted, whose OS is below the security version that b has raised."""
    files = await updated(rig, machine, security_version=2)
    assert set(load_minimums(files).values()) == {2}
    for region in RECORD_REGIONS:
        files.remove(region)
    for region in damaged:
        files.write(region, b"torn")
    said_of_it = mend_record(DeviceFolder(rig.folder), machine.disk)
    assert said_of_it == (
        f"{told}; it was made anew: the OS in slot b stays, the next check-in brings the applications"
    )
    checks = len(rig.service.checks)
    await machine.start()
    await until(lambda: len(rig.service.checks) > checks + 1, "it checks in")
    assert machine.firmware.started[-1] == "b"
    assert said(rig)[-1] == "26.12"
    assert rig.status()["last_check_in"]["verdict"] == "attested"
    await until(lambda: rig.sandbox.alive == ["app1"], "its application is back")


@pytest.mark.parametrize("torn", [None, b"torn"])
async def test_a_device_in_slot_a_needs_no_record_and_nothing_is_said(
    rig: Rig, machine: Machine, torn: bytes | None
) -> None:
    """So begins a device whose disk came with one OS, and so may its first record be cut short."""
    machine.firmware.start(lambda _: Start.RUNS)
    files = FileFlash(rig.folder / "flash")
    if torn is not None:
        files.write(RECORD_REGIONS[0], torn)
    assert mend_record(DeviceFolder(rig.folder), machine.disk) == ""
    assert Installer(files, lambda: 0).record.active == ()


async def test_a_slot_that_no_record_has_named_is_not_taken_for_the_os(rig: Rig, tmp_path: Path) -> None:
    """A disk that came with one OS, in slot a, and whose firmware started what else is in slot b."""
    firmware = PretendedUefi(tmp_path)
    firmware.slots().start_next("b", settled="b")
    disk = blank_disk(tmp_path, firmware)
    firmware.start(lambda _: Start.RUNS)
    assert mend_record(DeviceFolder(rig.folder), disk) == ""
    assert FileFlash(rig.folder / "flash").regions("install/") == ()


@pytest.mark.parametrize("damaged", RECORD_REGIONS)
async def test_a_whole_copy_is_enough_and_nothing_is_said(rig: Rig, machine: Machine, damaged: str) -> None:
    files = await updated(rig, machine)
    files.write(damaged, b"torn")
    found = Installer(files, lambda: 0).record
    assert mend_record(DeviceFolder(rig.folder), machine.disk) == ""
    assert Installer(files, lambda: 0).record == found


async def test_a_component_that_is_mounted_from_the_other_slot_is_the_one_that_runs(
    rig: Rig, machine: Machine, tmp_path: Path
) -> None:
    """An update may have brought the kernel alone: then it mounts the root file system of the other slot."""
    files = await updated(rig, machine)
    damage_record(files)
    mounted = chip_profile("mt3620").boot_components[-1].name
    nodes = tmp_path / "slaves"
    nodes.mkdir()
    (nodes / machine.disk.nodes[os_region(mounted, "a")].name).touch()
    mend_record(DeviceFolder(rig.folder), replace(machine.disk, root_nodes=nodes))
    slots = {each.name: each.slot for each in Installer(files, lambda: 0).record.active if each.kind is Kind.OS}
    assert slots.pop(mounted) == "a"
    assert set(slots.values()) == {"b"}


async def test_where_what_runs_has_no_packages_slot_a_is_wanted(rig: Rig, tmp_path: Path) -> None:
    """Slot b of a new disk has the same OS without the signatures: only slot a is verified."""
    files = FileFlash(rig.folder / "flash")
    firmware = PretendedUefi(tmp_path)
    firmware.slots().start_next("b", settled="b")
    disk = blank_disk(tmp_path, firmware)
    firmware.start(lambda _: Start.RUNS)
    damage_record(files)
    assert "the OS in slot a is wanted" in mend_record(DeviceFolder(rig.folder), disk)
    assert Installer(files, lambda: 0).record.active == ()


async def starts(rig: Rig, machine: Machine) -> None:
    """As ``machine/being.py``: the record is mended, then the device runs or the machine starts again."""
    for _ in range(4 * TRIES):
        machine.firmware.start(lambda _: Start.RUNS)
        mend_record(DeviceFolder(rig.folder), machine.disk)
        (rig.folder / "status.json").unlink(missing_ok=True)
        await rig.start(disk=machine.disk)
        task = rig.task
        assert task is not None
        await until(lambda task=task: task.done() or machine.is_up(), "the device runs or ends")
        if not task.done():
            return
        assert isinstance(task.exception(), BootRefusedError | None)
    pytest.fail(f"it never came up: {machine.firmware.started}")


async def test_a_record_that_is_mended_for_an_os_that_may_not_boot_costs_no_whole_one(
    rig: Rig, machine: Machine
) -> None:
    """Both copies are damaged, and power goes in the first seconds of the start that follows: slot a mends them."""
    files = await updated(rig, machine, security_version=2)
    damage_record(files)
    machine.firmware.slots().start_next("a", settled="b")  # as the first program of slot b has named it
    machine.firmware.started.clear()
    checks = len(rig.service.checks)
    await starts(rig, machine)
    assert machine.firmware.started == ["a", "b"] * (TRIES + 1)
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert {judged.verdict for _, judged in rig.service.checks[checks:]} == {"attested"}


async def test_a_record_that_is_lost_in_a_slot_that_may_not_boot_costs_no_whole_one(rig: Rig, machine: Machine) -> None:
    """The device has settled in slot a; power goes in the first seconds of a start, and slot b's finds no record."""
    files = await updated(rig, machine)
    await machine.start()
    rig.service.security_version = 2
    rig.service.deploy_os("26.13", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await until(lambda: rig.outcomes()[-1][1] == "confirmed" and said(rig)[-1] == "26.13", "it is confirmed")
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks + 1, "another check-in")
    await rig.stop()
    assert set(load_minimums(files).values()) == {2}
    for region in RECORD_REGIONS:
        files.remove(region)
    machine.firmware.slots().start_next("b", settled="a")
    machine.firmware.started.clear()
    checks = len(rig.service.checks)
    await starts(rig, machine)
    assert machine.firmware.started == ["b", "a"] * (TRIES + 1)
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert {judged.verdict for _, judged in rig.service.checks[checks:]} == {"attested"}
