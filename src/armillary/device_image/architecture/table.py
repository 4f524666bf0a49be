# SPDX-License-Identifier: Apache-2.0
"""The architectures that device images are built for, each with all that differs between them while one is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.description import not_built, read_description


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture.

    ``root`` is the one whose root file system and own kernel it has. ``wheels`` is what Python packages are made for,
    in uv's words, or in CPython's (``linux-armv7l``) where uv has none; ``machine`` what its kernel calls itself
    (``uname -m``). The firmware starts ``EFI/BOOT/`` and ``started_file``. ``stub`` is
    systemd's boot stub in its pinned Debian package, ``stub_package``. Where U-Boot starts the image and no
    UEFI firmware does, these last ones are empty, and ``tree`` is the device tree that the build of the own kernel
    brings for it, if the board's own is not whole.
    """

    name: str
    root: str
    debian: str
    machine: str
    wheels: str
    chip: str
    compiler: str
    strip: str
    consoles: tuple[str, ...]
    efi: str = ""
    started_file: str = ""
    stub: str = ""
    stub_package: str = ""
    empty_variables: Path = Path()
    tree: str = ""

    @property
    def has_uefi(self) -> bool:
        """Whether UEFI firmware starts the image; else U-Boot does."""
        return bool(self.efi)


# Wheels: Debian 13 has glibc 2.41. The last console is where programs write; machines without a screen have the first
# serial port.
X86_64: Final = Architecture(
    name="x86_64",
    root="x86_64",
    debian="amd64",
    machine="x86_64",
    wheels="x86_64-manylinux_2_40",
    chip="gateway-x86-64",
    compiler="gcc",
    strip="strip",
    efi="x64",
    started_file="BOOTX64.EFI",
    stub="usr/lib/systemd/boot/efi/linuxx64.efi.stub",
    stub_package="systemd-boot-efi",
    empty_variables=Path("/usr/share/OVMF/OVMF_VARS_4M.fd"),
    consoles=("tty0", "ttyS0,115200"),
)
ARM64: Final = Architecture(
    name="arm64",
    root="arm64",
    debian="arm64",
    machine="aarch64",
    wheels="aarch64-manylinux_2_40",
    chip="gateway-arm64",
    compiler="aarch64-linux-gnu-gcc",
    strip="aarch64-linux-gnu-strip",
    efi="aa64",
    started_file="BOOTAA64.EFI",
    stub="usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
    stub_package="systemd-boot-efi",
    empty_variables=Path("/usr/share/AAVMF/AAVMF_VARS.fd"),
    consoles=("tty0", "ttyAMA0,115200"),
)
# NXP's i.MX 8M Plus: a chip, not an architecture, but nothing that its first stages are made of is arm64's.
IMX8MP: Final = Architecture(
    name="imx8mp",
    root="arm64",
    debian="arm64",
    machine="aarch64",
    wheels="aarch64-manylinux_2_40",
    chip="gateway-imx8mp",
    compiler="aarch64-linux-gnu-gcc",
    strip="aarch64-linux-gnu-strip",
    consoles=("ttymxc1,115200",),
    tree="imx8mp-evk.dtb",
)
# 32-bit Arm, for machines of the MT3620's class; uv has no word for its wheels, but takes the interpreter's platform.
ARMHF: Final = Architecture(
    name="armhf",
    root="armhf",
    debian="armhf",
    machine="armv7l",
    wheels="linux-armv7l",
    chip="mt3620-class",
    compiler="arm-linux-gnueabihf-gcc",
    strip="arm-linux-gnueabihf-strip",
    consoles=("ttyAMA0,115200",),
)
ARCHITECTURES: Final[Mapping[str, Architecture]] = {each.name: each for each in (X86_64, ARM64, IMX8MP, ARMHF)}


def architecture_of(image: Path, *, wanted: str | None = None) -> Architecture:
    """What a built image is for, as its description says; InvalidArgumentError if there is no built image.

    ``wanted`` is the architecture that the error says how to build.
    """
    name = read_description(image, wanted=wanted).architecture
    if name not in ARCHITECTURES:
        raise not_built(image, f"expected one for {', '.join(ARCHITECTURES)}, got {name!r:.40}", wanted=wanted)
    return ARCHITECTURES[name]
