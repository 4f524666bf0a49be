# SPDX-License-Identifier: Apache-2.0
"""A disk that `armillary image flash` wrote starts on firmware that has never heard of it, and is known to it after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.hardware import VARIABLES
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.engines.flash.os_disk import read_partitions

BOARDS = {"x86_64": "x86-gateway", "arm64": "arm64-gateway"}


def test_a_flashed_disk_starts_and_its_slots_become_the_firmwares_entries(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if not architecture.has_uefi:
        pytest.skip("boot entries are UEFI's, which this machine has not; the others have: make image-test-full")
    folder = tmp_path / "machine"
    folder.mkdir()
    shutil.copyfile(image / VARIABLES, folder / VARIABLES)  # keys, and entries for disks with the image's own GUIDs
    words = ("--to", folder / DISK, "--size", "4G", "--board", BOARDS[architecture.name], "--image", image, "--json")
    done = armillary_here("image", "flash", *words, env={})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data_bytes"] > 3_600_000_000
    slot_a = str(read_partitions(folder / DISK)[0].guid).upper()
    settings = MachineSettings(folder=folder, machine=architecture.name, tpm=False)
    for start in ("first", "second"):
        with running(settings) as machine:
            line, seen = machine.wait_for(READY, within_s=BOOT_S)
        text = "\n".join(seen)
        assert line is not None, text
        assert "slot a" in line, text
        assert "does not mount" not in text
        entry = [each for each in seen if "starting Boot" in each and '"Armillary slot a"' in each and slot_a in each]
        assert bool(entry) == (start == "second"), text
