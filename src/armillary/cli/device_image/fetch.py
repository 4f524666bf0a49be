# SPDX-License-Identifier: Apache-2.0
"""``armillary image fetch``: brings what the device image is made of into the cache, and builds nothing."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from armillary.cli.device_image.build import (
    SNAPSHOT,
    ArchitectureName,
    DevelopmentOption,
    ImageOption,
    PackagesOption,
    PinsOption,
    SnapshotOption,
    report_since,
)
from armillary.cli.terminal.output import note, noun

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)


@app.command("fetch")
def fetch(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    development: DevelopmentOption = False,
    image: ImageOption = None,
    pins: PinsOption = None,
    packages: PackagesOption = None,
    snapshot: SnapshotOption = SNAPSHOT,
) -> None:
    """Fetch what the device image is made of.

    Debian packages by their pins, Python packages by the project's lock, each verified by its
    digest. They are kept in the folder cache beside the image: a build then needs no network. The
    own kernel's source is not among them: it is a package of this host.
    """
    from armillary.device_image.build import Plan, fetch_parts  # noqa: PLC0415 - for this verb only
    from armillary.device_image.package_sources.fetching import Places  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    folder = recipe_folder()
    progress = report_since(time.monotonic())
    plan = Plan(
        recipe_folder=folder,
        output=(image or folder.parent / ".image" / arch).absolute(),
        architecture=arch,
        development=development,
        pins=pins,
        places=Places(folder=packages, archive=snapshot, told=progress),
        progress=progress,
    )
    fetch_parts(plan)
    note(f"packages are in {plan.cache}")
