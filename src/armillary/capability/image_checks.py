# SPDX-License-Identifier: Apache-2.0
"""What refuses an application for its image alone: its size, its programs' processor, its firmware, what it covers.

A device's admission and ``armillary capability explain`` both ask here, each for what it knows. What the manifest asks
for is judged in :mod:`grant`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from armillary.capability.confine import ImageTree
from armillary.capability.grant import PlatformLimits
from armillary.capability.programs import architectures, interpreter
from armillary.errors import WireError
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.asxipfs import Filesystem

# Engines that make a root of their own, in which the host's folders are not.
OWN_ROOT: Final = ("linux", "crun")
# Folders of programs that such a root has only where an image brings them.
_ABSENT: Final = ("/bin/", "/sbin/")
SCRIPT_REMEDY: Final = (
    "Begin it with #!/usr/bin/env python3, or take a compiled program: the sandbox has no shell at /bin/sh."
)


@dataclass(frozen=True, slots=True)
class ImageFault:
    """One reason in an image for which it is refused or does not start."""

    what: str  # e.g. ``image size``
    expected: str
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.got}"


def size_fault(size: int, platform: PlatformLimits) -> ImageFault | None:
    """What is wrong with the size of a package on a chip."""
    if size <= platform.image_limit_bytes:
        return None
    return ImageFault(
        "image size",
        f"at most {platform.image_limit_bytes} bytes on {platform.name}",
        f"{size} bytes",
        "Make the application smaller.",
    )


def firmware_fault(manifest: AppManifest, filesystem: Filesystem) -> ImageFault | None:
    """What is wrong with the program of a real-time application, which is firmware of its core."""
    if manifest.application_type != "RealTimeCapable":
        return None
    from armillary.wire.image.firmware import check_file  # noqa: PLC0415 - with real-time applications only

    try:
        check_file(filesystem.files[manifest.entry_point[1:]].content)
    except WireError as error:
        return ImageFault("EntryPoint", f"firmware, {error.expected}", error.got, error.remedy or "")
    return None


def architecture_fault(manifest: AppManifest, filesystem: Filesystem, platform: PlatformLimits) -> ImageFault | None:
    """What is wrong with the programs of a high-level application on a chip, by the processor that they are for."""
    if manifest.application_type == "RealTimeCapable":
        return None
    foreign = architectures(filesystem) - {platform.architecture}
    if not foreign:
        return None
    return ImageFault(
        "architecture",
        f"programs for {platform.architecture}, which {platform.name} is, or scripts",
        f"programs for {', '.join(sorted(foreign))}",
        "Build it for the chip's processor, or name the chip that it is for.",
    )


def sandbox_faults(manifest: AppManifest, filesystem: Filesystem, engine: str) -> Iterator[ImageFault]:
    """For what an engine starts no high-level application, whatever the device."""
    if engine not in OWN_ROOT or manifest.application_type == "RealTimeCapable":
        return
    top = tuple({name.partition("/")[0] for name in filesystem.files})
    covering = ImageTree(root="", entries=top).reserved
    if covering:
        yield covering_fault(covering)
    named = interpreter(filesystem.files[manifest.entry_point[1:]].content)
    if named is not None and named.startswith(_ABSENT) and named[1:] not in filesystem.files:
        yield ImageFault("EntryPoint", "an interpreter that the sandbox has", f"a script for {named}", SCRIPT_REMEDY)


def covering_fault(covering: tuple[str, ...]) -> ImageFault:
    """The fault of an image with these names at its top."""
    return ImageFault(
        "image",
        f"no {', '.join(covering)} at the top, which the sandbox provides itself",
        "one" if len(covering) == 1 else "some",
        "Move these files to another folder of the image.",
    )
