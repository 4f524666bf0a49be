# SPDX-License-Identifier: Apache-2.0
"""Refuses a build that cannot be done, while nothing has been made of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.own_kernel.fragments import FRAGMENTS
from armillary.errors import HostError, InvalidArgumentError

# One for the device, the others for what stands around it; each costs memory of the kernel.
MOST_RADIOS: Final = 8


def refuse_unknown(architecture: str, *, own_kernel: bool) -> None:
    """InvalidArgumentError for an architecture that is not built, or not with the own kernel."""
    if architecture not in ARCHITECTURES:
        raise InvalidArgumentError(
            f"architecture: expected {', '.join(ARCHITECTURES)}, got {architecture!r:.40}",
            remedy="Others are not built yet: docs/concepts/device-image.md.",
        )
    root = ARCHITECTURES[architecture].root
    if own_kernel and root not in FRAGMENTS:
        raise InvalidArgumentError(
            f"--kernel own: expected one of {', '.join(FRAGMENTS)}: there are no fragments for {root}",
            remedy="Build with Debian's kernel.",
        )


def refuse_place(output: Path) -> None:
    """Look whether an image can be written into a folder, which need not be there.

    Raises:
        InvalidArgumentError: it is no folder, or cannot become one.
        HostError: nothing can be written there.
    """
    there = next(each for each in (output, *output.parents) if each.exists())
    if not there.is_dir():
        raise InvalidArgumentError(
            f"--image {output}: expected a folder, {there} is a file",
            remedy="Name a folder for the image: --image DIR.",
        )
    try:
        tempfile.TemporaryDirectory(prefix=".armillary-image-", dir=there).cleanup()
    except OSError as error:
        raise HostError(
            f"--image {output}: expected a folder that this user can write to, {there} is none ({error.strerror})",
            remedy="Name another one: --image DIR.",
        ) from error


def radio_words(count: int, *, own_kernel: bool) -> tuple[str, ...]:
    """What the signed command line says of simulated Wi-Fi radios.

    Raises:
        InvalidArgumentError: some are wanted of a kernel that has none, or more than a test uses.
    """
    if not own_kernel and not count:
        return ()
    if not own_kernel or not 0 <= count <= MOST_RADIOS:
        raise InvalidArgumentError(
            f"simulated radios: expected 0 to {MOST_RADIOS} with the own kernel, got {count}",
            remedy="Build with --kernel own; Debian's kernel has no simulated radios.",
        )
    return (f"mac80211_hwsim.radios={count}",)
