# SPDX-License-Identifier: Apache-2.0
"""``armillary image build``: builds the device image from the recipe of this checkout."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)

ArchitectureName = Literal["x86_64", "arm64"]
KernelName = Literal["debian", "own"]
ImageOption = Annotated[
    Path | None, typer.Option("--image", metavar="DIR", help="Where it goes: .image/ARCHITECTURE when not given.")
]


@app.command("build")
def build(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    kernel: Annotated[
        KernelName, typer.Option("--kernel", help="Debian's kernel as it is, or the own one, which is compiled once.")
    ] = "debian",
    image: ImageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the device image on this host.

    Root file system, signed unified image, disk, the firmware's variables, bill of materials. The
    same inputs give the same bytes. What is missing on this host is said with the line that
    installs it. Secure boot's keys are test keys, made in the output folder by the first build.
    """
    from armillary.device_image.build import Plan, build as build_image  # noqa: PLC0415 - for this verb only
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    folder = recipe_folder()
    place = image or folder.parent / ".image" / arch
    begun = time.monotonic()

    def progress(step: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.1f} s  {step}\n")

    plan = Plan(
        recipe_folder=folder,
        output=place.absolute(),
        architecture=arch,
        own_kernel=kernel == "own",
        progress=progress,
    )
    about = build_image(plan)
    shown = {name: about[name] for name in ("version", "architecture", "root_hash", "bytes")}
    record({**about, "output": str(place)}, row=lambda _: {**shown, "output": str(place)}).show(as_json=as_json)
    note("Its secure boot keys are test keys: never ship what they signed.")
