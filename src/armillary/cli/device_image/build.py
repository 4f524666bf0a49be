# SPDX-License-Identifier: Apache-2.0
"""``armillary image build``: builds the device image from the recipe of this checkout."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)

ArchitectureName = Literal["x86_64", "arm64", "imx8mp", "armhf"]
KernelName = Literal["debian", "own"]
ImageOption = Annotated[
    Path | None,
    typer.Option("--image", metavar="DIR", help="Where it goes: .image/ARCHITECTURE[-development] when not given."),
]
DevelopmentOption = Annotated[
    bool, typer.Option("--development", help="With a shell at the serial ports and tools; never for products.")
]
PinsOption = Annotated[
    Path | None,
    typer.Option("--pins", metavar="FILE", help="Pinned Debian packages: image/debian-*.lock when not given."),
]
PackagesOption = Annotated[
    Path | None,
    typer.Option("--packages", metavar="DIR", help="Take Debian packages from this folder, and from nowhere else."),
]
SnapshotOption = Annotated[
    str,
    typer.Option(
        "--snapshot",
        metavar="URL",
        envvar="ARMILLARY_DEBIAN_SNAPSHOT",
        help="Where Debian packages come from that this host's sources have no more.",
    ),
]
SNAPSHOT = "https://snapshot.debian.org"


def report_since(begun: float) -> Callable[[str], None]:
    """What says a step that is done on standard error, with its time."""

    def progress(step: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.1f} s  {step}\n")

    return progress


def words_of_keys(*, test_keys: bool | None) -> str | None:
    """What is to be said of the keys that signed an image, of which its description says this; None for products'."""
    if test_keys is None:
        return "Its image.json does not say whether test keys signed it: an older build made it."
    return "Its secure boot keys are test keys: never ship what they signed." if test_keys else None


@app.command("build")
def build(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    kernel: Annotated[
        KernelName, typer.Option("--kernel", help="Debian's kernel as it is, or the own one, which is compiled once.")
    ] = "debian",
    development: DevelopmentOption = False,
    simulated_radios: Annotated[
        int,
        typer.Option("--simulated-radios", metavar="N", help="Wi-Fi radios that the own kernel pretends, for tests."),
    ] = 0,
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Version of the OS: that of image/image.toml if not given."),
    ] = None,
    image: ImageOption = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="DIR", help="Keys of your own, or of another build (.image/x86_64/keys): none are made."
        ),
    ] = None,
    pins: PinsOption = None,
    packages: PackagesOption = None,
    snapshot: SnapshotOption = SNAPSHOT,
    as_json: JsonOption = False,
) -> None:
    """Build the device image on this host.

    Root file system, signed unified image, disk, the firmware's variables, bill of materials. The
    same inputs give the same bytes. What is missing on this host is said with the line that
    installs it. Secure boot's keys are test keys, made in the output folder by the first build,
    or others (--keys): RSA, of 2048 bits where U-Boot starts the image. Machines update to an image
    that was signed with the same keys, and to no other.
    """
    from armillary.device_image.build import Plan, build as build_image  # noqa: PLC0415 - for this verb only
    from armillary.device_image.package_sources.fetching import Places  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    folder = recipe_folder()
    place = image or folder.parent / ".image" / (f"{arch}-development" if development else arch)
    progress = report_since(time.monotonic())
    plan = Plan(
        recipe_folder=folder,
        output=place.absolute(),
        architecture=arch,
        own_kernel=kernel == "own",
        development=development,
        simulated_radios=simulated_radios,
        version=version,
        keys=None if keys is None else keys.absolute(),
        pins=pins,
        places=Places(folder=packages, archive=snapshot, told=progress),
        progress=progress,
    )
    about = build_image(plan, at=dt.datetime.now(dt.UTC))
    shown = {name: about[name] for name in ("version", "architecture", "root_hash", "bytes")}
    record({**about, "output": str(place)}, row=lambda _: {**shown, "output": str(place)}).show(as_json=as_json)
    if development:
        note("This is a DEVELOPMENT image: whoever is at a serial port has a shell. No product ever gets it.")
    if words := words_of_keys(test_keys=about["test_keys"]):
        note(words)
