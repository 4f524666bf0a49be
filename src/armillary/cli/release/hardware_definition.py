# SPDX-License-Identifier: Apache-2.0
"""``armillary hardware-definition``: the C header that mirrors a hardware definition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.release.package_folder import load_definitions, read_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record
from armillary.errors import InvalidArgumentError
from armillary.wire.image import hardware_definition
from armillary.wire.image.hardware_definition import HardwareDefinition

app = noun("Test and generate hardware definition headers.")

DefinitionOption = Annotated[
    Path, typer.Option("--hardware-definition-file", metavar="FILE", help="Hardware definition JSON file.")
]
SearchOption = Annotated[
    str,
    typer.Option(
        "--search",
        metavar="DIRS",
        help="Comma-separated folders of imported definitions; then mappings are checked too.",
    ),
]


@app.command("generate-header")
def generate_header(
    definition_file: DefinitionOption,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Header to write; inc/hw/NAME.h beside the file by default."),
    ] = None,
    search: SearchOption = "",
    as_json: JsonOption = False,
) -> None:
    """Generate the C header of a hardware definition."""
    definition = _load(definition_file, search)
    target = output or _header_path(definition_file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(hardware_definition.header(definition), "utf-8")
    except OSError as error:
        raise InvalidArgumentError(
            f"{target}: expected a file that can be written, got {error.strerror}", remedy="Check --output."
        ) from error
    record({"header": str(target), "peripherals": len(definition.peripherals)}).show(as_json=as_json)


@app.command("test-header")
def check_header(definition_file: DefinitionOption, search: SearchOption = "", as_json: JsonOption = False) -> None:
    """Test that the C header in inc/hw is up to date.

    Fails with the first line that is not.
    """
    definition = _load(definition_file, search)
    target = _header_path(definition_file)
    hardware_definition.check_header(definition, read_file(target).decode("utf-8", "replace"))
    record({"header": str(target), "up_to_date": True}).show(as_json=as_json)


def _load(definition_file: Path, search: str) -> HardwareDefinition:
    """The definition. With search folders its imports are read and its mappings followed, so both must be sound."""
    folders = [part.strip() for part in search.split(",") if part.strip()]
    if folders:
        return load_definitions([str(definition_file), *folders])[0].root
    return hardware_definition.parse(read_file(definition_file), path=definition_file.name)


def _header_path(definition_file: Path) -> Path:
    return definition_file.parent / hardware_definition.HEADER_FOLDER / f"{definition_file.stem}.h"
