# SPDX-License-Identifier: Apache-2.0
"""A device whose OS slots are partitions that a firmware starts: it is updated, and taken back, with real restarts.

The partitions are files, the firmware is pretended; the rest is the device and a service that appraises.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.device.rig import Rig
from tests.fixtures.pretended_uefi import PretendedUefi, Start
from tests.fixtures.waiting import until

from armillary.device.boot.slot_choice import TRIES
from armillary.device.boot.startup import chip_profile, load_minimums
from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.reports import FAULT
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.flash.port import store_region
from armillary.errors import BootRefusedError, DataFolderError, HostError
from armillary.update.install.component import SLOTS, Kind, os_region
from armillary.update.install.record import OsVersion, WayBack, encode, os_of
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.image import package as image_package

pytestmark = pytest.mark.anyio

SLOT_BYTES = 64 * 1024


def blank_disk(folder: Path, firmware: PretendedUefi) -> OsDisk:
    """A disk with empty slots."""
    regions = [os_region(each.name, slot) for each in chip_profile("mt3620").boot_components for slot in SLOTS]
    disk = OsDisk({region: folder / region.replace("/", "-") for region in regions}, firmware.slots(), "one-bl")
    for node in disk.nodes.values():
        node.write_bytes(bytes(SLOT_BYTES))
    return disk


class Machine:
    """The disk and the firmware of one device, and what comes of its slots."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.stops: dict[str, Start] = {}  # By slot
        self.firmware = PretendedUefi(folder / "efivars")
        self.firmware.folder.mkdir()
        files = FileFlash(rig.folder / "flash")
        self.disk = blank_disk(folder, self.firmware)
        for region in self.disk.nodes:
            if (package := files.read(region)) is not None:  # the factory's OS is on the disk from the beginning
                store_region(PartitionFlash(files, self.disk.nodes), region, package)
                files.remove(region)

    async def start(self) -> None:
        """Start the machine, again while the device asks for it; returns with a device that runs."""
        while True:
            self.firmware.start(lambda slot: self.stops.get(slot, Start.RUNS))
            (self.rig.folder / "status.json").unlink(missing_ok=True)  # what it says is of this start
            device = await self.rig.start(disk=self.disk)
            task = self.rig.task
            await until(lambda task=task: task.done() or self.is_up(), "the device runs or ends")
            refused = task is not None and task.done() and isinstance(task.exception(), BootRefusedError)
            if not device.restarts_machine and not refused:  # ``machine/being.py`` restarts a machine that is refused
                return

    def is_up(self) -> bool:
        return self.rig.status().get("state") == "running"

    async def restarted(self) -> None:
        """Wait until the device ends because the machine has to start again, and start it."""
        await until(lambda: self.rig.task is not None and self.rig.task.done(), "the device ends")
        assert self.rig.device is not None
        assert self.rig.device.restarts_machine
        await self.start()


@pytest.fixture
async def machine(rig: Rig, tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    return Machine(rig, folder)


def said(rig: Rig) -> list[str]:
    """OS versions that the device proved, each once in a row."""
    versions = [judged.evidence.os_version for _, judged in rig.service.checks]
    return [version for at, version in enumerate(versions) if at == 0 or versions[at - 1] != version]


async def outcome(rig: Rig, wanted: str) -> None:
    await until(lambda: wanted in {found for _, found in rig.outcomes()}, wanted)


async def test_an_update_goes_into_the_other_slot_and_the_machine_starts_it(rig: Rig, machine: Machine) -> None:
    await machine.start()
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    assert said(rig) == ["26.11", "26.12"]
    assert machine.firmware.started[-1] == "b"
    assert rig.sandbox.alive == ["app1"]


@pytest.mark.parametrize("how", [Start.REFUSED, Start.INIT_STOPS])
async def test_an_update_that_does_not_come_up_is_taken_back_and_reported(
    rig: Rig, machine: Machine, how: Start
) -> None:
    await machine.start()
    machine.stops = {"b": how}
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "reverted")
    assert said(rig) == ["26.11"]
    reasons: set[Any] = {each.reason for request, _ in rig.service.checks for each in request.outcomes}
    assert reasons == {"slot b was started 3 times and did not come up, slot a did"}
    assert {event["reason"] for event in rig.events("update-reverted")} == reasons
    await until(lambda: rig.status().get("installation") == "idle", "idle")


async def test_an_os_that_is_larger_than_its_slot_is_refused_before_it_is_fetched(rig: Rig, machine: Machine) -> None:
    """Also where the chip allows that size: this disk was made with smaller partitions. The way back stays."""
    await machine.start()
    rig.service.deploy_os("26.12")
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    flash = machine.disk.flash(FileFlash(rig.folder / "flash"))
    before = Installer(flash, int).record
    assert before.way_back is not None
    services = next(each for each in chip_profile("mt3620").boot_components if each.name == "services")
    sections = image_package.standard_sections(
        image_type=services.image_type, component_id=services.component_id, image_id=uuid4(), name="services",
        built=rig.service.now, security_version=1,
    )  # fmt: skip
    signed = {"key": rig.service.os_key, "certificate": rig.service.os_certificate}
    room = SLOT_BYTES - SECTOR_BYTES
    large = image_package.build(bytes(room), sections=sections, **signed)
    assert room < len(large) < services.size_limit_bytes
    rig.service.deploy_os("26.13", services=large)
    rig.service.images.clear()  # nothing can be fetched
    rig.device.check_in_now()
    await outcome(rig, "failed")
    [refused] = rig.events("update-refused")
    assert refused["reason"] == f"OS 26.13: services has {len(large)} bytes, expected at most {room}"
    assert rig.events("update-postponed") == []
    assert Installer(flash, int).record.way_back == before.way_back
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in")
    assert len(rig.events("update-refused")) == 1, "what was refused is not tried again"


async def attested(rig: Rig, machine: Machine, *, security_version: int) -> FileFlash:
    """The device is off. It was attested with the OS of an update in slot b; the one before it is in slot a."""
    await machine.start()
    rig.service.security_version = security_version
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    await checked_in(rig)  # it raises the lowest security version
    await rig.stop()
    files = FileFlash(rig.folder / "flash")
    assert set(load_minimums(files).values()) == {security_version}
    machine.firmware.started.clear()
    return files


async def checked_in(rig: Rig) -> None:
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in")


def damage(machine: Machine, component: str, slot: str) -> None:
    """A bit of where it says how long the package is: nothing that the kernel reads."""
    node = machine.disk.nodes[os_region(component, slot)]
    data = bytearray(node.read_bytes())
    data[-SECTOR_BYTES] ^= 1
    node.write_bytes(bytes(data))


def proved(rig: Rig, machine: Machine) -> tuple[str, str, str]:
    """The slot that runs, the OS that the device proved last, and the verdict."""
    _, judged = rig.service.checks[-1]
    return machine.firmware.started[-1], judged.evidence.os_version, rig.status()["last_check_in"]["verdict"]


async def test_an_os_that_is_damaged_later_gives_way_to_the_one_that_then_runs(rig: Rig, machine: Machine) -> None:
    """What is measured is what runs: the machine starts the other slot, and boots no packages of it beside this one."""
    await attested(rig, machine, security_version=1)
    damage(machine, "services", "b")
    checks = len(rig.service.checks)
    await machine.start()
    assert machine.firmware.started == ["b", "a"] * (TRIES + 1)
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert {judged.evidence.os_version for _, judged in rig.service.checks[checks:]} == {"26.11"}
    assert proved(rig, machine) == ("a", "26.11", "attested")
    described = [each.description for each in rig.service.reports_seen.values()]
    assert any("boot stopped at services" in each for each in described)
    await machine.restarted()  # it is offered again, and goes into the slot that does not run
    await until(lambda: proved(rig, machine) == ("b", "26.12", "attested"), "the newer OS is back")
    assert rig.events("update-postponed") == []


async def test_an_older_os_that_a_forged_record_names_is_no_device(rig: Rig, machine: Machine) -> None:
    """Who has the disk makes the record name the old OS, and the new one as its way back: the new one runs, or none."""
    files = await attested(rig, machine, security_version=2)
    record = Installer(files, int).record
    assert record.way_back is not None
    others = [image for image in record.active if image.kind is not Kind.OS]
    forged = replace(
        record,
        active=(*record.way_back.images, *others),
        os=OsVersion("26.11"),
        way_back=WayBack(os_of(record.active), record.os),
    )
    for region in RECORD_REGIONS:
        store_region(files, region, encode(forged, 1000))
    machine.firmware.slots().start_next("a", settled="a")
    checks, counted = len(rig.service.checks), len(rig.events("booted"))
    await machine.start()
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert proved(rig, machine) == ("b", "26.12", "attested")
    assert machine.firmware.started[0] == "a"
    assert {judged.evidence.os_version for _, judged in rig.service.checks[checks:]} == {"26.12"}
    assert len(rig.events("booted")) == counted + 1, "the old OS was never begun"
    assert "check (5): expected security version 2 or above, got version 1" in rig.events("boot-refused")[0]["reason"]


async def test_a_trial_that_is_refused_is_reported_for_what_it_is(rig: Rig, machine: Machine) -> None:
    await machine.start()
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await until(lambda: rig.task is not None and rig.task.done(), "it ends to start the update")
    damage(machine, "root-fs", "b")
    machine.firmware.started.clear()
    await machine.start()
    await outcome(rig, "reverted")
    assert machine.firmware.started == ["b", "a"]
    assert said(rig) == ["26.11"]
    assert proved(rig, machine) == ("a", "26.11", "attested")
    assert rig.status()["os"]["slots"] == {each.name: "a" for each in chip_profile("mt3620").boot_components}
    [reason] = {each.reason for request, _ in rig.service.checks for each in request.outcomes}
    assert reason.startswith("boot stopped at root-fs, check (1)")


@pytest.mark.parametrize("times", [1, 2, 40])
async def test_an_os_that_is_read_wrongly_is_not_lost(
    rig: Rig, machine: Machine, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Its security version is the lowest that may boot: the one before it is none any more, however often it fails."""
    await attested(rig, machine, security_version=2)
    left, read = [times], PartitionFlash.read

    def fails(flash: PartitionFlash, region: str) -> bytes | None:
        if region == os_region("root-fs", "b") and left[0]:
            left[0] -= 1
            raise DataFolderError("Input/output error")
        return read(flash, region)

    monkeypatch.setattr(PartitionFlash, "read", fails)
    checks = len(rig.service.checks)
    await machine.start()
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert left == [0]
    assert proved(rig, machine) == ("b", "26.12", "attested")
    assert rig.events("update-reverted") == []
    reasons = [each["reason"] for each in rig.events("boot-refused")]
    assert sum(each.startswith("boot stopped at root-fs") for each in reasons) == times // 2


async def test_power_that_goes_often_costs_no_os_that_is_the_only_one(
    rig: Rig, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = await attested(rig, machine, security_version=2)
    before = Installer(files, int).record
    cuts = iter([Start.INIT_STOPS, Start.RUNS] * (TRIES + 1))
    start = machine.firmware.start
    monkeypatch.setattr(machine.firmware, "start", lambda _outcome: start(lambda _slot: next(cuts, Start.RUNS)))
    checks = len(rig.service.checks)
    await machine.start()
    await until(lambda: len(rig.service.checks) > checks, "it checks in")
    assert proved(rig, machine) == ("b", "26.12", "attested")
    assert machine.firmware.started == ["b", "a"] * (TRIES + 1) + ["b"]
    assert replace(Installer(files, int).record, outcomes=before.outcomes) == before
    [refused] = rig.events("boot-refused")
    assert refused["reason"].startswith("slot b was started 3 times and did not come up, slot a did; the OS before it")
    assert "check (5): expected security version 2 or above, got version 1" in refused["reason"]
    seen = rig.service.reports_seen
    await until(lambda: any("slot b was started 3" in each.description for each in seen.values()), "it is reported")


class ReadOnlySlots:
    """Firmware that takes nothing."""

    def __init__(self, firmware: PretendedUefi) -> None:
        self._firmware = firmware

    def booted(self) -> str:
        return self._firmware.slots().booted()

    def start_next(self, _slot: str, *, settled: str) -> None:
        raise HostError(f"BootOrder ({settled}): Read-only file system", remedy="Reset the firmware's variables.")


async def test_a_firmware_that_cannot_be_told_what_is_next_stops_no_machine_that_runs(
    rig: Rig, machine: Machine
) -> None:
    machine.disk = replace(machine.disk, slots=ReadOnlySlots(machine.firmware))
    await machine.start()
    assert "Read-only file system" in rig.events("slot-not-named")[0]["reason"]
    await until(lambda: rig.service.reports_seen, "a report")
    [reported] = rig.service.reports_seen.values()
    assert reported.event_type == FAULT
    assert "the next start may be of the other slot" in reported.description
    assert said(rig) == ["26.11"]


async def test_a_restart_by_hand_starts_the_same_slot(rig: Rig, machine: Machine) -> None:
    await machine.start()
    assert rig.device is not None
    rig.device.restart(0)
    await machine.restarted()
    assert machine.firmware.started == ["a", "a"]


async def test_a_flashed_disk_gets_its_signatures_from_the_factory(rig: Rig, tmp_path: Path) -> None:
    """The image was built without any service: its slots have payloads and nothing else."""
    disk = blank_disk(tmp_path, PretendedUefi(tmp_path))
    packages = rig.service.os_packages("mt3620")
    for name, package in packages.items():
        with disk.nodes[os_region(name, "a")].open("r+b") as node:
            node.write(image_package.parse(package).payload)
    rig.service.provision(tmp_path / "device", disk=disk)
    flash = disk.flash(FileFlash(tmp_path / "device" / "flash"))
    assert {name: flash.read(os_region(name, "a")) for name in packages} == packages
    assert flash.files.regions("boot") == ()
    assert flash.regions("boot.b") == ()


async def flashed(rig: Rig, folder: Path, *, slots: tuple[str, ...]) -> Machine:
    """The machine of a device that was enrolled with the factory's OS on its disk, in these slots."""
    folder.mkdir()
    machine = Machine(rig, folder)
    shutil.rmtree(rig.folder)
    for name, package in rig.service.os_packages("mt3620").items():
        for slot in slots:
            with machine.disk.nodes[os_region(name, slot)].open("r+b") as node:
                node.write(image_package.parse(package).payload)
    rig.service.provision(rig.folder, disk=machine.disk)
    return machine


async def test_a_flashed_disk_whose_slots_are_equal_has_a_way_back_from_the_first_day(rig: Rig, tmp_path: Path) -> None:
    """Slot a is damaged before any update: the device runs from slot b, and takes the next OS into slot a."""
    machine = await flashed(rig, tmp_path / "machine", slots=SLOTS)
    machine.firmware.slots().start_next("a", settled="a")  # as the image's variables say
    machine.stops = {"a": Start.REFUSED}
    await machine.start()
    assert machine.firmware.started.count("a") >= TRIES
    assert machine.firmware.started[-1] == "b"
    assert said(rig) == ["26.11"]
    assert "slot a was started 3 times and did not come up" in rig.events("update-reverted")[0]["reason"]
    machine.stops = {}
    rig.service.deploy_os("26.12", rig.service.application())
    rig.device.check_in_now()
    await machine.restarted()
    await outcome(rig, "confirmed")
    assert machine.firmware.started[-1] == "a"
    assert said(rig)[-1] == "26.12"


async def test_a_flashed_disk_with_one_slot_has_none(rig: Rig, tmp_path: Path) -> None:
    machine = await flashed(rig, tmp_path / "machine", slots=("a",))
    assert FileFlash(rig.folder / "flash").regions("install/") == ()
    await machine.start()
    assert said(rig) == ["26.11"]


async def test_a_disk_with_another_os_is_no_device_of_this_factory(rig: Rig, tmp_path: Path) -> None:
    disk = blank_disk(tmp_path, PretendedUefi(tmp_path))
    packages = rig.service.os_packages("mt3620")
    for name, package in [*packages.items()][:-1]:  # all but the last component are the factory's
        with disk.nodes[os_region(name, "a")].open("r+b") as node:
            node.write(image_package.parse(package).payload)
    before = {region: node.read_bytes() for region, node in disk.nodes.items()}
    with pytest.raises(DataFolderError, match=r"services: expected the OS 26\.11 of the factory"):
        rig.service.provision(tmp_path / "device", disk=disk)
    assert not DeviceFolder(tmp_path / "device").is_finished()
    assert {region: node.read_bytes() for region, node in disk.nodes.items()} == before, "it runs from them"


def shortened(rig: Rig, name: str, size: int) -> dict[str, bytes]:
    """The factory's packages, one of them rightly signed and with the first bytes of its payload only."""
    packages = dict(rig.service.os_packages("mt3620"))
    whole = image_package.parse(packages[name])
    packages[name] = image_package.build(
        whole.payload[:size],
        sections=whole.sections,
        key=rig.service.os_key,
        certificate=rig.service.os_certificate,
    )
    assert image_package.parse(packages[name]).payload_bytes == size
    return packages


@pytest.mark.parametrize("size", [0, 4, 400])
@pytest.mark.parametrize("name", ["wifi-firmware", "services"])
async def test_an_os_whose_payload_is_only_the_beginning_of_a_slot_is_refused(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    """Its signature is right over so many bytes; its metadata would go into the middle of what the machine starts."""
    disk = blank_disk(tmp_path, PretendedUefi(tmp_path))
    whole = rig.service.os_packages("mt3620")
    for component, package in whole.items():
        for slot in SLOTS:
            with disk.nodes[os_region(component, slot)].open("r+b") as node:
                node.write(image_package.parse(package).payload)
    before = {region: node.read_bytes() for region, node in disk.nodes.items()}
    attack = shortened(rig, name, size)
    with monkeypatch.context() as patched:
        patched.setattr(rig.service, "os_packages", lambda _chip: attack)
        with pytest.raises(DataFolderError, match=rf"{name}: expected the OS 26\.11 of the factory on the disk, found"):
            rig.service.provision(tmp_path / "device", disk=disk)
    assert {region: node.read_bytes() for region, node in disk.nodes.items()} == before
    assert not DeviceFolder(tmp_path / "device").is_finished()
    rig.service.provision(tmp_path / "device", disk=disk)
    flash = disk.flash(FileFlash(tmp_path / "device" / "flash"))
    assert {each: flash.read(os_region(each, "a")) for each in whole} == whole, "the control: the whole release"


async def test_a_second_slot_with_more_than_the_os_is_left_as_it_is(rig: Rig, tmp_path: Path) -> None:
    disk = blank_disk(tmp_path, PretendedUefi(tmp_path))
    for component, package in rig.service.os_packages("mt3620").items():
        for slot, more in zip(SLOTS, (b"", b"more"), strict=True):
            with disk.nodes[os_region(component, slot)].open("r+b") as node:
                node.write(image_package.parse(package).payload + more)
    before = {region: node.read_bytes() for region, node in disk.nodes.items() if region.startswith("boot.b")}
    assert before
    rig.service.provision(tmp_path / "device", disk=disk)
    assert {region: disk.nodes[region].read_bytes() for region in before} == before
    assert FileFlash(tmp_path / "device" / "flash").regions("install/") == ()


async def test_an_enrolment_that_was_cut_while_slots_were_completed_goes_on(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = blank_disk(tmp_path, PretendedUefi(tmp_path))
    packages = rig.service.os_packages("mt3620")
    monkeypatch.setattr(rig.service, "os_packages", lambda _chip: packages)
    for component, package in packages.items():
        for slot in SLOTS:
            with disk.nodes[os_region(component, slot)].open("r+b") as node:
                node.write(image_package.parse(package).payload)
    cut, complete = [3], PartitionFlash.complete

    def completed(flash: PartitionFlash, region: str, tail: bytes, payload_bytes: int) -> None:
        complete(flash, region, tail, payload_bytes)
        cut[0] -= 1
        if not cut[0]:  # its length was written, its metadata was not
            with disk.nodes[region].open("r+b") as node:
                node.seek(payload_bytes)
                node.write(bytes(len(tail)))
            raise KeyboardInterrupt

    monkeypatch.setattr(PartitionFlash, "complete", completed)
    with pytest.raises(KeyboardInterrupt):
        rig.service.provision(tmp_path / "device", disk=disk)
    assert not DeviceFolder(tmp_path / "device").is_finished()
    rig.service.provision(tmp_path / "device", disk=disk)
    flash = disk.flash(FileFlash(tmp_path / "device" / "flash"))
    for slot in SLOTS:
        assert {each: flash.read(os_region(each, slot)) for each in packages} == packages
