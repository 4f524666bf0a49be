# SPDX-License-Identifier: Apache-2.0
"""Options of commands that make, or work on, a device on this host."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from armillary.identity.manufacturing import ManufacturingState

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The device's data folder.")]
ChipOption = Annotated[str, typer.Option("--chip", metavar="NAME", help="Chip profile.")]


class StateName(StrEnum):
    """Manufacturing states."""

    BLANK = ManufacturingState.BLANK.value
    MODULE1_COMPLETE = ManufacturingState.MODULE1_COMPLETE.value
    DEVICE_COMPLETE = ManufacturingState.DEVICE_COMPLETE.value


class SandboxName(StrEnum):
    """Sandbox engines."""

    LINUX = "linux"
    REDUCED = "reduced"
    PROCESS = "process"
