# SPDX-License-Identifier: Apache-2.0
"""Somebody has a machine's disk, or its firmware's strings, in his hands: what he changes there is no part of a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.test_full_disk import data_of
from tests.device_image.booted.test_machine_faults import ATTESTED, seen_until, service

from armillary.cli.device_image.trial_service import TrialService
from armillary.device.state.permission import STATE_REGION
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import MachineSettings, prepare
from armillary.identity.manufacturing import ManufacturingState

__all__ = ["service"]  # the fixture

STATE = f"/device/flash/{STATE_REGION}"
# Systemd's stub adds it to the signed command line, with Secure Boot on, too.
ADDED = "type=11,value=io.systemd.stub.kernel-cmdline-extra=armillary.development=1"


@pytest.mark.image_full
@pytest.mark.timeout(6 * BOOT_S)
def test_whom_a_device_trusts_is_not_changed_on_its_disk(
    service: TrialService, image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    told, blank = tmp_path / "enrolment.json", tmp_path / "blank"
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name, enrolment=told)
    prepare(settings)
    service.prepare(settings.folder, told)
    seen_until(settings, ATTESTED)

    blank.write_text(ManufacturingState.BLANK.value, "ascii")  # a device of this state runs what anybody signed
    with data_of(settings) as data:
        for command in (f"write {blank} blank", f"ln {STATE} kept", f"unlink {STATE}", f"ln blank {STATE}"):
            data.tell(command)
    said = seen_until(settings, "the device does not start: whom this device trusts")
    assert "check-in" not in said

    with data_of(settings) as data:
        for command in (f"unlink {STATE}", f"ln kept {STATE}"):
            data.tell(command)
    seen_until(settings, ATTESTED)


@pytest.mark.image_full
def test_words_that_firmware_adds_to_the_signed_line_start_nothing(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if architecture.name != "x86_64":
        pytest.skip("only firmware of x86-64 has such strings in QEMU: make image-test-full")
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)
    prepare(settings)
    said = seen_until(replace(settings, attached=("-smbios", ADDED)), "words that nobody signed were added")
    assert "verified root" not in said
    seen_until(settings, "verified root")  # the control
