# SPDX-License-Identifier: Apache-2.0
"""Both copies of the install record are damaged: the OS that runs stays in force, and the device is one again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.rig import Rig
from tests.device.test_os_disk import Machine, blank_disk, outcome, said
from tests.fixtures.pretended_uefi import PretendedUefi, Start
from tests.fixtures.waiting import until

from armillary.device.boot.startup import chip_profile
from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.device.machine.slot_state import mend_record
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import WireError
from armillary.update.install.component import Kind, os_region

pytestmark = pytest.mark.anyio


@pytest.fixture
async def machine(rig: Rig, tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    return Machine(rig, folder)


def damage_record(files: FileFlash) -> None:
    for region in RECORD_REGIONS:
        data = bytearray(files.read(region) or b"ARMR")
        data[len(data) // 2] ^= 1
        files.write(region, bytes(data))


async def updated(rig: Rig, machine: Machine) -> FileFlash:
    """The device runs the OS that an update brought into slot b, with an application, and is off."""
    await machine.start()
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
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
    mend_record(DeviceFolder(rig.folder), machine.disk, nodes)
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
