# SPDX-License-Identifier: Apache-2.0
"""What QEMU's machines are that boot device images, one for each architecture: processor, firmware, TPM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The firmware's variables, in the folder of an image and of a machine.
VARIABLES: Final = "variables.fd"
# Where the machine has none of the host's.
NO_FIRMWARE: Final = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One machine, in QEMU's words.

    ``firmware`` is a file of the host; without one, the machine starts what its image brings. ``kept`` is the image's
    file that the firmware keeps its state in, or that is the firmware; a machine has its own copy. ``kept_bytes`` is
    its size where it is that of the firmware's flash. ``devices`` are those of its board, with ``{folder}`` for the
    machine's folder; ``more`` are arguments that only this machine has. ``partitions`` is how its kernel calls those of
    the disk, before their number. ``has_fw_cfg`` says whether its host can hand it files, ``has_pci`` whether devices
    can be attached to it, ``needs_tpm`` that its board has one for good.
    """

    program: str
    machine: str
    processor: str
    tpm: str
    firmware: Path = NO_FIRMWARE
    devices: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    kept: str = VARIABLES
    kept_bytes: int | None = None
    memory_mb: int = 512
    processors: int = 2
    partitions: str = "/dev/vda"
    has_fw_cfg: bool = True
    has_pci: bool = True
    needs_tpm: bool = False


# QEMU says that it copies bytes fast by "rep movsb". Its emulation goes byte by byte, and Linux clears and copies each
# page so where it believes it: a device was ready a tenth later.
_SLOW_STRINGS: Final = "erms=off,fsrm=off,fzrm=off,fsrs=off"
# Disk, network, watchdog and randomness of machines with a PCI bus.
_PCI: Final = (
    *("-serial", "stdio"),
    *("-drive", "if=none,id=disk,format=raw,file={folder}/disk.img,discard=unmap"),
    *("-device", "virtio-blk-pci,drive=disk"),
    *("-netdev", "user,id=network", "-device", "virtio-net-pci,netdev=network,romfile="),
    *("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"),
    *("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"),
    *("-device", "i6300esb", "-device", "virtio-rng-pci"),
)


HARDWARE: Final[Mapping[str, Hardware]] = {
    # Only code in system management mode writes the firmware's variables.
    "x86_64": Hardware(
        program="qemu-system-x86_64",
        machine="q35,smm=on",
        processor=f"max,la57=off,{_SLOW_STRINGS}",
        firmware=Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"),
        tpm="tpm-crb",
        devices=_PCI,
        kept_bytes=540_672,  # as /usr/share/OVMF/OVMF_VARS_4M.fd
        more=("-global", "driver=cfi.pflash01,property=secure,value=on"),
    ),
    # The flash with the variables is writable for the kernel: this firmware has no part in the secure world.
    "arm64": Hardware(
        program="qemu-system-aarch64",
        machine="virt,gic-version=3",
        processor="cortex-a72",
        firmware=Path("/usr/share/AAVMF/AAVMF_CODE.secboot.fd"),
        tpm="tpm-tis-device",
        devices=_PCI,
        kept_bytes=64 << 20,  # as /usr/share/AAVMF/AAVMF_VARS.fd
    ),
    # NXP's board: what it has is on it. The console is its second serial port, the disk is in the third slot, where the
    # board has its eMMC; the memory is what U-Boot says that there is. Its TPM is on the third bus.
    "imx8mp": Hardware(
        program="qemu-system-aarch64",
        machine="imx8mp-evk",
        processor="cortex-a53",
        tpm="tpm-tis-i2c,bus=i2c-bus.2,address=0x2e",
        devices=(
            *("-serial", "null", "-serial", "stdio", "-nic", "user", "-kernel", "{folder}/boot.bin"),
            *("-drive", "if=sd,bus=2,format=raw,file={folder}/disk.img,discard=unmap"),
        ),
        kept="boot.bin",
        memory_mb=2048,
        processors=4,
        partitions="/dev/mmcblk2p",
        has_fw_cfg=False,
        has_pci=False,
    ),
    # A machine of the MT3620's class. The disk is a memory card, in the place of the chip's flash: U-Boot keeps its
    # environment on one. Without more than 32 bits of addresses the kernel sees no PCI above them (highmem). The TPM is
    # where the device tree says: who looks there and finds none stops.
    "armhf": Hardware(
        program="qemu-system-arm",
        machine="virt,highmem=off,gic-version=2",
        processor="cortex-a7",
        tpm="tpm-tis-device",
        devices=(
            *("-serial", "stdio", "-bios", "{folder}/boot.bin"),
            *("-device", "sdhci-pci", "-drive", "if=none,id=disk,format=raw,file={folder}/disk.img,discard=unmap"),
            *("-device", "sd-card,drive=disk"),
            *("-netdev", "user,id=network", "-device", "virtio-net-pci,netdev=network,romfile="),
            *("-device", "virtio-rng-pci"),
        ),
        kept="boot.bin",
        partitions="/dev/mmcblk0p",
        has_fw_cfg=False,
        needs_tpm=True,
    ),
}
