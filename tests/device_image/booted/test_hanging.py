# SPDX-License-Identifier: Apache-2.0
"""A machine that hangs is started again by its watchdog, and from the other slot if its start hung."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.fixtures.gdb_stub import hang, words

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import X86_64, Architecture
from armillary.device_image.virtual_machine import READY, MachineSettings, VirtualMachine, running

SLOT_A, SLOT_B = "armillary: slot a, verified root", "armillary: slot b, verified root"


def wait_for(machine: VirtualMachine, *wanted: str) -> str:
    line, seen = machine.wait_for(*wanted, within_s=BOOT_S)
    assert line is not None, "\n".join(seen)
    return line


@pytest.fixture
def settings(image: Path, architecture: Architecture, tmp_path: Path) -> MachineSettings:
    if architecture is not X86_64:
        pytest.skip("the machine is hung by registers of x86-64; to enable: make image-test-full")
    folder = tmp_path / "machine"
    return MachineSettings(folder=folder, image=image, machine=architecture.name, attached=words(tmp_path))


@pytest.mark.image_full
def test_a_start_that_hangs_leads_to_the_other_slot(settings: MachineSettings, tmp_path: Path) -> None:
    processors = HARDWARE[settings.machine].processors
    with running(settings) as machine:
        assert SLOT_A in wait_for(machine, SLOT_A, SLOT_B)
        wait_for(machine, "a watchdog")
        hang(tmp_path, processors=processors)
        assert SLOT_B in wait_for(machine, SLOT_A, SLOT_B)
        wait_for(machine, READY)
        hang(tmp_path, processors=processors)
        assert SLOT_B in wait_for(machine, SLOT_A, SLOT_B), "it came up, so it is started again"
        wait_for(machine, READY)
