# SPDX-License-Identifier: Apache-2.0
"""Who has the disk in his hands names nobody whom the device then trusts: its TPM keeps a digest. The TPM is pretended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines.swtpm import needs_tpm, software_tpm

from armillary.device.boot.recovery_regions import DECIDED
from armillary.device.boot.trust_guard import REGIONS, TrustGuard
from armillary.device.state import configuration as records
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.device.state.permission import STATE_REGION, advance_state
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust, open_trust
from armillary.engines.root_of_trust.tpm_trust import TRUST_BYTES
from armillary.errors import ArmillaryError, DataFolderError, RootOfTrustError
from armillary.identity.manufacturing import ManufacturingState


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


@needs_tpm
def test_a_real_tpm_keeps_it(machine: Machine, tmp_path: Path) -> None:
    """With swtpm, whose state is a file beside the disk here."""
    with software_tpm(tmp_path / "tpm") as tpm:
        Tpm2RootOfTrust.create(tmp_path / "root", tpm=tpm.tcti)

        def start() -> Flash:
            guard = TrustGuard()
            guard.begin(machine.files, open_trust(tmp_path / "root"))
            return guard.over(machine.files)

        trusts_another(start())
        assert len(open_trust(tmp_path / "root").load()) == TRUST_BYTES
        start()
        trusts_another_service(machine.files)
        with pytest.raises(DataFolderError, match="changed from outside"):
            start()
