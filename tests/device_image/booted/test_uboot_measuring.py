# SPDX-License-Identifier: Apache-2.0
"""What U-Boot does where it cannot measure: without a TPM it says so, with one that fails it starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import MachineSettings, running

STARTED = "armillary: slot"


@pytest.fixture
def settings(image: Path, architecture: Architecture, tmp_path: Path) -> MachineSettings:
    if architecture.has_uefi:
        pytest.skip("its firmware measures; to enable, for images that U-Boot starts: make image-test-full")
    return MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)


def test_nothing_is_started_where_the_tpm_fails_before_it_is_measured(settings: MachineSettings) -> None:
    with running(settings) as machine:
        line, seen = machine.wait_for("U-Boot: starts slot a", within_s=BOOT_S)
        assert line is not None, "\n".join(seen)
        machine.break_tpm()
        line, seen = machine.wait_for("U-Boot: no slot starts", STARTED, within_s=BOOT_S)
    text = "\n".join(seen)
    assert line is not None, text
    assert STARTED not in text
    assert text.count("U-Boot: the TPM takes no measurement") == 2, text
    assert "U-Boot: slot a does not start" in text
    assert "U-Boot: slot b does not start" in text


def test_a_machine_without_a_tpm_starts_and_says_that_it_is_not_measured(settings: MachineSettings) -> None:
    if HARDWARE[settings.machine].needs_tpm:
        pytest.skip("this machine is none without a TPM; those of other boards are: make image-test-full")
    bare = MachineSettings(folder=settings.folder, image=settings.image, machine=settings.machine, tpm=False)
    with running(bare) as machine:
        line, seen = machine.wait_for(STARTED, within_s=BOOT_S)
    text = "\n".join(seen)
    assert line is not None, text
    assert "U-Boot: no TPM answers: this start is not measured" in text
