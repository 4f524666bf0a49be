# SPDX-License-Identifier: Apache-2.0
"""What QEMU's machines are that boot device images, one for each architecture: processor, firmware, TPM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One machine, in QEMU's words; ``more`` are arguments that only this machine has."""

    program: str
    machine: str
    processor: str
    firmware: Path
    tpm: str
    more: tuple[str, ...] = ()


HARDWARE: Final[Mapping[str, Hardware]] = {
    # Only code in system management mode writes the firmware's variables.
    "x86_64": Hardware(
        program="qemu-system-x86_64",
        machine="q35,smm=on",
        processor="max,la57=off",
        firmware=Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"),
        tpm="tpm-crb",
        more=("-global", "driver=cfi.pflash01,property=secure,value=on"),
    ),
    # The flash with the variables is writable for the kernel: this firmware has no part in the secure world.
    "arm64": Hardware(
        program="qemu-system-aarch64",
        machine="virt,gic-version=3",
        processor="cortex-a72",
        firmware=Path("/usr/share/AAVMF/AAVMF_CODE.secboot.fd"),
        tpm="tpm-tis-device",
    ),
}
