# SPDX-License-Identifier: Apache-2.0
"""``armillary image package``: makes a release's component packages of a built device image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.device_image.build import ArchitectureName, words_of_keys
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, noun, record

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)


@app.command("package")
def package(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    image: Annotated[
        Path | None, typer.Option("--image", metavar="DIR", help="A built image: .image/ARCHITECTURE when not given.")
    ] = None,
    security_version: Annotated[
        int, typer.Option("--security-version", metavar="N", help="Anti-rollback version, 0 to 31.")
    ] = 1,
    allow_development: Annotated[
        bool, typer.Option("--allow-development", help="Make a release of a development image, for own devices only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the packages of a release of a built device image.

    One for each boot component, to be given to armillary release create --component. Their
    signature is worth nothing: armillary release sign makes the one that devices trust.
    """
    from armillary.boot import profile  # noqa: PLC0415 - for this verb only
    from armillary.content import chip_document  # noqa: PLC0415
    from armillary.device_image.architecture.description import read_description  # noqa: PLC0415
    from armillary.device_image.packages import CHIPS, write_packages  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    folder = image or recipe_folder().parent / ".image" / arch
    chip = profile.parse(chip_document(CHIPS[arch]))
    written = write_packages(folder, chip, security_version=security_version, allow_development=allow_development)
    shown = {name: str(file) for name, file in written.items()}
    test_keys = read_description(folder).test_keys
    found = {"chip": chip.name, "security_version": security_version, "components": shown, "test_keys": test_keys}
    record(found, row=lambda _: shown).show(as_json=as_json)
    if words := words_of_keys(test_keys=test_keys):
        note(words)
    arguments = " ".join(f"--component {name}={file}" for name, file in shown.items())
    note(f"next: armillary release create --chip {chip.name} --os-version VERSION {arguments}")
