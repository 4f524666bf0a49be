# SPDX-License-Identifier: Apache-2.0
"""A machine is told a board with hardware that its kernel does not have: it says so, and is a device as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.test_machine_faults import ATTESTED, seen_until, service

from armillary.cli.device_image.handed_board import board_words
from armillary.cli.device_image.trial_service import TrialService
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import MachineSettings, prepare

__all__ = ["service"]  # the fixture


@pytest.mark.image_full
@pytest.mark.timeout(8 * BOOT_S)
def test_a_board_with_unknown_hardware_is_said_and_reported_and_the_device_runs_on(
    service: TrialService, image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if not HARDWARE[architecture.name].has_fw_cfg:
        pytest.skip("this machine can be handed no file by its host; others can: make image-test-full")
    told = tmp_path / "enrolment.json"
    plain = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name, enrolment=told)
    prepare(plain)
    service.prepare(plain.folder, told)
    board = tmp_path / "board.json"
    wired = {"I2cMaster": {"I2C1": {"Node": "/dev/i2c-77"}}}
    whole = {"SchemaVersion": 1, "Name": "cellar", "About": "The cellar's.", "Chip": architecture.chip, "Wired": wired}

    board.write_text(json.dumps(whole))
    words = board_words(plain.folder, architecture.name, board.read_bytes())
    said = seen_until(replace(plain, attached=words), ATTESTED)
    missing = "the board cellar names what this kernel does not have: I2cMaster I2C1 (/dev/i2c-77); "
    assert missing in said

    board.write_text(json.dumps({**whole, "Chip": "mt3620"}))
    words = board_words(plain.folder, architecture.name, board.read_bytes())
    said = seen_until(replace(plain, attached=words), ATTESTED)
    strange = f"Chip: expected {architecture.chip}, which this device has, got mt3620"
    assert strange in said

    assert missing not in seen_until(plain, ATTESTED)  # the control; its check-in brings the reports, too
    (device,) = service.ask("device", "list")
    reports = str(service.ask("device", "insights", "--device", device["device_id"]))
    assert missing in reports, reports
    assert strange in reports, reports
