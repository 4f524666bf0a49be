# SPDX-License-Identifier: Apache-2.0
"""The image with the own kernel starts from a gateway's disk and gets an address by its network card.

Debian's kernel for virtual machines has no driver of these cards. The hardware is QEMU's: of a real gateway it says
nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S, exchange_devices

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import MachineSettings, running

ADDRESS = "armillary: eth0 has the address 10.0.2.15"
# QEMU's words for what a gateway has in place of a virtual machine's disk and network card, and how Linux calls the disk.
SATA = ("ich9-ahci,id=sata", "-device", "ide-hd,drive=disk,bus=sata.0"), "/dev/sda"
NVME = ("nvme,drive=disk,serial=disk",), "/dev/nvme0n1p"


@pytest.mark.parametrize("card", ["e1000e", "igb"])
@pytest.mark.parametrize(("disk", "partitions"), [SATA, NVME], ids=["sata", "nvme"])
def test_a_gateways_disk_and_network_card_are_driven(
    image: Path,
    architecture: Architecture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: tuple[str, ...],
    partitions: str,
    card: str,
) -> None:
    if not architecture.has_uefi:
        pytest.skip("i.MX and 32-bit Arm are no gateways; x86-64 is: make image-test IMAGE_KERNEL=own")
    if "our own kernel" not in (image / "bill.cdx.json").read_text("utf-8"):
        pytest.skip("Debian's kernel for virtual machines; the own one does: make image-test IMAGE_KERNEL=own")
    if architecture.name == "arm64" and (disk, partitions) == SATA:
        pytest.skip(
            "the firmware of QEMU's arm64 machine starts nothing from SATA disks; x86-64's does: make image-test IMAGE_KERNEL=own"
        )
    instead = {
        "virtio-blk-pci,drive=disk": disk,
        "virtio-net-pci,netdev=network,romfile=": (f"{card},netdev=network,romfile=",),
    }
    exchange_devices(monkeypatch, architecture, instead)
    with running(MachineSettings(folder=tmp_path / "machine", image=image, machine=architecture.name)) as machine:
        line, seen = machine.wait_for(ADDRESS, within_s=BOOT_S)  # its link comes up in its own time, after "ready" too
    text = "\n".join(seen)
    assert line is not None, text
    assert f"armillary: slot a, verified root from {partitions}" in text
