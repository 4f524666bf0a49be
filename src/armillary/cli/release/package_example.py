# SPDX-License-Identifier: Apache-2.0
"""``armillary image-package write-example``: writes a demonstration application to a folder that can be packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from armillary.cli.terminal.output import JsonOption, note, print_record
from armillary.content import applications
from armillary.errors import InvalidArgumentError


def write_example(
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="NAME", help=f"One of: {', '.join(applications.names())}.")
    ],
    output_directory: Annotated[
        Path, typer.Option("--output-directory", metavar="DIR", help="New folder for the application.")
    ],
    catalog_id: Annotated[
        UUID,
        typer.Option("--catalog-id", metavar="ID", help="Catalog whose client certificate it uses (its tenantId)."),
    ],
    hub_host: Annotated[
        str, typer.Option("--hub-host", metavar="NAME", help="Host name of the hub that it may reach.")
    ] = "localhost",
    as_json: JsonOption = False,
) -> None:
    """Write a demonstration application to a folder.

    The folder is ready for pack-application: its manifest names the hub's host and the catalog.
    """
    files = applications.load(name, allowed_host=hub_host, catalog_id=catalog_id)
    try:
        output_directory.mkdir(parents=True)
        for path, content in files.items():
            target = output_directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        raise InvalidArgumentError(
            f"{output_directory}: expected a new folder that can be written, got {error.strerror}",
            remedy="Name a folder that does not exist with --output-directory.",
        ) from error
    print_record({"folder": str(output_directory), "files": len(files)}, as_json=as_json)
    note(f"Pack it: armillary image-package pack-application --package-directory {output_directory} --output-file FILE")
