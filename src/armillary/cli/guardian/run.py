# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian run``: be a guardian on this host, outside of a sandbox, to try a profile."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from armillary.cli.guardian.image import build
from armillary.cli.release.package_folder import read_file, write_folder
from armillary.cli.terminal.output import note, noun
from armillary.content.guardian_image import CONFIGURATION_PATH
from armillary.errors import InvalidArgumentError

verbs = noun()

NO_DEVICE = "0" * 128


@verbs.command("run")
def run(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The guardian's equipment, YAML.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the guardian's storage.")],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Private key that signs unsigned profiles, PEM.")
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="NAME=NODE", help="Serial port of the board, UART2=/dev/ttyS1; repeatable."),
    ] = None,
) -> None:
    """Poll the equipment and keep what it says, until Ctrl-C.

    For development: nothing contains it, and it has no identity, so that nothing is sent. On a device it is an image:
    armillary guardian image.
    """
    from armillary.guardian import process  # noqa: PLC0415 - it loads MQTT
    from armillary.guardian.configuration import read_configuration  # noqa: PLC0415 - other verbs run no guardian
    from armillary.guardian.surroundings import Surroundings  # noqa: PLC0415

    note("Outside of a sandbox, without an identity: for development only.")
    made = build(read_file(config), config, key)
    ports = dict(_port(each) for each in port or [])
    with TemporaryDirectory(prefix="armillary-guardian-") as folder:  # Made anew: the file may have changed
        image = Path(folder) / "image"
        write_folder(
            image,
            {path: content for path, content in made.files.items() if not path.startswith("lib/")},
            option="--data",
        )
        around = Surroundings(image=image, data=data, device_id=NO_DEVICE, serial_ports=ports)
        process.run(read_configuration(made.files[CONFIGURATION_PATH]), around)


def _port(text: str) -> tuple[str, Path]:
    name, equals, node = text.partition("=")
    if not equals or not name or not Path(node).exists():
        raise InvalidArgumentError(f"--port {text!r:.60}: expected NAME=NODE, got none", remedy="UART2=/dev/ttyS1")
    return name, Path(node)
