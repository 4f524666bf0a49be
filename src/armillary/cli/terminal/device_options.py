# SPDX-License-Identifier: Apache-2.0
"""Options of commands that make, or work on, a device on this host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The device's data folder.")]
ChipOption = Annotated[str, typer.Option("--chip", metavar="NAME", help="Chip profile.")]

StateName = Literal["Blank", "Module1Complete", "DeviceComplete"]
SandboxName = Literal["linux", "crun", "reduced", "process"]
