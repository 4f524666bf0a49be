# SPDX-License-Identifier: Apache-2.0
"""Which kind of device image this host booted, as evidence says it beside what contains applications.

A policy may demand the mechanism ``release-image``: a development image does not have it, nor a host whose Linux is
somebody else's. That an image *is* what it says is proven by the release that its components are of, not by this word.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from armillary.engines.sandbox.port import Mechanism
from armillary.wire.device_image.command_line import DEVELOPMENT, ROOT

if TYPE_CHECKING:
    from armillary.engines.sandbox.port import SandboxReport

RELEASE_IMAGE: Final = "release-image"
_WHY: Final = "this is a development image: whoever is at a serial port has a shell"


def with_image_kind(report: SandboxReport, command_line: str) -> SandboxReport:
    """The report of a self-test with what the kernel's command line says of the image; as it is on another Linux."""
    words = command_line.split()
    if not any(word.startswith(ROOT) for word in words):
        return report
    if DEVELOPMENT in words:
        absent = (*report.absent, Mechanism(RELEASE_IMAGE, enforced=False, detail=_WHY))
        return replace(report, absent=absent, weaker=(*report.weaker, f"{_WHY[0].upper()}{_WHY[1:]}."))
    said = Mechanism(RELEASE_IMAGE, enforced=True, detail="the signed command line has no word for development")
    return replace(report, mechanisms=(*report.mechanisms, said))


def root_word(command_line: str) -> str:
    """The word of a command line that binds the root which runs; "" where somebody else's Linux runs."""
    return next((word for word in command_line.split() if word.startswith(ROOT)), "")


def command_line() -> str:
    """The kernel's command line; "" where it does not tell."""
    try:
        return Path("/proc/cmdline").read_text("ascii", "replace")
    except OSError:
        return ""
