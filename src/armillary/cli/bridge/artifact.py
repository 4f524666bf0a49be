# SPDX-License-Identifier: Apache-2.0
"""``armillary bridge artifact``: files for bridged devices, such as a ``.swu`` or a ``.raucb``."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal.files import explained
from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.progress import megabytes
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm, in_catalog
from armillary.errors import InvalidArgumentError
from armillary.wire.hawkbit.artifact import MAX_BYTES

app = noun("Artifacts: files for bridged devices.")

COLUMNS = ("image_id", "name", "version", "filename", "size", "uploaded_at")
# As the service takes them.
PART_BYTES: Final = 4 << 20

IdOption = Annotated[str, typer.Option("--id", metavar="ID", help="Its image id, which deployments name.")]


@remote_command(app, "add")
def add(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The file.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is: the same for all its versions.")],
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="Its version.")],
    catalog: CatalogOption = None,
    part: Annotated[str, typer.Option("--part", metavar="WORD", help="Kind of software, for the updater.")] = "os",
) -> Shown:
    """Upload a file; deployments and roll-outs name it by its image id.

    The service does not sign it: the device's updater checks it with the key that the device's maker gave it.
    """
    size, digest = _measured(file)
    body = {
        "name": name,
        "version": version,
        "filename": file.name,
        "size": size,
        "sha256": digest,
        "part": part,
    }
    upload = remote.post(in_catalog(remote, catalog, "bridge-artifacts"), body)
    place = in_catalog(remote, catalog, "bridge-uploads", upload["upload_id"])
    answer: dict[str, Any] = upload
    with file.open("rb") as content, megabytes("sent", size) as further:
        while data := content.read(PART_BYTES):
            answer = remote.send_part(place, data, offset=answer["received"])
            further(len(data))
    if answer["artifact"] is None:
        raise InvalidArgumentError(f"{file} became shorter while it was read", remedy="Upload it again.")
    return record(answer["artifact"], row=readable)


@remote_command(app, "list")
def list_(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List a catalog's artifacts, newest first."""
    found = remote.get(in_catalog(remote, catalog, "bridge-artifacts"))["items"]
    return table(found, COLUMNS, row=only(*COLUMNS), empty="There is none: armillary bridge artifact add --file FILE.")


@remote_command(app, "show")
def show(remote: RemoteService, image: IdOption, catalog: CatalogOption = None) -> Shown:
    """Show an artifact."""
    return record(remote.get(in_catalog(remote, catalog, "bridge-artifacts", image)), row=readable)


@remote_command(app, "delete")
def delete(remote: RemoteService, image: IdOption, catalog: CatalogOption = None, yes: YesOption = False) -> None:
    """Delete an artifact that no deployment names."""
    confirm(f"Delete artifact {image}?", yes=yes)
    remote.delete(in_catalog(remote, catalog, "bridge-artifacts", image))
    note(f"{image} is deleted")


def _measured(file: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file.

    Raises:
        InvalidArgumentError: it is no file, such as a device without an end, or larger than an artifact may be.
    """
    digest, size = sha256(), 0
    if file.exists() and not file.is_file():
        raise InvalidArgumentError(f"{file}: expected a file", remedy="Name the file that devices install.")
    with explained(file, "cannot be read"), file.open("rb") as content:
        while data := content.read(PART_BYTES):
            digest.update(data)
            size += len(data)
            if size > MAX_BYTES:
                raise InvalidArgumentError(
                    f"{file}: expected at most {MAX_BYTES} bytes, got more", remedy="Split it into several artifacts."
                )
    return size, digest.hexdigest()
