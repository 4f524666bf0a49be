# SPDX-License-Identifier: Apache-2.0
"""``armillary image pin``: pins the Debian packages of the device image's recipe to what the sources offer now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.device_image.build import ArchitectureName, report_since
from armillary.cli.terminal.output import note, noun

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)


@app.command("pin")
def pin(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    output: Annotated[
        Path | None,
        typer.Option("--output-file", metavar="FILE", help="Where the pins go: image/debian-*.lock when not given."),
    ] = None,
) -> None:
    """Pin the Debian packages of the device image.

    Writes version and digest of each package that the recipe names, as this host's sources offer
    it now. Look at the difference before you commit it.
    """
    from armillary.device_image.pinning import pin as pin_packages  # noqa: PLC0415 - for this verb only
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    file, count = pin_packages(recipe_folder(), arch, output, told=report_since(time.monotonic()))
    note(f"{count} packages are pinned in {file}")
