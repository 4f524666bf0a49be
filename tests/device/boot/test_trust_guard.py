# SPDX-License-Identifier: Apache-2.0
"""Who has the disk in his hands names nobody whom the device then trusts: its TPM keeps a digest. The TPM is pretended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.install import test_trust_stores as stores
from tests.engines.swtpm import needs_tpm, software_tpm

from armillary.device.boot.recovery_regions import DECIDED
from armillary.device.boot.trust_guard import REGIONS, TrustGuard
from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.device.install.trust_stores import adopt_stores, configuration_in_force, keep_confirmed
from armillary.device.state import configuration as records
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.device.state.permission import STATE_REGION, advance_state, begin_state
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.engines.root_of_trust.tpm_trust import TRUST_BYTES
from armillary.errors import ArmillaryError, DataFolderError, RootOfTrustError
from armillary.identity.manufacturing import ManufacturingState
from armillary.update.install.plan import InstallPlan
from armillary.update.install.record import InstallRecord, SlotImage, encode


class PowerCutError(Exception):
    """The power went."""


class Memory:
    """What a TPM keeps; the power goes after so many calls of it and of the flash."""

    def __init__(self) -> None:
        self.kept = b""
        self.left = 1_000_000

    def load(self) -> bytes:
        return self.kept

    def store(self, data: bytes) -> None:
        self.step()
        self.kept = data

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCutError


class Files(FileFlash):
    """The data partition."""

    def __init__(self, folder: Path, memory: Memory) -> None:
        super().__init__(folder)
        self._memory = memory

    def write(self, region: str, data: bytes) -> None:
        self._memory.step()
        super().write(region, data)

    def rename(self, source: str, target: str) -> None:
        self._memory.step()
        super().rename(source, target)

    def remove(self, region: str) -> None:
        self._memory.step()
        super().remove(region)


class Machine:
    """A device that was enrolled and has started once."""

    def __init__(self, folder: Path) -> None:
        self.memory = Memory()
        self.files = Files(folder, self.memory)
        self.start()

    def start(self) -> Flash:
        """The device's flash from this start on."""
        self.memory.left = 1_000_000
        guard = TrustGuard()
        guard.begin(self.files, self.memory)
        return guard.over(self.files)


@pytest.fixture
def machine(tiny_service: Any, tmp_path: Path) -> Machine:
    tiny_service.url = "https://127.0.0.1:1"
    tiny_service.provision(tmp_path / "device")
    return Machine(tmp_path / "device/flash")


def trusts_another(flash: Flash) -> None:
    """Name somebody else as a signer of applications."""
    present = load_configuration(flash)
    store_configuration(flash, replace(present, trusted_image_certificates=present.trusted_os_certificates))


def trusts_another_service(flash: Flash) -> None:
    present = load_configuration(flash)
    store_configuration(flash, replace(present, service_root=present.trusted_os_certificates[0]))


def is_blank(flash: Flash) -> None:
    replace_region(flash, STATE_REGION, ManufacturingState.BLANK.value.encode())


def decides_a_recovery(flash: Flash) -> None:
    replace_region(flash, DECIDED, b"another configuration")


ATTACKS = [trusts_another, trusts_another_service, is_blank, decides_a_recovery]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_from_outside_starts_no_device_until_it_is_put_right(
    machine: Machine, attack: Callable[[Flash], None]
) -> None:
    before = {region: machine.files.read(region) for region in REGIONS}
    machine.start()  # the control: nothing was changed
    attack(machine.files)
    for _ in range(2):  # it is refused at each start, not only at the first
        with pytest.raises(DataFolderError, match="changed from outside, or is an old copy"):
            machine.start()
    for region, data in before.items():
        machine.files.remove(region) if data is None else replace_region(machine.files, region, data)
    machine.start()


@pytest.mark.parametrize("change", ATTACKS)
def test_what_the_device_changes_itself_is_kept_and_an_old_copy_of_it_refused(
    machine: Machine, change: Callable[[Flash], None]
) -> None:
    before = {region: machine.files.read(region) for region in REGIONS}
    change(machine.start())
    machine.start()
    for region, data in before.items():
        machine.files.remove(region) if data is None else replace_region(machine.files, region, data)
    with pytest.raises(DataFolderError, match="old copy"):
        machine.start()


@pytest.mark.parametrize("change", [trusts_another, lambda flash: flash.remove(DECIDED)])
def test_a_power_cut_at_any_step_leaves_a_device_that_starts(machine: Machine, change: Callable[[Flash], None]) -> None:
    decides_a_recovery(machine.start())
    for steps in range(20):
        flash = machine.start()
        machine.memory.left = steps
        try:
            change(flash)
        except PowerCutError:
            machine.start()
            assert len({machine.memory.kept[:32], machine.memory.kept[32:]}) == 1  # what could have been is over
            continue
        machine.start()
        assert steps > 2  # the TPM before and after, the flash between
        return
    pytest.fail("it never came to its end")


def test_all_else_on_the_disk_is_as_free_as_before(machine: Machine) -> None:
    flash = machine.start()
    kept = machine.memory.kept
    for region in ("device/wifi", "install/record.0", "device/capability"):
        replace_region(flash, region, b"something")
        flash.remove(region)
    assert flash.regions("device/wifi") == ()
    assert machine.memory.kept == kept
    machine.start()


def test_a_state_that_is_lost_is_the_tightest_as_ever(machine: Machine) -> None:
    machine.files.remove(STATE_REGION)
    machine.start()
    with pytest.raises(ArmillaryError):
        advance_state(machine.start(), ManufacturingState.BLANK)


def test_a_record_that_is_written_in_its_place_is_a_defect(machine: Machine) -> None:
    """A cut would leave what is neither before nor after, and a device that never starts again."""
    with pytest.raises(DataFolderError, match="replace_region"):
        machine.start().write(records.REGION, b"")


def test_a_tpm_that_fails_changes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    flash, before = machine.start(), machine.files.read(records.REGION)

    def fails(_data: bytes) -> None:
        raise RootOfTrustError("the TPM fails", remedy="")

    monkeypatch.setattr(machine.memory, "store", fails)
    with pytest.raises(RootOfTrustError):
        trusts_another(flash)
    assert machine.files.read(records.REGION) == before


@pytest.mark.parametrize("kept", [b"\0", bytes(64)])
def test_a_tpm_that_keeps_something_else_is_no_first_start(machine: Machine, kept: bytes) -> None:
    machine.memory.kept = kept
    with pytest.raises(DataFolderError, match="old copy"):
        machine.start()


@pytest.fixture
def renewed(tmp_path: Path) -> Machine:
    """A device that was made after the key OTHER of the maker's was taken out of service."""
    files = FileFlash(tmp_path / "flash")
    store_configuration(files, stores.CONFIGURATION)
    begin_state(files, ManufacturingState.DEVICE_COMPLETE)
    return Machine(tmp_path / "flash")


def images_trusted(flash: Flash) -> tuple[str, ...]:
    """Who may sign applications, as the start finds it."""
    installer = Installer(flash, lambda: 0)
    stored = adopt_stores(flash, installer.record, load_configuration(flash))
    return configuration_in_force(flash, installer.record, stored).trusted_image_certificates


def put_from_outside(machine: Machine, image: SlotImage, data: bytes) -> None:
    """Write a package and a record that names it, past the device."""
    replace_region(machine.files, image.region, data)
    replace_region(machine.files, RECORD_REGIONS[0], encode(InstallRecord(active=(image,)), 999))


def test_a_store_of_before_brings_no_key_back_that_was_taken_out_of_service(renewed: Machine) -> None:
    """Its signature is right for good, and nothing guards the install record."""
    put_from_outside(renewed, *stores.key_store(os=stores.OLD, images=stores.OTHER))
    kept = renewed.memory.kept
    for _ in range(2):
        flash = renewed.start()
        assert images_trusted(flash) == stores.pem(stores.OLD[1])
        keep_confirmed(flash, Installer(flash, lambda: 0).record)
    assert load_configuration(renewed.files) == stores.CONFIGURATION
    assert renewed.memory.kept == kept


@pytest.mark.parametrize("kept", [True, False])
def test_who_accepts_a_store_from_outside_starts_no_device(renewed: Machine, kept: bool) -> None:
    """By naming it, or by taking away that any are named, as it is with a device of before."""
    image, data = stores.key_store(os=stores.OLD, images=stores.OTHER)
    put_from_outside(renewed, image, data)
    accepted = (str(image.image_id),) if kept else None
    store_configuration(renewed.files, replace(stores.CONFIGURATION, accepted_stores=accepted))
    with pytest.raises(DataFolderError, match="changed from outside"):
        renewed.start()


def switched(machine: Machine, flash: Flash, plan: InstallPlan, data: bytes) -> bool:
    """Take a trust store; False where the power went."""
    machine.memory.left, left = 1_000_000, machine.memory.left
    installer = Installer(flash, lambda: 0)
    installer.keep(plan.fetch[0].target, data)
    machine.memory.left = left
    try:
        installer.stage(plan)
        installer.switch(plan)
    except PowerCutError:
        return False
    return True


def test_a_power_cut_at_any_step_of_a_stores_switch_leaves_a_device_that_starts(renewed: Machine) -> None:
    """The new store is in force exactly where the record names it, and goes with its trial."""
    image, data = stores.key_store(images=stores.NEW)
    plan, _ = stores.plan_of((image, data))
    for steps in range(40):
        flash = renewed.start()
        renewed.memory.left = steps
        is_done = switched(renewed, flash, plan, data)
        flash = renewed.start()
        installer = Installer(flash, lambda: 0)
        is_named = installer.record.image_of(image.component_id) == image
        assert images_trusted(flash) == stores.pem((stores.NEW if is_named else stores.OLD)[1])
        if is_done:
            assert is_named
            assert steps > 5  # the package, the TPM before and after the configuration, the record
            return
        if is_named:
            installer.revert("the power went", lambda _record: None, bars=False)
        assert images_trusted(renewed.start()) == stores.pem(stores.OLD[1])
    pytest.fail("it never came to its end")


def test_a_power_cut_at_any_step_of_keeping_a_store_leaves_it_in_force(renewed: Machine) -> None:
    image, data = stores.key_store(images=stores.NEW)
    flash = renewed.start()
    assert switched(renewed, flash, stores.plan_of((image, data))[0], data)
    Installer(flash, lambda: 0).confirm()
    for steps in range(20):
        flash = renewed.start()
        assert images_trusted(flash) == stores.pem(stores.NEW[1])
        renewed.memory.left = steps
        try:
            keep_confirmed(flash, Installer(flash, lambda: 0).record)
        except PowerCutError:
            continue
        assert steps > 2
        kept = load_configuration(renewed.start())
        assert (kept.trust_stores, kept.accepted_stores) == ((str(image.image_id),), ())
        assert kept.trusted_image_certificates == stores.pem(stores.NEW[1])
        return
    pytest.fail("it never came to its end")


def test_a_device_of_before_with_a_store_in_force_goes_on_and_takes_no_other(renewed: Machine) -> None:
    """What its record names at the first start with this version is accepted; a power cut at any step repeats that."""
    image, data = stores.key_store(images=stores.NEW)
    store_configuration(renewed.start(), replace(stores.CONFIGURATION, accepted_stores=None))
    put_from_outside(renewed, image, data)  # in place of the version of before
    for steps in range(20):
        flash = renewed.start()
        renewed.memory.left = steps
        try:
            assert images_trusted(flash) == stores.pem(stores.NEW[1])
        except PowerCutError:
            continue
        assert steps > 2
        break
    assert load_configuration(renewed.start()).accepted_stores == (str(image.image_id),)
    put_from_outside(renewed, *stores.key_store(os=stores.OLD, images=stores.OTHER))
    assert images_trusted(renewed.start()) == stores.pem(stores.OLD[1])


@needs_tpm
def test_a_real_tpm_keeps_it(machine: Machine, tmp_path: Path) -> None:
    """With swtpm, whose state is a file beside the disk here."""
    with software_tpm(tmp_path / "tpm") as tpm:
        Tpm2RootOfTrust.create(tmp_path / "root", tpm=tpm.tcti)

        def start() -> Flash:
            guard = TrustGuard()
            guard.begin(machine.files, Tpm2RootOfTrust.open(tmp_path / "root").trust)
            return guard.over(machine.files)

        trusts_another(start())
        assert len(Tpm2RootOfTrust.open(tmp_path / "root").trust.load()) == TRUST_BYTES
        start()
        trusts_another_service(machine.files)
        with pytest.raises(DataFolderError, match="changed from outside"):
            start()
