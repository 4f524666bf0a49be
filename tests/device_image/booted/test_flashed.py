# SPDX-License-Identifier: Apache-2.0
"""A disk that `armillary image flash` wrote starts: on firmware that has never heard of it, and by the image's U-Boot."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.flashing.loaders import joined
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.hardware import HARDWARE, VARIABLES
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.flashing.boards import BOARDS
from armillary.device_image.uboot.hand_over import with_hand_over
from armillary.device_image.uboot.image import BOOT, PROGRAM
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.engines.flash.os_disk import read_partitions

GATEWAYS = {"x86_64": "x86-gateway", "arm64": "arm64-gateway"}
# Where QEMU's board has the disk, by the board's name.
SLOTS = {"imx8mp-evk": "bus=1", "imx8mp-evk-emmc": "bus=2"}


def test_a_flashed_disk_starts_and_its_slots_become_the_firmwares_entries(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if not architecture.has_uefi:
        pytest.skip("boot entries are UEFI's, which this machine has not; the others have: make image-test-full")
    folder = tmp_path / "machine"
    folder.mkdir()
    shutil.copyfile(image / VARIABLES, folder / VARIABLES)  # keys, and entries for disks with the image's own GUIDs
    words = ("--to", folder / DISK, "--size", "4G", "--board", GATEWAYS[architecture.name], "--image", image, "--json")
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


@pytest.mark.parametrize("board", SLOTS)
def test_a_flashed_card_starts_by_the_u_boot_of_its_image_with_a_loader_before_it(
    image: Path, architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str
) -> None:
    """QEMU starts U-Boot itself: the loader stands where the board's ROM looks for it, and nothing here looks there."""
    place = BOARDS[board].loader
    if place is None or BOARDS[board].image != architecture.name:
        pytest.skip("a board of another processor; the others have: make image-test-full")
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / BOOT).write_bytes(with_hand_over((image / PROGRAM).read_bytes() + (image / place.tree).read_bytes()))
    loader = joined(image, tmp_path / "join", tree=place.tree)
    (tmp_path / "flash.bin").write_bytes(loader)
    words = ("--to", folder / DISK, "--size", "2GiB", "--board", board, "--image", image, "--json")
    done = armillary_here("image", "flash", *words, "--loader", tmp_path / "flash.bin", env={})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data_bytes"] > 1_700_000_000
    hardware = HARDWARE[architecture.name]
    devices = tuple(word.replace("bus=2", SLOTS[board]) for word in hardware.devices)
    monkeypatch.setitem(HARDWARE, architecture.name, replace(hardware, devices=devices))
    with running(MachineSettings(folder=folder, machine=architecture.name, tpm=False)) as machine:
        line, seen = machine.wait_for(READY, within_s=BOOT_S)
    text = "\n".join(seen)
    assert line is not None, text
    assert "slot a" in line, text
    assert f"verified root from /dev/mmcblk{SLOTS[board][-1]}p" in text
    assert "does not mount" not in text
    with (folder / DISK).open("rb") as file:
        file.seek(place.at)
        assert file.read(len(loader)) == loader
