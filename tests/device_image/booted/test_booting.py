# SPDX-License-Identifier: Apache-2.0
"""The image boots: firmware with secure boot, verified root, device process; what stops early gives way to the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S, exchange_devices

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import ROOT
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.engines.flash.os_disk import read_partitions, slot_partition


def test_the_image_boots_to_the_device_process_with_secure_boot_and_tpm(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)
    with running(settings) as machine:
        ready, seen = machine.wait_for(READY, within_s=BOOT_S)
    text = "\n".join(seen)
    assert ready is not None, text
    assert "slot a" in ready, text
    print(ready)  # how long it took (14.15); on a busy host it takes longer, so nothing is asserted
    (root,) = (each.number for each in read_partitions(image / DISK) if each.name == slot_partition(ROOT, "a"))
    assert f"armillary: slot a, verified root from {HARDWARE[architecture.name].partitions}{root}" in text
    # Debian's kernels for Arm have no driver of a watchdog that virt has.
    watchdog = "" if architecture.name in ("arm64", "armhf") else "a watchdog"
    verified = "secure boot on" if architecture.has_uefi else "started by U-Boot"
    assert f"armillary: {verified}, a TPM, {watchdog}" in text
    assert "armillary: eth0 has the address 10.0.2.15" in text


def test_a_start_that_stops_before_the_device_process_gives_way_to_the_other_slot(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    name, tpm = architecture.name, HARDWARE[architecture.name].needs_tpm
    settings = MachineSettings(folder=tmp_path / "machine", image=image, machine=name, tpm=tpm)
    with running(settings) as machine:
        line, seen = machine.wait_for("verified root from", within_s=BOOT_S)
        assert line is not None, seen
        assert "slot a" in line
        machine.pull_the_plug()
    with running(settings) as machine:
        line, seen = machine.wait_for(READY, within_s=BOOT_S)
        assert line is not None, seen
        assert "slot b" in line, seen
    with running(settings) as machine:  # one that came up stays
        line, seen = machine.wait_for("verified root from", within_s=BOOT_S)
        assert line is not None, seen
        assert "slot b" in line, seen


@pytest.mark.image_full
def test_a_disk_at_a_sata_port_is_found_once_no_other_has_the_slot(
    image: Path, architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if architecture.name != "x86_64":
        pytest.skip("of the machines only q35 has SATA ports; on x86_64: make image-test-full")
    exchange_devices(monkeypatch, architecture, {"virtio-blk-pci,drive=disk": ("ide-hd,drive=disk",)})
    with running(MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)) as machine:
        line, seen = machine.wait_for(READY, within_s=BOOT_S)
    text = "\n".join(seen)
    assert line is not None, text
    assert "armillary: slot a, verified root from /dev/sda" in text
