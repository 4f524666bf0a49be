# SPDX-License-Identifier: Apache-2.0
"""This host's sources of Debian packages, asked by apt's own programs; nothing is installed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from armillary.device_image.recipe import Pin, is_kernel
from armillary.device_image.tools import run
from armillary.errors import HostError


def download(names: Iterable[str], folder: Path, options: Sequence[str]) -> None:
    """Put packages into a folder, all in one call.

    Raises:
        HostError: one of them is not to be had (code ``host.packages-missing``); with apt's words.
    """
    try:
        run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", *options, "download", *names], folder=folder)
    except HostError as error:
        raise HostError(error.message, remedy=error.remedy, code="host.packages-missing") from error


def offered(pins: Iterable[Pin], options: Sequence[str]) -> list[Pin]:
    """Those of the pins whose version is in the lists of this host; asks nobody else."""
    wanted = {(pin.name, pin.version): pin for pin in pins}
    names = [name for name, _ in wanted]
    lines = run(["apt-cache", *options, "madison", *names]).decode("utf-8", "replace").splitlines()
    listed = {tuple(part.strip() for part in line.split("|")[:2]) for line in lines}
    return [pin for identity, pin in wanted.items() if identity in listed]


def newest_kernel(package: str, options: Sequence[str]) -> str:
    """The package with the newest kernel of a kind, whose name has its version; ``package`` is the one that needs it.

    Raises:
        HostError: the sources have no such package, or it needs no kernel (code ``host.packages-missing``).
    """
    try:
        said = run(["apt-cache", *options, "depends", package]).decode("utf-8", "replace")
    except HostError as error:
        raise HostError(error.message, remedy=error.remedy, code="host.packages-missing") from error
    found: list[str] = [name for name in re.findall(r"Depends: ([^\s:]+)", said) if is_kernel(name, package)]
    if len(found) != 1:
        raise HostError(
            f"{package}: expected that it needs one kernel, got {', '.join(found) or 'none'}",
            remedy="Bring the lists up to date (sudo apt-get update), or mend [kernel] package in image/image.toml.",
            code="host.packages-missing",
        )
    return found[0]
