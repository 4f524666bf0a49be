# SPDX-License-Identifier: Apache-2.0
"""``armillary device file``: files that devices have uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, note, noun, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.errors import InvalidArgumentError

COLUMNS = ("upload_id", "name", "state", "size", "content_type", "status")

FileOption = Annotated[str, typer.Option("--file-id", "--id", metavar="ID", help="Upload id.")]


files = noun("Files a device has uploaded.")


@remote_command(files, "list")
def _list(remote: RemoteService, device: DeviceOption) -> Shown:
    """List the files a device has uploaded."""
    found = remote.get(f"/devices/{segment(device)}/files")["items"]
    return table(found, COLUMNS, row=readable, empty="It has uploaded none.")


@remote_command(files, "download")
def _download(
    remote: RemoteService,
    device: DeviceOption,
    file_id: FileOption,
    output: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="Where to write it.")],
) -> None:
    """Download a file."""
    parts = remote.download(f"/devices/{segment(device)}/files/{segment(file_id)}")
    first = next(parts, b"")  # what is refused leaves the file as it was
    try:
        with output.open("wb") as file:
            file.write(first)
            file.writelines(parts)
            size = file.tell()
    except OSError as error:
        raise InvalidArgumentError(f"{output}: {error.strerror or error}", remedy="Choose another file.") from error
    note(f"{output}: {size} bytes")


@remote_command(files, "delete")
def _delete(remote: RemoteService, device: DeviceOption, file_id: FileOption, yes: YesOption = False) -> None:
    """Delete a file."""
    confirm(f"Delete file {file_id} of device {device[:12]}...?", yes=yes)
    remote.delete(f"/devices/{segment(device)}/files/{segment(file_id)}")
    note("the file is deleted")
